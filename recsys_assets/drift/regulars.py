"""Those who are always there: the users who come on most days, and the items that sell most, of the last four weeks."""

from collections import deque
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

from recsys_assets.drift.distinct_keys import DistinctKeys
from recsys_assets.drift.windows import WINDOW_DAYS, Weekly
from recsys_assets.storage.arrays import Bools, Int64, UInt64

KEPT_VISITORS: Final = WINDOW_DAYS + 7
"""Number of days that are kept: the window ends at the last Sunday."""
_LEAST_DAYS: Final = 14
"""With fewer days nobody is regular."""
_USERS: Final = 100
_ITEMS: Final = 10
_MOST_USERS: Final = 4096
"""Users kept of a day: those with the smallest keys, which is the same sample every day."""
_MOST_ITEMS: Final = 1024
"""Items kept of a day: those with most rows."""


@dataclass(frozen=True, kw_only=True)
class Visitors:
    """The part of a day that `Regulars` keeps."""

    users: UInt64
    """Keys of the users."""
    items: UInt64
    """Keys of the items."""
    item_rows: Int64
    """Rows of each of these items."""

    @classmethod
    def of(cls, users: DistinctKeys, items: DistinctKeys) -> "Visitors":
        """Return what is kept of a day's users and items."""
        sold, rows = items.keys, items.rows
        if len(sold) > _MOST_ITEMS:
            kept = np.lexsort((sold, -rows))[:_MOST_ITEMS]
            sold, rows = sold[kept], rows[kept]
        return cls(users=users.keys[:_MOST_USERS], items=sold, item_rows=rows)


class Regulars:
    """Regular users and bestsellers of the four weeks up to the last Sunday, found again once a week."""

    def __init__(self) -> None:
        """Begin without days."""
        self._days: deque[tuple[int, Visitors]] = deque(maxlen=KEPT_VISITORS)
        self._users: Weekly[UInt64 | None] = Weekly()
        self._items: Weekly[UInt64 | None] = Weekly()

    def add(self, visitors: Visitors, *, day: date) -> None:
        """Add a published day, later than all before."""
        self._days.append((day.toordinal(), visitors))

    def count(self, users: DistinctKeys, items: DistinctKeys, *, day: date) -> dict[str, tuple[int, int]]:
        """Return the shares (k of n) of `day`'s users that are regular, and of its rows that are of bestsellers.

        n is 0 where fewer than two weeks are known.
        """
        regular, best = self.users(day), self.items(day)
        if regular is None or best is None:
            return {"regular_users": (0, 0), "bestseller_rows": (0, 0)}
        came = int(_is_in(users.keys, regular).sum())
        sold = int(items.rows[_is_in(items.keys, best)].sum())
        return {"regular_users": (came, len(users.keys)), "bestseller_rows": (sold, items.total)}

    def users(self, day: date) -> UInt64 | None:
        """Return the keys of the users who came on most days, ascending; None in the first two weeks."""
        monday = day.toordinal() - day.weekday()
        return self._users.get(monday, lambda: _regular_users(self._window(monday)))

    def items(self, day: date) -> UInt64 | None:
        """Return the keys of the items that had most rows, ascending; None in the first two weeks."""
        monday = day.toordinal() - day.weekday()
        return self._items.get(monday, lambda: _bestsellers(self._window(monday)))

    def mask_of(self, share: str, users: DistinctKeys, items: DistinctKeys, *, day: date) -> Bools | None:
        """Mark the rows of a day that count for `share`; None for another share, or in the first two weeks."""
        regular, best = self.users(day), self.items(day)
        if share == "regular_users" and regular is not None:
            return users.rows_of(_is_in(users.keys, regular))
        if share == "bestseller_rows" and best is not None:
            return items.rows_of(_is_in(items.keys, best))
        return None

    def _window(self, monday: int) -> list[Visitors] | None:
        """Return the last four weeks before `monday`."""
        window = [visitors for ordinal, visitors in self._days if ordinal < monday][-WINDOW_DAYS:]
        return window if len(window) >= _LEAST_DAYS else None


def _regular_users(window: list[Visitors] | None) -> UInt64 | None:
    if window is None:
        return None
    users, days = np.unique(np.concatenate([day.users for day in window]), return_counts=True)
    return _largest(users, days, _USERS)


def _bestsellers(window: list[Visitors] | None) -> UInt64 | None:
    if window is None:
        return None
    items, places = np.unique(np.concatenate([day.items for day in window]), return_inverse=True)
    rows = np.bincount(places, weights=np.concatenate([day.item_rows for day in window]))
    return _largest(items, rows, _ITEMS)


def _largest(keys: UInt64, sizes: Int64, count: int) -> UInt64:
    """Return the keys of the `count` largest sizes, ascending; of equals the smaller keys."""
    found: UInt64 = np.sort(keys[np.lexsort((keys, -sizes))[:count]])
    return found


def _is_in(keys: UInt64, ascending: UInt64) -> Bools:
    if not len(ascending):
        return np.zeros(len(keys), dtype=bool)
    places = np.searchsorted(ascending, keys)
    places[places == len(ascending)] = 0
    found: Bools = ascending[places] == keys
    return found
