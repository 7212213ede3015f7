"""Cleaning of days: from raw events to valid, deduplicated, weighted interactions; every row is accounted for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Final

import numpy as np
import polars as pl

from recsys_assets import columns
from recsys_assets.interactions.contract import INTERACTIONS
from recsys_assets.interactions.event_lines import key_of, one_row_an_event, together
from recsys_assets.interactions.returns import TakenOff
from recsys_assets.interactions.row_rule import FAULTS, REASON, RowRule, counted, judged, tidied
from recsys_assets.interactions.wish_rule import WishRule
from recsys_assets.quality.expectations import SAMPLE_ROWS
from recsys_assets.quality.row_account import RowAccount, RowsOfReason
from recsys_assets.storage.arrays import EPOCH

_MOST_WEIGHT: Final = 4.0
"""log2(1 + 15): beyond 15 pieces a quantity is a unit (grams, litres), not a stronger wish."""
_PLAIN: Final = RowRule()


@dataclass(frozen=True, kw_only=True)
class Cleaned:
    """A cleaned day, and the account of its raw rows."""

    frame: pl.DataFrame
    """The INTERACTIONS contract's columns, sorted by timestamp, user, item, kind."""
    account: RowAccount
    """Every raw row: an interaction, or under its reason."""
    faulty: Callable[[], pl.DataFrame]
    """Returns up to 20 raw rows that are left out for one of `FAULTS`, after their `reason`."""
    wishes: int
    """Rows of `frame` with a weight above 0."""

    @property
    def dropped(self) -> dict[str, int]:
        """Reason -> raw rows that are not in `frame`; reasons that dropped none are left out."""
        return {reason: found.rows for reason, found in self.account.reasons.items()}


def clean(raw: pl.DataFrame, *, day: date, rule: WishRule, rows: RowRule = _PLAIN) -> Cleaned:
    """Keep the valid events of `day`, once each, with a weight.

    Ids and kinds are stripped of surrounding white space; kinds become lower case, an empty one null. A row is
    dropped for the first reason that holds: `no_user`, `no_item` (null or empty), `outside_day` (or no
    timestamp), `not_finite`, `cancelled`, `not_product`, `returned` (a return, or a purchase with nothing left),
    `quantity_not_positive` (0), `value_negative` (a correction), `duplicate` (the same as a row before in every
    column, the source's own among them). Rows that share user, item, timestamp and kind only are lines of one event
    and become one, `merged`: quantities and values add up, of ratings the last in the source's order stays. Where
    no line has a quantity or a rating, each is a piece.

    The weight is log2(1 + quantity), at most 4, and 1 where the source has no quantity (the second piece says
    less than the first), times the kind's weight by `rule`, and 0 where the rating is below that of a wish.
    """
    (cleaned,) = clean_days([(day, raw)], rule=rule, rows=rows)
    return cleaned


def clean_days(
    raw: Sequence[tuple[date, pl.DataFrame]],
    *,
    rule: WishRule,
    rows: RowRule = _PLAIN,
    taken_off: TakenOff | None = None,
) -> list[Cleaned]:
    """Clean many days at once, with the same results as `clean` of each, in their order.

    Args:
        raw: each day once, with the rows that were delivered in it; at least one day.
        rule: the weight of each kind, and the least rating of a wish.
        rows: the rows that are no interaction by the choice of the shop.
        taken_off: pieces that returns take off the purchases of these days; None for none.
    """
    days = [day for day, _ in raw]
    less = taken_off.on(days) if taken_off is not None else None
    delivered = judged(tidied(together(raw)), rows)
    if less is not None:
        delivered = less.without_returned(delivered)
    is_valid = delivered[REASON].is_null()
    left_out = delivered.filter(~is_valid)
    lines = one_row_an_event(delivered.filter(is_valid).drop(REASON), rows)
    events = lines.events if less is None else less.less_pieces(lines.events)
    found: dict[date, dict[str, RowsOfReason]] = {}
    counted(left_out, found)
    counted(lines.duplicates, found, reason="duplicate")
    counted(lines.merged, found, reason="merged")
    faulty = _LeftOut(left_out, lines.duplicates).faulty
    weighted, bounds = _weighted(events, days, rule)
    wishes = np.concatenate([[0], np.cumsum(weighted[columns.WEIGHT].to_numpy() > 0)])
    return [
        Cleaned(
            frame=weighted.slice(start, end - start),
            account=RowAccount(kept=end - start, reasons=found.get(day, {})),
            faulty=partial(faulty, day),
            wishes=int(wishes[end] - wishes[start]),
        )
        for day, (start, end) in zip(days, bounds, strict=True)
    ]


def _weighted(
    events: pl.DataFrame, days: Sequence[date], rule: WishRule
) -> tuple[pl.DataFrame, list[tuple[int, int]]]:
    """Return the INTERACTIONS contract's columns of the events, sorted, and start and end of each day's."""
    # a valid row's timestamp is in its day, so that sorted by time the days lie one after the other
    frame = events.sort(columns.TIMESTAMP, *(name for name in key_of(events) if name != columns.TIMESTAMP))
    weight = _weight(rule.factor(frame)).alias(columns.WEIGHT)
    partitions = frame[columns.PARTITION].to_physical().to_numpy()
    numbers = np.array([(day - EPOCH).days for day in days])
    starts, ends = np.searchsorted(partitions, numbers), np.searchsorted(partitions, numbers + 1)
    weighted = frame.with_columns(weight).select(list(INTERACTIONS.columns))
    return weighted, list(zip(starts.tolist(), ends.tolist(), strict=True))


@dataclass(frozen=True)
class _LeftOut:
    """The rows of many days that are left out; looked at only where a day has too many."""

    judged: pl.DataFrame
    duplicates: pl.DataFrame

    def faulty(self, day: date) -> pl.DataFrame:
        named = self.duplicates.with_columns(pl.lit("duplicate").alias(REASON))
        rows = pl.concat([self.judged, named.select(self.judged.columns)])
        of_day = rows.filter(pl.col(columns.PARTITION) == day, pl.col(REASON).is_in(FAULTS))
        return of_day.head(SAMPLE_ROWS).select(REASON, pl.exclude(REASON, columns.PARTITION))


def _weight(factor: pl.Expr | None) -> pl.Expr:
    pieces = (1 + pl.col(columns.QUANTITY)).log(2).clip(upper_bound=_MOST_WEIGHT)
    plain = pieces.fill_null(1.0).cast(pl.Float32)
    return plain if factor is None else plain * factor
