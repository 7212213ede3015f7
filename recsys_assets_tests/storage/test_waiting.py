"""Waiting for a server: tried again, said now and then, given up in the end; by a clock of the test's own."""

from collections.abc import Callable

import pytest

from recsys_assets.storage.waiting import keep_trying


class World:
    """A server that is away for some seconds, and a clock that only sleeping moves."""

    def __init__(self, *, away: float) -> None:
        self.now, self.away, self.tries, self.said = 100.0, 100.0 + away, 0, list[str]()
        self.given_up = set[str]()

    def attempt(self) -> str:
        self.tries += 1
        if self.now < self.away:
            raise ConnectionError(f"try {self.tries}")
        return "answer"

    def wait(self, *, seconds: float, why: Callable[[Exception], str] | None = None) -> str:
        return keep_trying(
            self.attempt,
            name="shop at 127.0.0.1",
            is_outage=lambda error: isinstance(error, ConnectionError),
            seconds=seconds,
            say=self.said.append,
            clock=lambda: self.now,
            sleep=self.sleep,
            given_up=self.given_up,
            why=why,
        )

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def test_a_server_that_answers_is_called_once_in_silence():
    world = World(away=0)
    assert (world.wait(seconds=60), world.tries, world.said) == ("answer", 1, [])


def test_a_short_outage_is_not_worth_a_line():
    world = World(away=1.5)
    assert (world.wait(seconds=60), world.said) == ("answer", [])


def test_a_long_outage_is_said_every_ten_seconds_and_at_its_end():
    world = World(away=25)
    assert world.wait(seconds=60) == "answer"
    lines = [f"shop at 127.0.0.1: no answer for {second} s; waiting" for second in (2, 12, 22)]
    assert world.said == [*lines, "shop at 127.0.0.1: back after 25 s"]


def test_the_line_says_why_where_the_reason_is_known():
    world = World(away=3)
    world.wait(seconds=60, why=lambda error: f"rejected at {error}")
    assert world.said[0] == "shop at 127.0.0.1: no answer for 2 s (rejected at try 8); waiting"


@pytest.mark.parametrize("seconds", [0, 0.3, 7])
def test_after_the_time_the_last_error_is_raised(seconds):
    world = World(away=1_000)
    with pytest.raises(ConnectionError, match=r"try \d+"):
        world.wait(seconds=seconds)
    assert 100 + seconds <= world.now < 101 + seconds


def test_a_server_that_was_waited_for_in_vain_is_tried_once_until_it_answers():
    world = World(away=100)
    with pytest.raises(ConnectionError):
        world.wait(seconds=60)
    before = world.now
    with pytest.raises(ConnectionError):
        world.wait(seconds=60)
    assert world.now == before
    world.now = world.away
    assert world.wait(seconds=60) == "answer"
    world.away = world.now + 5
    assert world.wait(seconds=60) == "answer"


def test_one_try_without_a_wait_is_no_waiting_in_vain():
    world = World(away=5)
    with pytest.raises(ConnectionError):
        world.wait(seconds=0)
    assert world.wait(seconds=60) == "answer"


def test_another_error_is_raised_at_once():
    def attempt() -> None:
        raise ValueError("wrong password")

    with pytest.raises(ValueError, match="wrong password"):
        keep_trying(attempt, name="shop", is_outage=lambda _: False, seconds=60)
