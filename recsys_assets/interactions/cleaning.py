"""Cleaning of a day: from raw events to valid, deduplicated, weighted interactions; drops are counted."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Final, Protocol

import polars as pl

from recsys_assets import columns
from recsys_assets.interactions.contract import INTERACTIONS
from recsys_assets.quality.audit_and_publish import DayPublisher, DayStore, PublishOutcome
from recsys_assets.quality.contract import UTC_MICROSECONDS
from recsys_assets.quality.expectations import CheckResult, Expectation, expect
from recsys_assets.quality.ledger import Ledger
from recsys_assets.quality.run_expectations import contract_expectations, evaluate, schema_result

_KEY: Final = (columns.USER_ID, columns.ITEM_ID, columns.TIMESTAMP)
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

INTERACTIONS_CHECKS: tuple[str, ...] = (
    "schema",
    *(e.name for e in (*INTERACTIONS_EXPECTATIONS, *CLEANING_EXPECTATIONS)),
)
"""Names of the checks of a cleaned day."""


@dataclass(frozen=True, kw_only=True)
class Cleaned:
    """A cleaned day, and the raw rows that cleaning dropped."""

    frame: pl.DataFrame
    """The INTERACTIONS contract's columns, sorted by timestamp, user, item."""
    dropped: dict[str, int]
    """Reason -> raw rows that are not in `frame`; reasons that dropped none are left out."""
    raw_rows: int
    """Rows before cleaning."""


def clean(raw: pl.DataFrame, *, day: date) -> Cleaned:
    """Keep the valid events of `day`, once each, with a weight.

    Ids are stripped of surrounding white space. A row is dropped for the first reason that holds:
    `no_user`, `no_item` (null or empty), `outside_day` (or no timestamp), `not_finite`,
    `quantity_not_positive`, `value_negative` (returns and corrections), `duplicate` (same user, item,
    timestamp, rating, quantity and value as a row before). Rows that share user, item and timestamp only are
    lines of one event and become one, `merged`: quantities and values add up, of ratings the last in the
    source's order stays.

    The weight is log2(1 + quantity), at most 4, and 1 where the source has no quantity: the second piece
    says less than the first. Ratings do not enter, since their scale is not known here.
    """
    kept, dropped = _drop_invalid(raw, day=day)
    once = kept.filter(pl.struct(pl.all()).is_first_distinct()) if kept.height > 1 else kept
    merged = _merge_lines(once)
    dropped |= {"duplicate": kept.height - once.height, "merged": once.height - merged.height}
    frame = merged.sort(columns.TIMESTAMP, columns.USER_ID, columns.ITEM_ID)
    weighted = frame.with_columns(_weight().alias(columns.WEIGHT)).select(list(INTERACTIONS.columns))
    return Cleaned(
        frame=weighted,
        dropped={reason: rows for reason, rows in dropped.items() if rows},
        raw_rows=raw.height,
    )


def audit_interactions(day: date, cleaned: Cleaned) -> list[CheckResult]:
    """Return the results of INTERACTIONS_CHECKS on a cleaned day."""
    name = INTERACTIONS.name
    kept = pl.DataFrame({_KEPT: pl.int_range(cleaned.raw_rows, eager=True) < cleaned.frame.height})
    return [
        schema_result(cleaned.frame, INTERACTIONS.polars_schema(), table=name, day=day),
        *evaluate(INTERACTIONS_EXPECTATIONS, cleaned.frame, table=name, day=day),
        *evaluate(CLEANING_EXPECTATIONS, kept, table=name, day=day),
    ]


class RawDays(Protocol):
    """The part of the raw store that cleaning needs."""

    def path(self, day: date) -> Path:
        """Path of `day`'s file, also where it is missing."""

    def read(self, day: date) -> pl.DataFrame:
        """One day's rows."""


@dataclass(kw_only=True)
class InteractionsOutcome:
    """The days of one run."""

    published: PublishOutcome
    """Days published and rejected."""
    dropped: dict[str, int] = field(default_factory=dict)
    """Reason -> raw rows dropped or merged, over all days."""
    missing: list[date] = field(default_factory=list)
    """Days without a raw file (never landed, or in quarantine), which are left out."""


def publish_interactions(
    days: Iterable[date],
    *,
    raw: RawDays,
    store: DayStore,
    quarantine: Path,
    ledger: Ledger | None = None,
    progress: Callable[[date], None] | None = None,
) -> InteractionsOutcome:
    """Clean the raw store's days, in order, audit each and publish it or put it in quarantine.

    Args:
        days: the days.
        raw: where the raw events are.
        store: where a passing day is written.
        quarantine: folder of rejected days.
        ledger: keeps every result.
        progress: called with each day when it is done.
    """
    publisher = DayPublisher(store=store, quarantine=quarantine, ledger=ledger)
    dropped = Counter[str]()
    missing = []
    for day in days:
        if not raw.path(day).is_file():
            missing.append(day)
            continue
        cleaned = clean(raw.read(day), day=day)
        dropped.update(cleaned.dropped)
        publisher.publish(day, cleaned.frame, audit_interactions(day, cleaned))
        if progress is not None:
            progress(day)
    return InteractionsOutcome(published=publisher.finish(), dropped=dict(dropped), missing=missing)


def _drop_invalid(raw: pl.DataFrame, *, day: date) -> tuple[pl.DataFrame, dict[str, int]]:
    """Return the valid rows of `day`, and by reason the number of the others."""
    events = raw.lazy().select(
        pl.col(columns.USER_ID).str.strip_chars(),
        pl.col(columns.ITEM_ID).str.strip_chars(),
        columns.TIMESTAMP,
        columns.RATING,
        columns.QUANTITY,
        columns.VALUE,
    )
    judged = events.with_columns(_first_reason(day)).collect()
    kept = judged.filter(pl.col(_REASON).is_null()).drop(_REASON)
    reasons = judged.filter(pl.col(_REASON).is_not_null())[_REASON]
    return kept, dict(reasons.value_counts().sort(_REASON).iter_rows())


def _first_reason(day: date) -> pl.Expr:
    start = pl.lit(day).cast(UTC_MICROSECONDS)
    end = pl.lit(day + timedelta(days=1)).cast(UTC_MICROSECONDS)
    timestamp, quantity, value = pl.col(columns.TIMESTAMP), pl.col(columns.QUANTITY), pl.col(columns.VALUE)
    within = timestamp.is_between(start, end, closed="left").fill_null(value=False)
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


def _merge_lines(frame: pl.DataFrame) -> pl.DataFrame:
    shared = pl.struct(*_KEY).is_duplicated()
    lines = frame.filter(shared) if frame.height > 1 else frame.clear()
    if lines.is_empty():
        return frame

    def total(name: str) -> pl.Expr:  # polars sums nulls to 0, but unknown pieces are not no pieces
        return pl.when(pl.col(name).is_not_null().any()).then(pl.col(name).sum())

    events = lines.group_by(*_KEY, maintain_order=True).agg(
        pl.col(columns.RATING).drop_nulls().last(), total(columns.QUANTITY), total(columns.VALUE)
    )
    return pl.concat([frame.filter(~shared), events])


def _weight() -> pl.Expr:
    pieces = (1 + pl.col(columns.QUANTITY)).log(2).clip(upper_bound=_MOST_WEIGHT)
    return pieces.fill_null(1.0).cast(pl.Float32)
