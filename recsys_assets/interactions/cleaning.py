"""Cleaning of a day: from raw events to valid, deduplicated, weighted interactions; drops are counted."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import polars as pl

from recsys_assets import columns
from recsys_assets.interactions.contract import INTERACTIONS
from recsys_assets.interactions.wish_rule import WishRule
from recsys_assets.quality.audit_and_publish import DayPublisher, DayStore, PublishOutcome
from recsys_assets.quality.contract import UTC_MICROSECONDS
from recsys_assets.quality.expectations import CheckResult, Expectation, expect
from recsys_assets.quality.ledger import Ledger
from recsys_assets.quality.run_expectations import (
    contract_expectations,
    evaluate_days,
    partitioned,
    schema_result,
)
from recsys_assets.storage.arrays import EPOCH

_KEY: Final = (columns.USER_ID, columns.ITEM_ID, columns.TIMESTAMP)
_RAW_COLUMNS: Final = (*_KEY, columns.RATING, columns.QUANTITY, columns.VALUE, columns.KIND)
_REASON: Final = "reason"
_MOST_WEIGHT: Final = 4.0
"""log2(1 + 15): beyond 15 pieces a quantity is a unit (grams, litres), not a stronger wish."""

_KEPT: Final = "kept"

INTERACTIONS_EXPECTATIONS: list[Expectation] = contract_expectations(INTERACTIONS)
"""Expectations of every row of a cleaned day."""

CLEANING_EXPECTATIONS: list[Expectation] = [
    expect(_KEPT).that(pl.col(_KEPT), name="by_cleaning", mostly=0.8, block_below=0.4, from_rows=50)
]
"""Expectations of a frame with one row a raw row: True where cleaning kept it."""

_LISTED: Final = "listed"
_MOSTLY_LISTED: Final = 0.99
"""Share of a day's events whose kind should be listed: a stray row of tests is no news."""


def kind_expectations(rule: WishRule) -> list[Expectation]:
    """Return the expectations of a day's kinds; they only warn, since an unlisted kind may well be a wish."""
    listed = pl.col(columns.KIND).is_in(list(rule.kinds))
    return [expect(columns.KIND).that(listed, name=_LISTED, mostly=_MOSTLY_LISTED)]


INTERACTIONS_CHECKS: tuple[str, ...] = (
    "schema",
    *(e.name for e in (*INTERACTIONS_EXPECTATIONS, *kind_expectations(WishRule()), *CLEANING_EXPECTATIONS)),
)
"""Names of the checks of a cleaned day."""


@dataclass(frozen=True, kw_only=True)
class Cleaned:
    """A cleaned day, and the raw rows that cleaning dropped."""

    frame: pl.DataFrame
    """The INTERACTIONS contract's columns, sorted by timestamp, user, item, kind."""
    dropped: dict[str, int]
    """Reason -> raw rows that are not in `frame`; reasons that dropped none are left out."""
    raw_rows: int
    """Rows before cleaning."""
    wishes: int
    """Rows of `frame` with a weight above 0."""


def clean(raw: pl.DataFrame, *, day: date, rule: WishRule) -> Cleaned:
    """Keep the valid events of `day`, once each, with a weight.

    Ids and kinds are stripped of surrounding white space; kinds become lower case, an empty one null. A row is
    dropped for the first reason that holds: `no_user`, `no_item` (null or empty), `outside_day` (or no
    timestamp), `not_finite`, `quantity_not_positive`, `value_negative` (returns and corrections), `duplicate`
    (same user, item, timestamp, kind, rating, quantity and value as a row before). Rows that share user, item,
    timestamp and kind only are lines of one event and become one, `merged`: quantities and values add up, of
    ratings the last in the source's order stays.

    The weight is log2(1 + quantity), at most 4, and 1 where the source has no quantity (the second piece says
    less than the first), times the kind's weight by `rule`, and 0 where the rating is below that of a wish.
    """
    (cleaned,) = clean_days([(day, raw)], rule=rule)
    return cleaned


