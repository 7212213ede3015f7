"""Limits of a caller: time to send a body, and requests a second."""

import asyncio
import hashlib
import mmap
import struct
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

from recsys_assets.storage.locks import locked_descriptor

TICK_SECONDS = 0.25
"""Longest delay before a passed deadline is noticed."""


class Deadlines:
    """Cancels the waits of one event loop that take too long.

    Nearly all waits for a body end at once, and a timer for each would cost more than reading it. Here a request costs
    two dictionary operations, and one timer ticks while any task waits.
    """

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Task[Any], float] = {}
        self._overdue: set[asyncio.Task[Any]] = set()
        self._ticking = False

    def begin(self, deadline: float) -> asyncio.Task[Any]:
        """Record that the current task waits until `deadline`, s on the event loop's clock; call `end` after it."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  a coroutine runs in a task
        self._waiting[task] = deadline
        if not self._ticking:
            self._ticking = True
            asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)
        return task

    def passed(self, task: asyncio.Task[Any]) -> bool:
        """Return True where the deadline cancelled the wait."""
        return task in self._overdue

    def end(self, task: asyncio.Task[Any]) -> None:
        """Record that the wait ended, and undo a cancellation by the deadline."""
        del self._waiting[task]
        if task in self._overdue:
            self._overdue.remove(task)
            task.uncancel()

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for task, deadline in self._waiting.items():
            if deadline <= now and task not in self._overdue:
                self._overdue.add(task)
                task.cancel()
        self._ticking = bool(self._waiting)
        if self._ticking:
            loop.call_later(TICK_SECONDS, self._tick)


SLOTS: Final = 16_384
"""Callers that are counted at the same time, at most."""
_PROBED: Final = 8
_SLOT: Final = struct.Struct("<Qd")
"""The caller's hash, and the time at which its allowance is full again, s on the monotonic clock."""
_ROUNDING: Final = 1e-9
"""Seconds; sums of intervals are not exact."""


class RateLimit:
    """A number of requests a second for each caller, with bursts.

    Where more callers come at once than there are slots, the caller whose allowance is most nearly full is dropped
    from the table, and so has a full allowance early.

    Args:
        per_second: requests allowed a second in the long run, > 0.
        burst: requests allowed at once, >= 1.
        shared: the file in which all workers count, made where missing; None for a single worker.
    """

    def __init__(self, *, per_second: float, burst: float, shared: Path | None = None) -> None:
        self._interval = 1 / per_second
        self._reach = burst / per_second
        size = SLOTS * _SLOT.size
        self._file = None if shared is None else shared.open("a+b")
        if self._file is not None:
            self._file.truncate(size)
        self._table = mmap.mmap(-1 if self._file is None else self._file.fileno(), size)

    def wait_seconds(self, caller: str, now: float) -> float:
        """Count a request: 0.0 where it may go on, else the seconds to wait, and it is not counted.

        Args:
            caller: the id of a key, or an address.
            now: time on a monotonic clock that all workers share, s.
        """
        digest = hashlib.blake2b(caller.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        name = int.from_bytes(digest) or 1
        with nullcontext() if self._file is None else locked_descriptor(self._file.fileno()):
            place, full_at = self._find(name)
            full_at = max(full_at, now) + self._interval
            wait = full_at - now - self._reach
            if wait <= _ROUNDING:
                _SLOT.pack_into(self._table, place, name, full_at)
                return 0.0
        return wait

    def _find(self, name: int) -> tuple[int, float]:
        """Return the caller's slot and time; 0.0 and the slot to reuse where the caller has none."""
        nearest, least = 0, float("inf")
        for step in range(_PROBED):
            place = (name + step) % SLOTS * _SLOT.size
            found, full_at = _SLOT.unpack_from(self._table, place)
            if found == name:
                return place, full_at
            if full_at < least:
                nearest, least = place, full_at
        return nearest, 0.0
