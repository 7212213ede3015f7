"""Times of a column by one format: a format's name and spellings, and its values as UTC microseconds.

A name is `iso`, `seconds`, `milliseconds`, `microseconds`, `nanoseconds`, `excel` (days since 1899-12-30), or a
pattern of strptime such as `%d/%m/%Y %H:%M`. One name covers a column's spellings of it: seconds, their fraction,
AM and PM, and an offset (`Z`, ` UTC`, `+02:00`) may be there in one row and not in the next. The recognition of
a column's format is in `time_recognition.py`.

A time without an offset is of the zone that the caller gives. Where clocks are put back, the first of two moments is
taken; a time that a clock skipped is read as if it had not been put forward. A date alone, or a date column, is a day
and no moment: its midnight in UTC, whatever the zone.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

import polars as pl

from recsys_assets.errors import SettingsError
from recsys_assets.quality.contract import UTC_MICROSECONDS

_SECONDS_BELOW: Final = 1e11
_MILLISECONDS_BELOW: Final = 1e14
_MICROSECONDS_BELOW: Final = 1e17
_YEAR_1: Final = -62_135_596_800_000_000
_YEAR_10_000: Final = 253_402_300_800_000_000
ISO: Final = "iso"
EXCEL: Final = "excel"
MICROSECONDS_OF: Final = {
    "seconds": 1_000_000,
    "milliseconds": 1_000,
    "microseconds": 1,
    "nanoseconds": 0.001,
    EXCEL: 86_400_000_000,
}
"""Name of a format of numbers -> microseconds in one unit."""
_EXCEL_EPOCH: Final = pl.duration(days=25_569)
_NAIVE: Final = pl.Datetime("us")
_TIMES: Final = ("%H:%M:%S", "%H:%M", "%H:%M:%S%.f", "%I:%M:%S %p", "%I:%M %p", "%I:%M:%S%p", "%I:%M%p")
_TIME: Final = re.compile(r"([T ,]*)%[HIkl]")
_OFFSET: Final = (
    r"^(.*\d[^-+A-Za-z]*?(?: ?[AaPp][Mm])?)\s*(?:Z|z|UTC|GMT|(?:UTC|GMT)?([+-]\d\d):?(\d\d)?)(?: *\(.*\))?$"
)
_END_OF_DAY: Final = r"^(.*\D)24(:00(?::00(?:\.0+)?)?(?:\D.*)?)$"
"""A time of `24:00`, which is 0:00 of the next day."""
_UTC: Final = ("Z", " UTC", " GMT", "+00:00")
_SAMPLE: Final = 50
"""Values that show the order in which spellings are tried."""
_GAP: Final = pl.duration(hours=3)
"""More than any clock is put forward, and less than the time between two changes."""
_FIELDS: Final = re.compile(r"%([-_0:#.]*)([A-Za-z%])")


@dataclass(frozen=True)
class TimeFormat:
    """A format of a column's times."""

    name: str
    """As `reading.time_format` has it."""

    @classmethod
    def named(cls, name: str) -> Self:
        """Return the format of a name that a person wrote.

        Raises:
            SettingsError: it is no name and no pattern of a whole date.
        """
        tidy = name.strip()
        fields = {found[2] for found in _FIELDS.finditer(tidy)}
        known = tidy in {ISO, *MICROSECONDS_OF}
        whole = fields & set("Yy") and fields & set("mbBh") and fields & set("de")
        if not known and not (whole or fields & set("FDxcs+")):
            raise SettingsError(
                f"time format {name!r}: no format; give iso, {', '.join(MICROSECONDS_OF)}, or a pattern such as "
                "%d/%m/%Y %H:%M"
            )
        return cls(tidy)

    @property
    def is_number(self) -> bool:
        """True of a count of units since 1970, or of days since 1899-12-30."""
        return self.name in MICROSECONDS_OF

    @cached_property
    def _spellings(self) -> tuple[str, ...]:
        """Patterns of the name, the written one first."""
        if self.name == ISO:
            dated = [f"%Y-%m-%d{between}{time}" for time in _TIMES for between in " T"]
            return (*dated[:6], "%Y-%m-%d", *dated[6:])
        found = _TIME.search(self.name)
        day = self.name[: found.start()] if found else self.name
        if found and "%" in self.name[found.end() :].replace("%M", "").replace("%S", "").replace("%p", ""):
            return (self.name,)  # the date is not all in front of the time
        between = found[1] if found else " "
        return tuple(dict.fromkeys([self.name, *(f"{day}{between}{time}" for time in _TIMES), day]))

    def utc(self, column: pl.Series, *, zone: str = "UTC") -> pl.Series:
        """Convert a column, text or not.

        Args:
            column: text, numbers, dates or datetimes.
            zone: of times without an offset, such as `Europe/Berlin`.

        Returns:
            Timestamps under the same name; null where the value is null or does not fit.
        """
        name = column.name
        if isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone is not None:
            return column.dt.convert_time_zone("UTC").cast(UTC_MICROSECONDS)
        if isinstance(column.dtype, pl.Datetime):
            return _localised(column.cast(_NAIVE), zone).alias(name)
        if column.dtype == pl.Date:
            return column.cast(_NAIVE).dt.replace_time_zone("UTC").cast(UTC_MICROSECONDS)
        if self.is_number:
            return self._from_numbers(column, zone).alias(name)
        text = column if column.dtype == pl.String else _as_digits(column)
        return self._from_text(text.str.strip_chars(), zone).alias(name)

    def _from_numbers(self, column: pl.Series, zone: str) -> pl.Series:
        numbers = column
        if not column.dtype.is_numeric():
            text = column.cast(pl.String).str.strip_chars()
            whole = text.cast(pl.Int64, strict=False)
            numbers = (
                whole if whole.null_count() == text.null_count() else text.cast(pl.Float64, strict=False)
            )
        found = utc_from_epoch(numbers, microseconds=MICROSECONDS_OF[self.name])
        if self.name != EXCEL:
            return found
        local = pl.select((found - _EXCEL_EPOCH).dt.round("1s").dt.replace_time_zone(None)).to_series()
        days = numbers.cast(pl.Float64)
        if ((days.floor() == days) | days.is_null()).all():
            return local.dt.replace_time_zone("UTC").cast(UTC_MICROSECONDS)
        return _localised(local, zone)

    def _from_text(self, text: pl.Series, zone: str) -> pl.Series:
        if "%z" in self.name or "%:z" in self.name or "%#z" in self.name:
            return self._parsed(text, self.name).cast(UTC_MICROSECONDS)
        found = pl.Series(text.name, [None], UTC_MICROSECONDS).new_from_index(0, len(text))
        if zone == "UTC":  # these say nothing new then, and are quicker without
            few = text.drop_nulls().head(_SAMPLE)
            text = next((text.str.strip_suffix(end) for end in _UTC if few.str.ends_with(end).all()), text)
        for spelling in self._by_frequency(text):
            left = (found.is_null() & text.is_not_null()).arg_true()
            if not len(left):
                return found
            whole = len(left) == len(text)
            times = self._parsed(text if whole else text.gather(left), spelling)
            times = _localised(times, zone if _TIME.search(spelling) else "UTC")
            found = times if whole else found.scatter(left, times)
        for spelling in self._by_frequency(text, suffix="%#z"):
            left = (found.is_null() & text.is_not_null()).arg_true()
            if not len(left):
                return found
            found = found.scatter(left, self._parsed(text.gather(left), spelling).cast(UTC_MICROSECONDS))
        left = (found.is_null() & text.is_not_null()).arg_true()
        return found.scatter(left, self._rarer(text.gather(left), zone)) if len(left) else found

    def _by_frequency(self, text: pl.Series, *, suffix: str = "") -> Iterator[str]:
        """Yield the spellings of a few values, most frequent first; `suffix` is added to those with a time.

        One that fits all of them is yielded before the others are tried.
        """
        few = text.drop_nulls().gather_every(max(1, len(text) // _SAMPLE))
        spellings = [f"{one}{suffix}" for one in self._spellings if not suffix or _TIME.search(one)]
        fit: dict[str, int] = {}
        for spelling in spellings:
            fit[spelling] = self._parsed(few, spelling).count()
            if fit[spelling] == len(few):
                yield spelling
                return
        yield from sorted((one for one in spellings if fit[one]), key=lambda one: -fit[one])

    def _rarer(self, text: pl.Series, zone: str) -> pl.Series:
        """Return the times of values in a rarer spelling: ` UTC+02:00`, a decimal comma, or `a.m.`."""
        tidy = text.str.replace(r"(:\d\d),(\d+)", "${1}.${2}").str.replace(r"(?i)\b([ap])\.m\.?", "${1}m")
        if self.name == ISO:
            tidy = tidy.str.replace(r"^(\d{4}-\d\d-\d\d)[t_]", "${1} ")
        midnight = tidy.str.contains(_END_OF_DAY)
        tidy = tidy.str.replace(_END_OF_DAY, "${1}00${2}")
        parts = tidy.str.extract_groups(_OFFSET).struct
        body = parts.field("1")
        minutes = parts.field("2").cast(pl.Int64, strict=False) * 60
        sign = pl.select(pl.when(parts.field("2").str.starts_with("-")).then(-1).otherwise(1)).to_series()
        minutes = (minutes + sign * parts.field("3").cast(pl.Int64, strict=False).fill_null(0)).fill_null(0)
        found = pl.Series(text.name, [None], UTC_MICROSECONDS).new_from_index(0, len(text))
        for values, shift in ((body, minutes), (tidy, None)):
            for spelling in self._spellings:
                left = (found.is_null() & values.is_not_null()).arg_true()
                if not len(left):
                    break
                times = self._parsed(values.gather(left), spelling)
                if shift is None:
                    utc = _localised(times, zone)
                else:
                    utc = (
                        times - shift.gather(left).cast(pl.Duration("us")) * 60_000_000
                    ).dt.replace_time_zone("UTC")
                found = found.scatter(left, utc.cast(UTC_MICROSECONDS))
        return pl.select(pl.when(midnight).then(found + pl.duration(days=1)).otherwise(found)).to_series()

    def _parsed(self, text: pl.Series, spelling: str) -> pl.Series:
        try:
            few = text.head(_SAMPLE)
            repeated = few.n_unique() <= _SAMPLE // 2  # else remembering them takes longer than parsing
            times = text.str.to_datetime(spelling, time_unit="us", strict=False, cache=repeated)
        except pl.exceptions.PolarsError as error:
            reason = str(error).splitlines()[0]
            raise SettingsError(f"time format {self.name!r}: is no pattern ({reason}); mend it") from None
        if self.name == ISO or "%Y" not in spelling:
            return times
        return times.set(times.dt.year() < 100, None)  # `%Y` takes the year 20 for 2020  # noqa: PLR2004


def _as_digits(numbers: pl.Series) -> pl.Series:
    """Return whole numbers as text, for patterns of digits such as `%Y%m%d`."""
    return (numbers.cast(pl.Int64, strict=False) if numbers.dtype.is_numeric() else numbers).cast(pl.String)


def _localised(times: pl.Series, zone: str) -> pl.Series:
    """Return times without a zone as UTC."""
    if zone == "UTC":
        return times.dt.replace_time_zone("UTC").cast(UTC_MICROSECONDS)

    def moments(expression: pl.Expr) -> pl.Expr:
        zoned = expression.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
        return zoned.dt.convert_time_zone("UTC")

    local = pl.col(times.name)
    skipped = moments(local - _GAP) + _GAP
    return times.to_frame().select(pl.coalesce(moments(local), skipped).cast(UTC_MICROSECONDS))[times.name]


def microseconds_per_unit(epoch: float) -> float:
    """Return the microseconds in one unit of an epoch timestamp, recognised by its size.

    From 1973 to 5138 the size is unambiguous: below 1e11 it counts seconds, below 1e14 milliseconds, below
    1e17 microseconds, above that nanoseconds. The unit of a file is that of the median of its first timestamps, so
    that a placeholder such as 0 in its first row decides nothing; a value in another unit is a fault that the
    audit sees, and is not corrected silently.
    """
    size = abs(epoch)
    if size < _SECONDS_BELOW:
        return 1_000_000
    if size < _MILLISECONDS_BELOW:
        return 1_000
    return 1 if size < _MICROSECONDS_BELOW else 0.001


def utc_from_epoch(values: pl.Series, *, microseconds: float) -> pl.Series:
    """Convert epoch numbers to UTC timestamps; fractions of a second are kept.

    Args:
        values: numbers since 1970-01-01.
        microseconds: microseconds in one unit.

    Returns:
        Timestamps under the same name; null where the number is null, not finite, or outside of the years 1 to
        9999, which shows a number in another unit.
    """
    about = values.cast(pl.Float64) * microseconds
    if values.dtype.is_integer() and microseconds >= 1:
        counted = values.cast(pl.Int64) * int(microseconds)
    else:
        counted = about.round().cast(pl.Int64, strict=False)
    inside = about.is_between(_YEAR_1, _YEAR_10_000, closed="left")
    return pl.select(pl.when(inside).then(counted).cast(UTC_MICROSECONDS).alias(values.name)).to_series()
