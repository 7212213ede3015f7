"""Timestamps of any kind into the lake's UTC microseconds."""

from typing import Final

import polars as pl

from recsys_assets.quality.contract import UTC_MICROSECONDS

_SECONDS_BELOW: Final = 1e11
_MILLISECONDS_BELOW: Final = 1e14
_MICROSECONDS_BELOW: Final = 1e17
_YEAR_1: Final = -62_135_596_800_000_000
_YEAR_10_000: Final = 253_402_300_800_000_000


def microseconds_per_unit(epoch: float) -> float:
    """How many microseconds one unit of an epoch timestamp is, told by its size.

    From 1973 to 5138 the size is unambiguous: below 1e11 it counts seconds, below 1e14 milliseconds, below
    1e17 microseconds, above that nanoseconds. A file is asked once, by its first timestamp: one value in
    another unit is then a fault that the audit sees, not something mended in silence.
    """
    size = abs(epoch)
    if size < _SECONDS_BELOW:
        return 1_000_000
    if size < _MILLISECONDS_BELOW:
        return 1_000
    return 1 if size < _MICROSECONDS_BELOW else 0.001


def utc_from_epoch(values: pl.Series, *, microseconds: float) -> pl.Series:
    """Epoch numbers, in units of so many microseconds, as UTC timestamps; fractions of a second are kept.

    Null where the number is null, not finite, or outside of the calendar (years 1 to 9999), which is how a
    number in another unit shows.
    """
    about = values.cast(pl.Float64) * microseconds
    if values.dtype.is_integer() and microseconds >= 1:
        counted = values.cast(pl.Int64) * int(microseconds)
    else:
        counted = about.round().cast(pl.Int64, strict=False)
    inside = about.is_between(_YEAR_1, _YEAR_10_000, closed="left")
    return pl.select(pl.when(inside).then(counted).cast(UTC_MICROSECONDS).alias(values.name)).to_series()


def utc_from_text(text: pl.Series) -> pl.Series:
    """ISO 8601 text as UTC timestamps; null where it is none.

    A date alone is its midnight; `T` or a blank parts date and time; seconds and their fraction may be
    missing; an offset (`Z`, `+02:00`, `+0200`) is applied, and without one the text is UTC.
    """
    name = text.name
    tidy = pl.col(name).str.strip_chars().str.replace(r"^(\d{4}-\d\d-\d\d)[Tt]", "${1} ")
    zoned = tidy.str.replace(r"\s*[Zz]$", "+00:00").str.replace(r"\s*([+-]\d\d)(:?\d\d)?$", "${1}${2}")
    parsed = [
        tidy.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False).dt.replace_time_zone(
            "UTC"
        ),
        tidy.str.to_datetime("%Y-%m-%d %H:%M", time_unit="us", strict=False).dt.replace_time_zone("UTC"),
        tidy.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
        zoned.str.to_datetime("%Y-%m-%d %H:%M:%S%.f%#z", time_unit="us", strict=False),
        zoned.str.to_datetime("%Y-%m-%d %H:%M%#z", time_unit="us", strict=False),
    ]
    return text.to_frame().select(pl.coalesce(parsed).cast(UTC_MICROSECONDS).alias(name))[name]
