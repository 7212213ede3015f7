"""Returns: the pieces that each takes off the same user's purchases of the item before it, over all days."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Final, Self

import polars as pl

from recsys_assets import columns
from recsys_assets.interactions.event_lines import one_row_an_event, together
from recsys_assets.interactions.row_rule import REASON, RowRule, judged, tidied
from recsys_assets.lake.merged_rows import user_of
from recsys_assets.lake.raw_returns import is_return, may_have_returns
from recsys_assets.quality.contract import UTC_MICROSECONDS
from recsys_assets.storage.atomic import replaced_file
from recsys_assets.storage.partition_store import PartitionStore

RETURNED: Final = "returned"
_PURCHASES: Final = ("purchase", "order", "transaction", "sale", "buy")
"""Kinds that a return takes pieces off, beside events without a kind."""
_KEY: Final = (columns.PARTITION, columns.USER_ID, columns.ITEM_ID, columns.TIMESTAMP, columns.KIND)
_PAIR: Final = (columns.USER_ID, columns.ITEM_ID)
_HAD, _LEFT = "had", "left"
_NOTHING: Final = 1e-4
"""Share of an event's pieces below which nothing is left: quantities are 32-bit."""
_WITH_PIECES: Final = pl.Schema(
    {
        columns.PARTITION: pl.Date(),
        columns.USER_ID: pl.String(),
        columns.ITEM_ID: pl.String(),
        columns.TIMESTAMP: UTC_MICROSECONDS,
        columns.KIND: pl.String(),
        _HAD: pl.Float64(),
    }
)
_TAKEN: Final = pl.Schema({**_WITH_PIECES, _LEFT: pl.Float64()})


@dataclass(frozen=True)
class TakenOff:
    """Purchases that lose pieces to returns."""

    frame: pl.DataFrame
    """One row a purchase: day, user, item, time, kind, pieces `had` and `left`; sorted."""

    @classmethod
    def none(cls) -> Self:
        """Return no purchase."""
        return cls(_TAKEN.to_frame())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        return cls(pl.read_parquet(path, hive_partitioning=False, glob=False))

    def save(self, path: Path) -> None:
        """Write a Parquet file, atomically."""
        with replaced_file(path) as staged:
            self.frame.write_parquet(staged)

    @cached_property
    def _of_days(self) -> dict[date, pl.DataFrame]:
        return {
            day: frame
            for (day,), frame in self.frame.partition_by(columns.PARTITION, as_dict=True).items()
            if isinstance(day, date)
        }

    def on(self, days: Iterable[date]) -> "TakenOff | None":
        """Return the purchases of these days; None where they have none."""
        found = [self._of_days[day] for day in days if day in self._of_days]
        return TakenOff(pl.concat(found)) if found else None

    def fingerprint(self, day: date) -> tuple[str, ...]:
        """Return a hash of the pieces that `day` loses; empty where it loses none."""
        if day not in self._of_days:
            return ()
        rows = self._of_days[day].with_columns(pl.col(columns.TIMESTAMP).to_physical()).rows()
        return (hashlib.sha256(repr(rows).encode()).hexdigest(),)

    def without_returned(self, delivered: pl.DataFrame) -> pl.DataFrame:
        """Give the rows of purchases with nothing left their REASON."""
        whole = self.frame.filter(pl.col(_LEFT) == 0).select(*_KEY, pl.lit(value=True).alias(_HAD))
        marked = delivered.join(whole, on=_KEY, how="left", nulls_equal=True, maintain_order="left")
        reason = pl.when(pl.col(_HAD).fill_null(value=False)).then(pl.lit(RETURNED))
        return marked.with_columns(pl.coalesce(REASON, reason).alias(REASON)).drop(_HAD)

    def less_pieces(self, events: pl.DataFrame) -> pl.DataFrame:
        """Give the other purchases the pieces that are left, and the value in proportion."""
        joined = events.join(self.frame, on=_KEY, how="left", nulls_equal=True, maintain_order="left")
        share = (pl.col(_LEFT) / pl.col(_HAD)).fill_null(1.0)
        return joined.with_columns(
            pl.coalesce(pl.col(_LEFT).cast(pl.Float32), columns.QUANTITY).alias(columns.QUANTITY),
            pl.col(columns.VALUE) * share,
        ).drop(_HAD, _LEFT)


