"""Rows of forgotten users: they never land again, and a day's file says that some were left out, and for which forget.

The source still has them; it belongs to somebody else.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Final

import polars as pl

from recsys_assets import columns
from recsys_assets.storage.forgotten import Forgotten
from recsys_assets.storage.id_form import BLANKS

FORGOTTEN_KEY: Final = "recsys.forgotten"
"""Key of a raw day's `LeftOutRows` in its Parquet file's metadata; a day without such rows has none."""
FORGOTTEN: Final = "forgotten"
"""Reason of the row account."""


class LeftOutRows:
    """The rows of a day that were left out, as its file records them: `12 #1 #4`."""

    def __init__(self, rows: int = 0, forgets: Iterable[int] = ()) -> None:
        """Take the number of rows, and the numbers of the forgets."""
        self.rows = rows
        self.forgets = frozenset(forgets)

    @classmethod
    def of(cls, provenance: Mapping[str, str]) -> "LeftOutRows":
        """Return what a file's metadata says; no rows where it says nothing."""
        rows, *forgets = provenance.get(FORGOTTEN_KEY, "0").split()
        return cls(int(rows), (int(one.removeprefix("#")) for one in forgets))

    def plus(self, rows: int, forgets: Iterable[int]) -> "LeftOutRows":
        """Return the rows with those of more users."""
        return LeftOutRows(self.rows + rows, self.forgets.union(forgets)) if rows else self

    def __str__(self) -> str:
        """Return both, as a file records them."""
        return " ".join([str(self.rows), *(f"#{one}" for one in sorted(self.forgets))])

    @property
    def provenance(self) -> dict[str, str]:
        """The entry of a file's metadata; empty where no row was left out."""
        return {FORGOTTEN_KEY: str(self)} if self.rows else {}


def is_of(ids: Iterable[str]) -> pl.Expr:
    """Return True for rows of these users, with blanks around their id or without; never null."""
    return pl.col(columns.USER_ID).str.strip_chars(BLANKS).is_in(list(ids)).fill_null(value=False)


class ForgottenRows:
    """The rows of forgotten users in days that are landing."""

    def __init__(self, forgotten: Forgotten) -> None:
        """Take the users."""
        self._forgotten = forgotten
        self._left_out: dict[date, LeftOutRows] = {}

    def without(self, days: Iterable[tuple[date, pl.DataFrame]]) -> Iterator[tuple[date, pl.DataFrame]]:
        """Yield each day without their rows."""
        for day, frame in days:
            kept, self._left_out[day] = _parted(frame, self._forgotten)
            yield day, kept

    def provenance(self, day: date) -> dict[str, str]:
        """Return the entry of the metadata of a day that `without` has yielded."""
        return self._left_out.get(day, LeftOutRows()).provenance


def _parted(frame: pl.DataFrame, forgotten: Forgotten) -> tuple[pl.DataFrame, LeftOutRows]:
    if not forgotten.times or frame.is_empty():
        return frame, LeftOutRows()
    users = pl.col(columns.USER_ID).str.strip_chars(BLANKS)
    times = {
        user: at
        for user in frame.select(users).to_series().unique()
        if user is not None and (at := forgotten.forgotten_at(user)) is not None
    }
    if not times:
        return frame, LeftOutRows()
    until = users.replace_strict(times, default=None, return_dtype=pl.Datetime("us", "UTC"))
    time = pl.col(columns.TIMESTAMP)
    is_before = until.is_not_null() & (time.is_null() | (time < until))
    kept, left_out = frame.filter(~is_before), frame.filter(is_before)
    numbers = {forgotten.number_of(user) for user in left_out.select(users).to_series().unique()}
    return kept, LeftOutRows().plus(left_out.height, numbers)
