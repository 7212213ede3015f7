"""Valid rows that are the same, and rows that are lines of one event: from rows to one row an event."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from recsys_assets import columns
from recsys_assets.interactions.row_rule import RAW_COLUMNS, RowRule
from recsys_assets.quality.run_expectations import partitioned

_KEY: Final = (columns.USER_ID, columns.ITEM_ID, columns.TIMESTAMP)


@dataclass(frozen=True, kw_only=True)
class EventLines:
    """The events of valid rows, and the rows that became none of their own; all with PARTITION."""

    events: pl.DataFrame
    """One row an event, RAW_COLUMNS and PARTITION."""
    duplicates: pl.DataFrame
    """Rows that are the same as one before in every column."""
    merged: pl.DataFrame
    """Further lines of an event."""


def together(days: Sequence[tuple[date, pl.DataFrame]]) -> pl.DataFrame:
    """Return the rows of all days, with the day they belong to in PARTITION; a column that a day lacks is null."""
    schemas = {tuple(frame.schema.items()) for _, frame in days}
    if len(schemas) == 1:
        return partitioned(days)
    parts = [frame.with_columns(pl.lit(day, pl.Date).alias(columns.PARTITION)) for day, frame in days]
    return pl.concat(parts, how="diagonal_relaxed")


def key_of(rows: pl.DataFrame) -> tuple[str, ...]:
    """Return the columns that identify an event; the kind is one where any row has it."""
    return _KEY if rows[columns.KIND].null_count() == rows.height else (*_KEY, columns.KIND)


def one_row_an_event(valid: pl.DataFrame, rule: RowRule) -> EventLines:
    """Join the rows that share user, item, timestamp and kind, their duplicates left out.

    Quantities and values add up, of ratings the last in the order of the rows stays. Where no line has a quantity or
    a rating, each is a piece.

    Args:
        valid: tidied rows, with RAW_COLUMNS, PARTITION, and any of the source's own.
        rule: says whether rows that are the same are pieces.
    """
    key = key_of(valid)
    kept = [*RAW_COLUMNS, columns.PARTITION]
    shared = valid.select(pl.struct(*key).is_duplicated()).to_series()
    if not shared.any():
        return EventLines(events=valid.select(kept), duplicates=valid.clear(), merged=valid.clear())
    lines = valid.filter(shared)
    again = ~pl.struct(pl.all()).is_first_distinct()
    if rule.identical_rows == "pieces":
        again &= pl.any_horizontal(pl.col(columns.QUANTITY, columns.RATING).is_not_null())
    is_again = lines.select(again).to_series()
    once = lines.filter(~is_again)
    is_further = once.select(~pl.struct(*key).is_first_distinct()).to_series()
    return EventLines(
        events=pl.concat([valid.filter(~shared).select(kept), _joined(once, key).select(kept)]),
        duplicates=lines.filter(is_again),
        merged=once.filter(is_further),
    )


def _joined(lines: pl.DataFrame, key: tuple[str, ...]) -> pl.DataFrame:
    def total(name: str) -> pl.Expr:  # polars sums nulls to 0, but unknown pieces are not no pieces
        return pl.when(pl.col(name).is_not_null().any()).then(pl.col(name).sum())

    is_counted = pl.any_horizontal(pl.col(columns.QUANTITY, columns.RATING).is_not_null().any())
    pieces = pl.when(~is_counted & (pl.len() > 1)).then(pl.len().cast(pl.Float32))
    return lines.group_by(columns.PARTITION, *key, maintain_order=True).agg(
        pl.col(columns.RATING).drop_nulls().last(),
        pl.coalesce(total(columns.QUANTITY), pieces).alias(columns.QUANTITY),
        total(columns.VALUE),
        *(pl.lit(None, pl.String).alias(name) for name in (columns.KIND,) if name not in key),
    )