def taken_off(store: PartitionStore, rule: RowRule) -> TakenOff:
    """Match every return with the purchases before it, latest first.

    Days whose note says that they have no return are not opened, and where none has one, nothing is read. Else all
    days are read, but only the rows of pairs that have a return are kept.

    Args:
        store: the raw days.
        rule: the effect of a return, and the rows that are no event.
    """
    if rule.returns == "keep":
        return TakenOff.none()
    files = store.files()
    with_returns = [day for day, file in files.items() if may_have_returns(file)]
    returns = _returns(store, with_returns, rule)
    if returns.is_empty():
        return TakenOff.none()
    pairs = returns.select(_PAIR).unique()
    purchases = _purchases(store, [day for day, file in files.items() if file.rows != 0], pairs, rule)
    if rule.returns == "drop":
        return TakenOff(_as_taken(purchases.with_columns(pl.lit(0.0).alias(_LEFT))))
    return TakenOff(_as_taken(_matched(purchases, returns)))


def _returns(store: PartitionStore, days: Sequence[date], rule: RowRule) -> pl.DataFrame:
    """Return the valid returns, each once: RAW_COLUMNS and the pieces that came back in `had`."""
    found = [_WITH_PIECES.to_frame()]
    for chunk in store.read_chunks(days, every_column=True, where=lambda rows: rows.filter(is_return())):
        rows = judged(tidied(_filled(chunk)), rule)
        valid = rows.filter(pl.col(REASON) == RETURNED).drop(REASON)
        again = ~pl.struct(pl.all()).is_first_distinct()
        if rule.identical_rows == "pieces":
            again &= pl.col(columns.QUANTITY).is_not_null()
        found.append(valid.filter(~again).select(*_KEY, _pieces()))
    return pl.concat(found)


def _purchases(
    store: PartitionStore, days: Sequence[date], pairs: pl.DataFrame, rule: RowRule
) -> pl.DataFrame:
    """Return the purchases of the pairs, one row each, with their pieces in `had`."""

    def of_pairs(rows: pl.DataFrame) -> pl.DataFrame:
        items = pairs[columns.ITEM_ID].unique().implode()
        near = rows.filter(pl.col(columns.ITEM_ID).str.strip_chars().is_in(items))
        pair = pl.struct(user_of(rule.merged), pl.col(columns.ITEM_ID).str.strip_chars())
        return near.filter(pair.is_in(wanted))

    wanted = pairs.to_struct().implode()
    found = [_WITH_PIECES.to_frame()]
    for chunk in store.read_chunks(days, every_column=True, where=of_pairs):
        filled = _filled(chunk)
        if filled.is_empty():
            continue
        rows = judged(tidied(filled), rule)
        events = one_row_an_event(rows.filter(pl.col(REASON).is_null()).drop(REASON), rule).events
        is_rating = pl.col(columns.RATING).is_not_null() & pl.col(columns.QUANTITY).is_null()
        is_purchase = (pl.col(columns.KIND).is_null() & ~is_rating) | pl.col(columns.KIND).is_in(_PURCHASES)
        found.append(events.filter(is_purchase).select(*_KEY, _pieces()))
    return pl.concat(found)


def _filled(chunk: Sequence[tuple[date, pl.DataFrame]]) -> pl.DataFrame:
    """Return the rows of the days that have any."""
    return together([(day, frame) for day, frame in chunk if frame.height] or chunk[:1])


def _pieces() -> pl.Expr:
    return pl.col(columns.QUANTITY).abs().cast(pl.Float64).fill_null(1.0).alias(_HAD)


def _matched(purchases: pl.DataFrame, returns: pl.DataFrame) -> pl.DataFrame:
    """Return the purchases with the pieces `left`; those that lose none are left out."""
    both = pl.concat(
        [
            purchases.with_row_index("place").with_columns(pl.lit(value=False).alias("back")),
            returns.with_columns(
                pl.lit(0, pl.UInt32).alias("place"), pl.lit(value=True).alias("back")
            ).select("place", *purchases.columns, "back"),
        ]
    ).sort(*_PAIR, columns.TIMESTAMP, "back", "place")
    left = purchases[_HAD].to_list()
    open_places: list[int] = []
    pair: tuple[str, str] = ("", "")
    for user, item, place, pieces, back in both.select(*_PAIR, "place", _HAD, "back").iter_rows():
        if (user, item) != pair:
            pair, open_places = (user, item), []
        if not back:
            open_places.append(place)
            continue
        to_take = pieces
        while to_take > 0 and open_places:
            last = open_places[-1]
            taken = min(to_take, left[last])
            left[last] -= taken
            to_take -= taken
            if left[last] <= _NOTHING * (taken + left[last]):
                left[last] = 0.0
                open_places.pop()
    return purchases.with_columns(pl.Series(_LEFT, left, dtype=pl.Float64)).filter(
        pl.col(_LEFT) < pl.col(_HAD)
    )


def _as_taken(purchases: pl.DataFrame) -> pl.DataFrame:
    return purchases.select(list(_TAKEN)).sort(_KEY)
