"""SIGKILL of each server and of a replica, in the middle of a build and of a promotion, under 200 requests a second."""

from collections import Counter
from collections.abc import Iterator

import polars as pl
import pytest

from recsys_assets_tests.api.replicas import until
from recsys_assets_tests.scale.killed_stack import Stack, loaded, running_stack
from recsys_assets_tests.scale.kills import (
    Victim,
    assert_right,
    assert_whole,
    killed_during,
    until_events_go_on,
)

pytestmark = [pytest.mark.scale, pytest.mark.slow, pytest.mark.timeout(3_000)]

STAGE = {
    "objects": "embeddings: ",
    "postgres": "interactions: ",
    "nats": "raw_interactions: ",
    "replica": "release: ",
}
"""The line of a build at which a server is killed."""


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
        until_events_go_on(load)
    assert_right(stack, load, before, after)
    ours = {stack.replicas[1].port} if name == "replica" else set()
    assert {port for port, _ in load.failed} <= ours
    assert_whole(stack)


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
