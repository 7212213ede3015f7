"""Deadlines of many waits by one timer, for waits that nearly always end at once.

A timer a request costs more than reading its body; here a request costs two dictionary operations, and one timer
ticks while anybody waits.
"""

import asyncio
from typing import Any

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
