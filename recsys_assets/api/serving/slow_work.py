"""Work that takes milliseconds, done beside the event loop: few at a time, in fair turns, with an end to the queue.

Nothing here knows what the work is. What takes microseconds is done on the event loop, without this module.
"""

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Final, TypeVar

from recsys_assets.errors import ServerBusyError

T = TypeVar("T")

THREADS: Final = max(1, min(4, len(os.sched_getaffinity(0)) // 2)) if hasattr(os, "sched_getaffinity") else 1
"""Pieces of work done at a time."""
WAITING: Final = 128
"""Pieces of work of one kind that may wait."""
PATIENCE_SECONDS: Final = 10.0
"""Longest wait for a turn."""
PAUSE_SECONDS: Final = 0.25
"""Delay of a rejection, so that a client that repeats it at once does not occupy the event loop."""
NICENESS: Final = 10
"""Added to the priority of the threads: the event loop goes first where processors are few."""


class SlowWork:
    """The slow work of one event loop.

    Kinds take turns, so that a flood of one kind delays the others by one piece of work each and fills its own queue
    only.
    """

    def __init__(self, *, threads: int = THREADS, waiting: int = WAITING) -> None:
        """Do `threads` pieces of work at a time, and let `waiting` of each kind wait."""
        self._pool: ThreadPoolExecutor | None = None
        self._threads = self._free = threads
        self._most_waiting = waiting
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        """By kind, the kind whose turn is next first."""

    async def run(self, kind: str, work: Callable[[], T]) -> T:
        """Return the result of `work`, done in a thread.

        Raises:
            ServerBusyError: too many of this kind wait, or the wait was too long.
        """
        if self._free:
            self._free -= 1
        else:
            await self._turn(kind)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, "recsys-slow", initializer=_lower_priority)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, copy_context().run, work)
        finally:
            self._pass_on()

    def close(self) -> None:
        """End the threads, until the next work; what has not begun is dropped."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    async def _turn(self, kind: str) -> None:
        queue = self._waiting.setdefault(kind, deque())
        if len(queue) >= self._most_waiting:
            await asyncio.sleep(PAUSE_SECONDS)
            raise ServerBusyError(f"{self._most_waiting} requests of this kind wait already; ask again later")
        turn = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            # not `asyncio.timeout`: its end may come together with the turn, and the turn be lost for good
            await asyncio.wait((turn,), timeout=PATIENCE_SECONDS)
        except asyncio.CancelledError:
            if not turn.cancel():
                self._pass_on()
            raise
        if turn.cancel():
            raise ServerBusyError(f"no turn came within {PATIENCE_SECONDS:g} s; ask again later")

    def _pass_on(self) -> None:
        """Give this place to the kind whose turn is next, and put that kind last."""
        for kind in list(self._waiting):
            queue = self._waiting.pop(kind)
            while queue:
                turn = queue.popleft()
                if not turn.done():
                    if queue:
                        self._waiting[kind] = queue
                    turn.set_result(None)
                    return
        self._free += 1


def _lower_priority() -> None:
    if hasattr(os, "setpriority") and hasattr(os, "PRIO_PROCESS"):
        # Linux schedules threads, each with a priority of its own; elsewhere this would be the whole process's
        me = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, me, os.getpriority(os.PRIO_PROCESS, me) + NICENESS)
