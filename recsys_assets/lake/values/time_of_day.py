"""A date in one column and the time of day in another, read as one column called `DATE + TIME`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import polars as pl

from recsys_assets import columns as names
from recsys_assets.lake.files.rows_aside import RowsAside
from recsys_assets.lake.files.tabular_files import FileFormat, TabularFile
from recsys_assets.lake.files.text_records import Chunk
from recsys_assets.lake.values.cell_values import text_of
from recsys_assets.lake.values.column_meanings import best_names
from recsys_assets.lake.values.time_recognition import recognise

PLUS: Final = " + "
"""Text between the names of the two columns."""
_CLOCK: Final = r"^\s*([01]?\d|2[0-4])[:.]\d\d([:.]\d\d([.,]\d+)?)?( ?[AaPp][Mm])?\s*$"
_MIDNIGHT: Final = r"[T ]+0?0:00(:00(\.0+)?)?$"
_MOST: Final = 0.9


class _WithTimeOfDay(TabularFile):
    """A file with one more column, the join of two."""

    def __init__(self, file: TabularFile, column: str) -> None:
        super().__init__(file.path)
        self._file, self._column, self._parts = file, column, column.split(PLUS)

    @property
    def found(self) -> FileFormat:
        return self._file.found

    def column_names(self) -> Sequence[str]:
        return [*self._file.column_names(), self._column]

    def chunks(self, columns: Sequence[str], aside: RowsAside) -> Iterator[Chunk]:
        inner = [name for name in columns if name != self._column]
        for chunk in self._file.chunks(list(dict.fromkeys([*inner, *self._parts])), aside):
            day, time = (chunk.frame[part] for part in self._parts)
            chunk.frame = chunk.frame.with_columns(joined(day, time).alias(self._column))
            yield chunk

    def fingerprint(self) -> str:
        return self._file.fingerprint()


def with_time_of_day(file: TabularFile, column: object) -> TabularFile:
    """Return the file with the joined column where it has both parts; else the file as it is.

    Args:
        file: the file.
        column: the name mapped to our timestamp; one without a plus changes nothing.
    """
    has = file.column_names()
    if not isinstance(column, str) or column in has:
        return file
    parts = column.split(PLUS)
    return _WithTimeOfDay(file, column) if len(parts) > 1 and set(parts) <= set(has) else file


def joined(day: pl.Series, time: pl.Series) -> pl.Series:
    """Return dates and times of day as one text; a date without a time is one alone."""
    if isinstance(day.dtype, pl.Date | pl.Datetime):
        day = day.dt.strftime("%Y-%m-%d")
    frame = pl.DataFrame([text_of(day).alias("day"), text_of(time).alias("time")])
    date = pl.col("day").str.strip_chars().str.replace(_MIDNIGHT, "")
    clock = pl.col("time").str.strip_chars().fill_null("")
    return frame.select(
        pl.when(date != "").then(pl.concat_str(date, clock, separator=" ").str.strip_chars_end())
    ).to_series()


def times_of_day(sample: Mapping[str, pl.Series], day: str) -> list[str]:
    """Return the columns that can hold the time of day of a column of dates; none where that has times itself.

    Args:
        sample: each column and some of its values.
        day: the column of dates.
    """
    dates = sample[day]
    text = text_of(dates).str.strip_chars().str.replace(_MIDNIGHT, "").drop_nulls()
    if not len(text) or text.str.contains(":").any() or text.str.contains(r"^\d{9,}$").any():
        return []
    found = []
    for name in best_names(names.TIMESTAMP, [name for name in sample if name != day]):
        known = text_of(sample[name]).drop_nulls()
        is_clock = len(known) and known.str.contains(_CLOCK).mean() >= _MOST  # type: ignore[operator]
        if is_clock and len(sample[name]) == len(dates):
            found.append(name)
    return found


def reads_as_time(sample: Mapping[str, pl.Series], day: str, time: str) -> bool:
    """Return True if the two columns together have a format of times that is known."""
    found = recognise(joined(sample[day], sample[time]))
    return found.format is not None or bool(found.rivals)
