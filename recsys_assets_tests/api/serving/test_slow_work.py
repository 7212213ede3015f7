"""Slow work is done few at a time, in fair turns, and its queue ends."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from recsys_assets.api.serving import slow_work
from recsys_assets.api.serving.slow_work import SlowWork
from recsys_assets.errors import ServerBusyError


@pytest.fixture
def slow() -> Iterator[SlowWork]:
    work = SlowWork(threads=1, waiting=2)
    yield work
    work.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_work, "PAUSE_SECONDS", 0.0)


def test_the_result_and_an_error_come_back(slow: SlowWork) -> None:
    async def both() -> int:
        with pytest.raises(ZeroDivisionError):
            await slow.run("a", lambda: 1 // 0)
        return await slow.run("a", lambda: 2)

    assert asyncio.run(both()) == 2


def test_one_piece_is_done_at_a_time_and_kinds_take_turns(slow: SlowWork) -> None:
    done: list[str] = []

    async def all_of_them() -> None:
        gate = threading.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(slow.run("a", gate.wait))
            await asyncio.sleep(0)
            for kind, name in (("a", "a1"), ("a", "a2"), ("b", "b1"), ("b", "b2")):
                group.create_task(slow.run(kind, lambda name=name: done.append(name)))  # type: ignore[misc]
            await asyncio.sleep(0)
            assert done == []
            gate.set()

    asyncio.run(all_of_them())
    assert done == ["a1", "b1", "a2", "b2"]


def test_a_full_queue_rejects_its_own_kind_only(slow: SlowWork) -> None:
    async def flood() -> str:
        gate = threading.Event()
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(slow.run("a", gate.wait))
                await asyncio.sleep(0)
            with pytest.raises(ServerBusyError, match="2 requests of this kind wait"):
                await slow.run("a", str)
            other = group.create_task(slow.run("b", lambda: "answered"))
            await asyncio.sleep(0)
            gate.set()
        return other.result()

    assert asyncio.run(flood()) == "answered"


def test_who_waits_too_long_is_rejected_and_the_place_is_free_again(
    slow: SlowWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slow_work, "PATIENCE_SECONDS", 0.01)

    async def wait() -> int:
        gate = threading.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(slow.run("a", gate.wait))
            await asyncio.sleep(0)
            with pytest.raises(ServerBusyError, match="no turn came"):
                await slow.run("a", str)
            gate.set()
        return await slow.run("a", lambda: 3)

    assert asyncio.run(wait()) == 3


def test_who_stops_waiting_gives_the_turn_to_the_next(slow: SlowWork) -> None:
    async def leave() -> int:
        gate = threading.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(slow.run("a", gate.wait))
            await asyncio.sleep(0)
            leaving = asyncio.create_task(slow.run("a", str))
            staying = group.create_task(slow.run("a", lambda: 4))
            await asyncio.sleep(0)
            leaving.cancel()
            gate.set()
        return staying.result()

    assert asyncio.run(leave()) == 4


def test_a_turn_that_comes_as_the_patience_ends_is_not_lost(
    slow: SlowWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def together() -> int:
        gate = threading.Event()
        first = asyncio.create_task(slow.run("a", gate.wait))
        await asyncio.sleep(0)
        monkeypatch.setattr(slow_work, "PATIENCE_SECONDS", 0.0)
        second = asyncio.create_task(slow.run("a", str))
        first.cancel()
        gate.set()
        await asyncio.gather(first, second, return_exceptions=True)
        monkeypatch.undo()
        return await slow.run("a", lambda: 5)

    assert asyncio.run(together()) == 5
