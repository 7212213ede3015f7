"""A writer of an object store that is killed at any moment and run again: the store ends as if undisturbed."""

import os

import pytest

from recsys_assets_tests.crashes.crash_scenarios import SCENARIOS
from recsys_assets_tests.crashes.killed_runs import content, differences
from recsys_assets_tests.crashes.stored_ground import StoredGround
from recsys_assets_tests.notices.servers import http_receiver

pytestmark = [pytest.mark.scale, pytest.mark.slow, pytest.mark.timeout(14_400)]

KILLS = int(os.environ.get("RECSYS_KILLS", "20"))
"""Kills of all scenarios together."""


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    with http_receiver() as receiver:
        yield StoredGround(tmp_path_factory.mktemp("crashes"), receiver)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_the_store_of_a_killed_writer_that_runs_again_is_as_after_an_undisturbed_run(ground, scenario):
    kills = max(1, round(KILLS * scenario.share / sum(one.share for one in SCENARIOS)))
    found = ground.kill(scenario, kills)
    assert found.wrong == []
    assert found.killed == kills
    assert differences(content(ground.home), ground.elsewhere()) == []
