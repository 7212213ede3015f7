"""The times of one file of a table: the format that the settings name, where it fits, else the column's own."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from functools import cache
from zoneinfo import ZoneInfo

import polars as pl

from recsys_assets.errors import SettingsError, SourceFormatError
from recsys_assets.lake.files.compressed_files import archive_of
from recsys_assets.lake.files.rows_aside import RowsAside
from recsys_assets.lake.files.tabular_files import TabularFile
from recsys_assets.lake.files.text_records import Chunk
from recsys_assets.lake.values.time_formats import TimeFormat
from recsys_assets.lake.values.time_recognition import (
    Recognition,
    recognise,
    sample_of,
    settle,
    share_fitting,
)
from recsys_assets.quality.contract import UTC_MICROSECONDS
from recsys_assets.source_settings import ReadingSettings

_FITS = 0.95
"""Share of the sample that the format of the settings must fit for a file's own not to be looked for."""
_FITS_AT_ALL = 0.5


class FileTimes:
    """The times of one file, whose format its first rows decide."""

    def __init__(
        self,
        file: TabularFile,
        column: str,
        reading: ReadingSettings,
        *,
        whole: Callable[[], Iterator[pl.Series]],
    ) -> None:
        """Name the column.

        Args:
            file: the file.
            column: its column of times; without one `reading` has a snapshot.
            reading: format and zone; the zone must exist.
            whole: returns the values of this file's column, then those of the source's other files.
        """
        self._file, self._column, self._reading, self._whole = file, column, reading, whole
        self._format: TimeFormat | None = None

    def utc(self, chunk: Chunk) -> pl.Series:
        """Return the times of the file's next rows; one that does not fit is rejected, one that is missing is null."""
        if self._reading.snapshot is not None:
            return pl.Series([self._snapshot()], dtype=UTC_MICROSECONDS).new_from_index(0, chunk.frame.height)
        column = chunk.frame[self._column]
        if self._format is None and column.null_count() < len(column):
            self._format = format_of(
                column, self._reading, place=f"{self._file.path}: column {self._column!r}", whole=self._whole
            )
        if self._format is None:
            return pl.Series([None], dtype=UTC_MICROSECONDS).new_from_index(0, chunk.frame.height)
        times = self._format.utc(column, zone=self._reading.time_zone)
        if times.null_count() > column.null_count():
            there = column.is_not_null()
            if column.dtype == pl.String:
                there &= column.str.strip_chars() != ""
            chunk.reject(
                self._column, there & times.is_null(), f"is no time in the format {self._format.name}"
            )
        return times

    @property
    def format_name(self) -> str | None:
        """The name of the format that was found; None while there is none."""
        return None if self._format is None else self._format.name

    def _snapshot(self) -> datetime:
        if self._reading.snapshot != "file":
            day = date.fromisoformat(str(self._reading.snapshot))
        else:
            try:
                on_disk = archive_of(self._file.path) or self._file.path
                day = datetime.fromtimestamp(on_disk.stat().st_mtime, UTC).date()
            except OSError:
                raise SettingsError(
                    f"{self._file.path}: is no file with a day of its own; give a day by `--no-time YYYY-MM-DD`"
                ) from None
        return datetime(day.year, day.month, day.day, tzinfo=UTC)


def format_of(
    column: pl.Series, reading: ReadingSettings, *, place: str, whole: Callable[[], Iterator[pl.Series]]
) -> TimeFormat:
    """Return the format of a column.

    Args:
        column: its first values.
        reading: a format that is taken where it fits.
        place: file and column, for errors.
        whole: returns all of the column, in parts, for day and month that the first values do not tell apart.

    Raises:
        SourceFormatError: no format fits, or two do; the message has a value and names the option.
    """
    sample = sample_of(column)
    given = None if reading.time_format is None else TimeFormat.named(reading.time_format)
    if given is not None and share_fitting(given, sample) >= _FITS:
        return given
    found = recognise(sample)
    if found.format is not None and (
        given is None or share_fitting(found.format, sample) > share_fitting(given, sample)
    ):
        return found.format
    if given is not None and given.utc(sample).count() >= _FITS_AT_ALL * len(sample):
        return given
    settled = settle(found.rivals, whole()) if found.rivals else None
    if settled is not None:
        return settled
    raise SourceFormatError(f"{place}: {fault_of(found, sample)}")


def fault_of(found: Recognition, sample: pl.Series) -> str:
    """Return the reason why a column has no single format, and the option that gives one."""
    example = sample[0] if len(sample) else None
    if found.rivals:
        first, second = (rival.name for rival in found.rivals)
        return (
            f"{example!r} and the other values have either day or month first; give --time-format '{first}' or "
            f"--time-format '{second}'"
        )
    if found.implausible is not None:
        format_, when = found.implausible
        return (
            f"{example!r} as {format_.name} is {when}, and most values are before 1990 or after tomorrow; give the "
            f"format by --time-format, such as --time-format {format_.name} if that is right"
        )
    return (
        f"{example!r} and the other values have no time format that is known; give it by --time-format, such as "
        "--time-format '%d/%m/%Y %H:%M', or another column by --column timestamp=…, or read without a time by --no-time"
    )


@cache
def require_zone(zone: str) -> None:
    """Check the name of a time zone.

    Raises:
        SettingsError: there is no such zone.
    """
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise SettingsError(
            f"time zone {zone!r}: no such zone; give one such as --time-zone Europe/Berlin, or UTC"
        ) from None


def column_parts(file: TabularFile, column: str) -> Iterator[pl.Series]:
    """Yield all values of one column of a file."""
    return (chunk.frame[column] for chunk in file.chunks([column], RowsAside(allowed=1.0)))
