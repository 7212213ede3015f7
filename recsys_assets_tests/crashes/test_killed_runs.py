"""A command that is killed at any moment, and run again, ends as an undisturbed one."""

import os

import pytest

from recsys_assets_tests.crashes.crash_scenarios import SCENARIOS
from recsys_assets_tests.crashes.killed_runs import CrashGround
from recsys_assets_tests.notices.servers import http_receiver

pytestmark = [pytest.mark.slow, pytest.mark.timeout(14_400)]

KILLS = int(os.environ.get("RECSYS_KILLS", "20"))
"""Kills of all scenarios together."""


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    with http_receiver() as receiver:
        yield CrashGround(tmp_path_factory.mktemp("crashes"), receiver)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_killed_command_run_again_ends_as_an_undisturbed_one(ground, scenario):
    kills = max(1, round(KILLS * scenario.share / sum(one.share for one in SCENARIOS)))
    found = ground.kill(scenario, kills)
    assert found.wrong == []
    assert found.killed == kills
