"""Deadlines of many waits by one timer, for waits that nearly always end at once.

A timer a request costs more than reading its body; here a request costs two dictionary operations, and one timer
ticks while anybody waits.
"""

import asyncio
import fcntl
import hashlib
import mmap
import struct
from contextlib import nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any, Final

TICK_SECONDS = 0.25
"""How late a deadline may be noticed."""


class Deadlines:
    """Ends the waits of one event loop that take too long."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Task[Any], float] = {}
        self._overdue: set[asyncio.Task[Any]] = set()
        self._ticking = False

    def begin(self, deadline: float) -> asyncio.Task[Any]:
        """The current task begins to wait; `deadline` is by the event loop's clock, s. Ends with `end`."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  a coroutine runs in a task
        self._waiting[task] = deadline
        if not self._ticking:
            self._ticking = True
            asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)
        return task

    def passed(self, task: asyncio.Task[Any]) -> bool:
        """Whether it was the deadline that cancelled the wait."""
        return task in self._overdue

    def end(self, task: asyncio.Task[Any]) -> None:
        """The wait is over, however it ended; a cancellation by the deadline is taken back."""
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
"""Callers that are remembered, at most."""
_PROBED: Final = 8
_SLOT: Final = struct.Struct("<Qd")
"""Which caller, and when the allowance is whole again, s by the monotonic clock."""
_ROUNDING: Final = 1e-9
"""Seconds; sums of intervals are not exact."""


class RateLimit:
    """So many requests a second for each caller, with bursts.

    Where more callers come at once than there are slots, the one that is nearest to a whole allowance is forgotten,
    and so gets it early.

    Args:
        per_second: requests allowed a second in the long run, > 0.
        burst: requests allowed at once, >= 1.
        shared: a file that all workers give; None where there is one only.
    """

    def __init__(self, *, per_second: float, burst: float, shared: Path | None = None) -> None:
        self._interval = 1 / per_second
        self._reach = burst / per_second
        size = SLOTS * _SLOT.size
        if shared is None:
            self._turn: _Turn | nullcontext[None] = nullcontext()
            self._table = mmap.mmap(-1, size)
        else:
            self._turn = _Turn(shared, size)
            self._table = mmap.mmap(self._turn.descriptor, size)

    def wait_seconds(self, caller: str, now: float) -> float:
        """0.0 where the request may go on (it uses up allowance), else how long to wait.

        Args:
            caller: a key's id or an address.
            now: a monotonic clock that all workers have in common, s.
        """
        digest = hashlib.blake2b(caller.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        name = int.from_bytes(digest) or 1
        with self._turn:
            place, whole_at = self._find(name)
            whole_at = max(whole_at, now) + self._interval
            wait = whole_at - now - self._reach
            if wait <= _ROUNDING:
                _SLOT.pack_into(self._table, place, name, whole_at)
                return 0.0
        return wait

    def _find(self, name: int) -> tuple[int, float]:
        """Where the caller's number is or may be put, and the number."""
        nearest, least = 0, float("inf")
        for step in range(_PROBED):
            place = (name + step) % SLOTS * _SLOT.size
            found, whole_at = _SLOT.unpack_from(self._table, place)
            if found == name:
                return place, whole_at
            if whole_at < least:
                nearest, least = place, whole_at
        return nearest, 0.0


class _Turn:
    """The lock of a shared table's file, which it makes where missing."""

    def __init__(self, file: Path, size: int) -> None:
        self._file = file.open("a+b")
        self._file.truncate(size)
        self.descriptor = self._file.fileno()

    def __enter__(self) -> None:
        fcntl.flock(self.descriptor, fcntl.LOCK_EX)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        fcntl.flock(self.descriptor, fcntl.LOCK_UN)
