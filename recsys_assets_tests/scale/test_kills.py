"""SIGKILL of each server and of a replica, in the middle of a build and of a promotion, under 200 requests a second."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

import polars as pl
import pytest

from recsys_assets_tests.api.replicas import until
from recsys_assets_tests.scale.killed_stack import Command, Stack, loaded, running_stack, wait_for

pytestmark = [pytest.mark.scale, pytest.mark.slow, pytest.mark.timeout(3_000)]

WAIT_SECONDS = 120.0
"""Longest wait for a moment at which something is killed, or for a sentence about it."""
STAGE = {
    "objects": "embeddings: ",
    "postgres": "interactions: ",
    "nats": "raw_interactions: ",
    "replica": "release: ",
}
"""The line of a build at which a server is killed."""


class Victim(NamedTuple):
    """One process that is killed."""

    kill: Callable[[], None]
    start: Callable[[], None]
    is_missed: Callable[[Command], bool]
    """Called with the command that runs: True when somebody noticed the kill."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("stack")) as found:
        yield found


def victim_of(stack: Stack, name: str) -> Victim:
    one, unsent = stack.replicas[1], stack.load.unsent
    if name == "replica":
        return Victim(one.kill, one.start, lambda _: any(port == one.port for port, _ in stack.load.failed))
    if name == "nats":
        return Victim(
            stack.nats.kill, stack.nats.start, lambda _: any(status == "503" for _, status in unsent)
        )
    server = stack.objects if name == "objects" else stack.postgres
    return Victim(server.kill, server.start, lambda command: command.says("; waiting"))


def killed_during(victim: Victim, command: Command, *, at: Callable[[], object]) -> bool:
    """Kill when `at` happens, start again when it was noticed, and wait for the end; True where it was noticed."""
    assert wait_for(lambda: at() or command.has_ended(), seconds=WAIT_SECONDS)
    victim.kill()
    try:
        missed = wait_for(
            lambda: victim.is_missed(command) or command.has_ended(), seconds=WAIT_SECONDS
        ) and victim.is_missed(command)
    finally:
        victim.start()
    command.ended()
    return missed


@pytest.mark.parametrize("name", ["objects", "postgres", "nats", "replica"])
def test_a_kill_loses_nothing_and_is_waited_for(stack, name):
    before = stack.current()
    with loaded(stack) as load:
        until(lambda: load.acknowledged and sum(load.answers.values()) > 100)
        victim, build = victim_of(stack, name), stack.build()
        missed = killed_during(victim, build, at=lambda: build.says(STAGE[name]))
        assert missed, build.log.read_text()
        after = stack.current()
        assert after != before
        stack.follow()
        back = stack.start("releases", "promote", before)
        missed = killed_during(victim, back, at=lambda: True)
        assert missed or name == "postgres", back.log.read_text()  # a promotion needs no Postgres
        assert stack.current() == before
        stack.follow()
        acknowledged = len(load.acknowledged)
        until(lambda: len(load.acknowledged) > acknowledged)
    assert stack.wrong() == []
    assert {header for header, *_ in load.answers} == {before, after}
    ours = {stack.replicas[1].port} if name == "replica" else set()
    assert {port for port, _ in load.failed} <= ours
    assert_whole(stack)


def assert_whole(stack: Stack) -> None:
    assert "files are as they were published, here and in s3://" in stack.command("releases", "verify")
    said = stack.command("doctor")
    assert "damaged" not in said.lower(), said


def test_every_acknowledged_event_is_landed_once_though_its_server_was_killed(stack):
    with loaded(stack) as load:
        until(lambda: len(load.acknowledged) > 5)
        stack.nats.kill()
        until(lambda: any(status == "503" for _, status in load.unsent))
        stack.nats.start()
        acknowledged = len(load.acknowledged)
        until(lambda: len(load.acknowledged) > acknowledged + 5)
    stack.command("land", "--events")
    files = sorted(stack.home.event_days.rglob("*.parquet"))
    landed = Counter(event for file in files for event in pl.read_parquet(file)["event_id"])
    assert set(landed.values()) == {1}
    assert load.acknowledged <= set(landed)
    assert stack.wrong() == []