def clean_days(raw: Sequence[tuple[date, pl.DataFrame]], *, rule: WishRule) -> list[Cleaned]:
    """Clean many days at once, with the same results as `clean` of each, in their order.

    Args:
        raw: each day once, with the rows that were delivered in it; at least one day.
        rule: the weight of each kind, and the least rating of a wish.
    """
    days = [day for day, _ in raw]
    valid, invalid = _drop_invalid(partitioned([(day, frame.select(_RAW_COLUMNS)) for day, frame in raw]))
    once = valid.filter(pl.struct(pl.all()).is_first_distinct()) if valid.height > 1 else valid
    key = _key_of(once)
    merged = _merge_lines(once, key)
    reasons = {day: invalid.get(day, {}) for day in days}
    for reason, before, after in (("duplicate", valid, once), ("merged", once, merged)):
        for day, rows in _rows_lost(before, after).items():
            reasons[day][reason] = rows
    # a valid row's timestamp is in its day, so that sorted by time the days lie one after the other
    frame = merged.sort(columns.TIMESTAMP, *(name for name in key if name != columns.TIMESTAMP))
    weight = _weight(rule.factor(frame)).alias(columns.WEIGHT)
    weighted = frame.with_columns(weight).select(list(INTERACTIONS.columns))
    wishes = np.concatenate([[0], np.cumsum(weighted[columns.WEIGHT].to_numpy() > 0)])
    partitions = frame[columns.PARTITION].to_physical().to_numpy()
    numbers = np.array([(day - EPOCH).days for day in days])
    starts, ends = np.searchsorted(partitions, numbers), np.searchsorted(partitions, numbers + 1)
    return [
        Cleaned(
            frame=weighted.slice(start, end - start),
            dropped=reasons[day],
            raw_rows=rows.height,
            wishes=int(wishes[end] - wishes[start]),
        )
        for (day, rows), start, end in zip(raw, starts.tolist(), ends.tolist(), strict=True)
    ]


def audit_days(cleaned: Sequence[tuple[date, Cleaned]], *, rule: WishRule) -> list[list[CheckResult]]:
    """Return the results of INTERACTIONS_CHECKS on each cleaned day, in their order; `rule` lists the kinds."""
    name, schema = INTERACTIONS.name, INTERACTIONS.polars_schema()
    frames = [(day, of_day.frame) for day, of_day in cleaned]
    kept = [(day, _kept_rows(of_day)) for day, of_day in cleaned]
    expected = [*INTERACTIONS_EXPECTATIONS, *kind_expectations(rule)]
    return [
        [schema_result(frame, schema, table=name, day=day), *of_rows, *of_cleaning]
        for (day, frame), of_rows, of_cleaning in zip(
            frames,
            evaluate_days(expected, frames, table=name),
            evaluate_days(CLEANING_EXPECTATIONS, kept, table=name),
            strict=True,
        )
    ]


class RawDays(Protocol):
    """The part of the raw store that cleaning needs."""

    def read_chunks(self, days: Iterable[date]) -> Iterator[list[tuple[date, pl.DataFrame]]]:
        """Yield the days that have a file, with their rows, in chunks that fit in memory."""


@dataclass(kw_only=True)
class InteractionsOutcome:
    """The days of one run."""

    published: PublishOutcome
    """Days published and rejected."""
    dropped: dict[str, int] = field(default_factory=dict)
    """Reason -> raw rows dropped or merged, over all days."""
    wishes: dict[date, int] = field(default_factory=dict)
    """Cleaned day -> its rows with a weight above 0."""
    missing: list[date] = field(default_factory=list)
    """Days without a raw file (never landed, or in quarantine), which are left out."""


def publish_interactions(
    days: Iterable[date],
    *,
    raw: RawDays,
    store: DayStore,
    quarantine: Path,
    rule: WishRule,
    ledger: Ledger | None = None,
    progress: Callable[[date], None] | None = None,
) -> InteractionsOutcome:
    """Clean the raw store's days, in order, audit each and publish it or put it in quarantine.

    Args:
        days: the days.
        raw: where the raw events are.
        store: where a passing day is written.
        quarantine: folder of rejected days.
        rule: the weight of each kind, and the least rating of a wish.
        ledger: keeps every result.
        progress: called with each day when it is done.
    """
    publisher = DayPublisher(store=store, quarantine=quarantine, ledger=ledger)
    dropped, wishes = Counter[str](), dict[date, int]()
    wanted = list(days)
    missing = set(wanted)
    for chunk in raw.read_chunks(wanted):
        cleaned = [(day, one) for (day, _), one in zip(chunk, clean_days(chunk, rule=rule), strict=True)]
        for (day, one), results in zip(cleaned, audit_days(cleaned, rule=rule), strict=True):
            missing.discard(day)
            dropped.update(one.dropped)
            wishes[day] = one.wishes
            publisher.publish(day, one.frame, results)
            if progress is not None:
                progress(day)
    return InteractionsOutcome(
        published=publisher.finish(),
        dropped=dict(dropped),
        wishes=wishes,
        missing=[day for day in wanted if day in missing],
    )


