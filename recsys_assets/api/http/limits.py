"""Limits of a caller: time to send a body, and requests a second."""

import asyncio
import hashlib
import mmap
import struct
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Any, Final, NamedTuple

from recsys_assets.api_settings import ApiSettings
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
_REMEMBERED: Final = 4_096
_SLOT: Final = struct.Struct("<Qd")
"""The caller's hash, and the time at which its allowance is full again, s on the monotonic clock."""
_ROUNDING: Final = 1e-9
"""Seconds; sums of intervals are not exact."""


class Allowance(NamedTuple):
    """Requests that one caller may make."""

    interval: float
    """Seconds a request, in the long run."""
    reach: float
    """Seconds' worth of requests that may come at once."""


class RateLimit:
    """A number of requests a second for each caller, with bursts.

    Where more callers come at once than there are slots, the caller whose allowance is most nearly full is dropped
    from the table, and so has a full allowance early.

    Args:
        settings: the allowance of a key, and the smaller one of an address.
        shared: the file in which all workers count, made where missing; None for a single worker.
    """

    def __init__(self, settings: ApiSettings, *, shared: Path | None = None) -> None:
        self._keys = _allowance(settings.requests_per_second, settings.burst)
        own = _allowance(settings.anonymous_requests_per_second, settings.anonymous_burst)
        self._addresses = max(filter(None, (self._keys, own)), default=None)
        self._proxies = frozenset(settings.trusted_proxies)
        size = SLOTS * _SLOT.size
        self._file = None if shared is None else shared.open("a+b")
        if self._file is not None:
            self._file.truncate(size)
        self._table = mmap.mmap(-1 if self._file is None else self._file.fileno(), size)

    def wait_for_key(self, key_id: str, now: float) -> float:
        """Count a request with a valid key, as `_count` does."""
        return 0.0 if self._keys is None else self._count(_slot_of(key_id), self._keys, now, 1.0)

    def wait_for_address(
        self, address: str, forwarded: bytes | None, now: float, *, cost: float = 1.0
    ) -> float:
        """Count a request without a valid key, as `_count` does.

        Args:
            address: where the connection comes from.
            forwarded: `X-Forwarded-For`, heeded from a trusted proxy only: its last address is the one it saw.
            now: time on a monotonic clock that all workers share, s.
            cost: the requests that this one counts for.
        """
        if self._addresses is None:
            return 0.0
        if forwarded is not None and address in self._proxies:
            address = forwarded.rpartition(b",")[2].strip().decode("latin-1")
        return self._count(_slot_of_address(address), self._addresses, now, cost)

    def _count(self, name: int, allowance: Allowance, now: float, cost: float) -> float:
        """Count a request: 0.0 where it may go on, else the seconds to wait, and it is not counted."""
        if self._file is None:
            return self._counted(name, allowance, now, cost)
        with locked_descriptor(self._file.fileno()):
            return self._counted(name, allowance, now, cost)

    def _counted(self, name: int, allowance: Allowance, now: float, cost: float) -> float:
        place, full_at = self._find(name)
        interval, reach = allowance
        before = max(full_at, now)
        wait = before + interval - now - reach
        if wait > _ROUNDING:
            return wait
        _SLOT.pack_into(self._table, place, name, before + cost * interval)
        return 0.0

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


def _allowance(per_second: float, burst: float) -> Allowance | None:
    return Allowance(1 / per_second, burst / per_second) if per_second > 0 else None


@lru_cache(maxsize=_REMEMBERED)
def _slot_of(caller: str) -> int:
    digest = hashlib.blake2b(caller.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) or 1


@lru_cache(maxsize=_REMEMBERED)
def _slot_of_address(address: str) -> int:
    """Return the slot of an address. Who has one IPv6 address has its /64 network, which counts as one."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return _slot_of(address)
    if isinstance(parsed, IPv6Address):
        return _slot_of(str(parsed.ipv4_mapped or int(parsed) >> 64))
    return _slot_of(address)
