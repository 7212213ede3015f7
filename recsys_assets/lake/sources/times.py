"""Numbers that count seconds, milliseconds or microseconds into the lake's UTC microseconds."""

import polars as pl

from recsys_assets.quality.contract import UTC_MICROSECONDS


def microseconds_per_unit(epoch: float) -> float:
    """How many microseconds one unit of an epoch timestamp is, told by its size.

    Every moment between 1973 and 5138 is unambiguous: below 1e11 the number counts seconds, below 1e14
    milliseconds, below 1e17 microseconds, above that nanoseconds. A source is asked once, with its first
    timestamp: one value in another unit is then a fault that the audit sees, not something mended in silence.
    """
    size = abs(epoch)
    if size < 1e11:  # noqa: PLR2004  the bounds are the docstring's
        return 1_000_000
    if size < 1e14:  # noqa: PLR2004
        return 1_000
    return 1 if size < 1e17 else 0.001  # noqa: PLR2004


def utc_from_epoch(values: pl.Series, *, microseconds: float) -> pl.Series:
    """Epoch numbers, in units of so many microseconds, as UTC timestamps; fractions of seconds are kept."""
    if values.dtype.is_integer() and microseconds >= 1:
        counted = values.cast(pl.Int64) * int(microseconds)
    else:
        counted = (values.cast(pl.Float64) * microseconds).round().cast(pl.Int64)
    return counted.cast(pl.Datetime("us")).dt.replace_time_zone("UTC").cast(UTC_MICROSECONDS)