def _drop_invalid(raw: pl.DataFrame) -> tuple[pl.DataFrame, dict[date, dict[str, int]]]:
    """Return the valid rows, and day -> reason -> number of the others. `raw` has `_RAW_COLUMNS` and PARTITION."""
    stripped = [pl.col(name).str.strip_chars() for name in (columns.USER_ID, columns.ITEM_ID)]
    if raw[columns.KIND].null_count() < raw.height:
        kind = pl.col(columns.KIND).str.strip_chars().str.to_lowercase()
        stripped.append(pl.when(kind != "").then(kind).alias(columns.KIND))
    judged = raw.lazy().with_columns(stripped).with_columns(_first_reason()).collect()
    is_valid = judged[_REASON].is_null()
    found: dict[date, dict[str, int]] = {}
    if not is_valid.all():
        counts = judged.filter(~is_valid).group_by(columns.PARTITION, _REASON).len()
        for day, reason, rows in counts.sort(columns.PARTITION, _REASON).iter_rows():
            found.setdefault(day, {})[reason] = rows
    return judged.filter(is_valid).drop(_REASON), found


def _first_reason() -> pl.Expr:
    start = pl.col(columns.PARTITION).cast(UTC_MICROSECONDS)
    timestamp, quantity, value = pl.col(columns.TIMESTAMP), pl.col(columns.QUANTITY), pl.col(columns.VALUE)
    within = timestamp.is_between(start, start + pl.duration(days=1), closed="left").fill_null(value=False)
    numbers = [pl.col(name) for name in (columns.RATING, columns.QUANTITY, columns.VALUE)]
    return (
        pl.when(pl.col(columns.USER_ID).fill_null("") == "")
        .then(pl.lit("no_user"))
        .when(pl.col(columns.ITEM_ID).fill_null("") == "")
        .then(pl.lit("no_item"))
        .when(~within)
        .then(pl.lit("outside_day"))
        .when(~pl.all_horizontal(number.is_finite().fill_null(value=True) for number in numbers))
        .then(pl.lit("not_finite"))
        .when(quantity <= 0)
        .then(pl.lit("quantity_not_positive"))
        .when(value < 0)
        .then(pl.lit("value_negative"))
        .alias(_REASON)
    )


def _key_of(frame: pl.DataFrame) -> tuple[str, ...]:
    """Return the columns that identify an event; the kind is one where any row has it."""
    return _KEY if frame[columns.KIND].null_count() == frame.height else (*_KEY, columns.KIND)


def _merge_lines(frame: pl.DataFrame, key: tuple[str, ...]) -> pl.DataFrame:
    shared = pl.struct(*key).is_duplicated()
    lines = frame.filter(shared) if frame.height > 1 else frame.clear()
    if lines.is_empty():
        return frame

    def total(name: str) -> pl.Expr:  # polars sums nulls to 0, but unknown pieces are not no pieces
        return pl.when(pl.col(name).is_not_null().any()).then(pl.col(name).sum())

    events = lines.group_by(columns.PARTITION, *key, maintain_order=True).agg(
        pl.col(columns.RATING).drop_nulls().last(),
        total(columns.QUANTITY),
        total(columns.VALUE),
        *(pl.lit(None, pl.String).alias(name) for name in (columns.KIND,) if name not in key),
    )
    return pl.concat([frame.filter(~shared), events.select(frame.columns)])


def _rows_lost(before: pl.DataFrame, after: pl.DataFrame) -> dict[date, int]:
    """Return the number of rows that each day has less, of the days that have less."""
    if before.height == after.height:
        return {}
    had, has = (dict(frame[columns.PARTITION].value_counts().iter_rows()) for frame in (before, after))
    return {day: rows - has.get(day, 0) for day, rows in had.items() if rows > has.get(day, 0)}


def _kept_rows(cleaned: Cleaned) -> pl.DataFrame:
    """Return one row a raw row: true as often as cleaning kept one."""
    return pl.DataFrame({_KEPT: np.arange(cleaned.raw_rows) < cleaned.frame.height})


def _weight(factor: pl.Expr | None) -> pl.Expr:
    pieces = (1 + pl.col(columns.QUANTITY)).log(2).clip(upper_bound=_MOST_WEIGHT)
    plain = pieces.fill_null(1.0).cast(pl.Float32)
    return plain if factor is None else plain * factor
