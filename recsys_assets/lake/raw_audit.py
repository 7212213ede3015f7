"""The audit of raw days: expectations that hold for every source, and drift against published days."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

import polars as pl

from recsys_assets import columns
from recsys_assets.drift.day_events import DayEvents, read_days
from recsys_assets.drift.day_scores import DRIFT_CHECKS, OF_WHOLE_DAYS
from recsys_assets.drift.monitor import Monitor
from recsys_assets.quality.contract import Contract
from recsys_assets.quality.expectations import CheckResult, RowExpectation, expect
from recsys_assets.quality.run_expectations import evaluate_days, schema_result

TRIMMED: Final = r"(?s)^\S(.*\S)?$"
"""Pattern of text without blanks at either end."""
_ENOUGH_ROWS: Final = 50
"""Rows below which a share of bad rows means little: one return among three sales is normal."""

RAW_EXPECTATIONS: Final[tuple[RowExpectation, ...]] = (
    expect(columns.TIMESTAMP).not_null(mostly=0.99, block_below=0.5),
    expect(columns.TIMESTAMP).that(
        pl.col(columns.TIMESTAMP).dt.date() == pl.col(columns.PARTITION),
        name="between",
        mostly=0.99,
        block_below=0.5,
    ),
    expect(columns.USER_ID).not_null(mostly=0.5, block_below=0.1, from_rows=_ENOUGH_ROWS),
    expect(columns.ITEM_ID).not_null(mostly=0.5, block_below=0.1, from_rows=_ENOUGH_ROWS),
    expect(columns.USER_ID).matches(TRIMMED, mostly=0.9),
    expect(columns.ITEM_ID).matches(TRIMMED, mostly=0.9),
    *(
        expect(name).that(pl.col(name).is_finite(), name="finite", mostly=0.99, block_below=0.5)
        for name in (columns.RATING, columns.QUANTITY, columns.VALUE)
    ),
    expect(columns.QUANTITY).that(
        pl.col(columns.QUANTITY) > 0, name="positive", mostly=0.8, block_below=0.2, from_rows=_ENOUGH_ROWS
    ),
    expect(columns.VALUE).that(
        pl.col(columns.VALUE) >= 0, name="not_negative", mostly=0.8, block_below=0.2, from_rows=_ENOUGH_ROWS
    ),
)
"""The expectations of a day's raw events, the same for every source and day."""

_IN_PART: Final = "the day is not over, or has events by HTTP alone so far"
_SHARES: Final = {
    "timestamp_not_null": "rows_outside_day",
    "timestamp_between": "rows_outside_day",
    "user_id_not_null": "null_users",
    "item_id_not_null": "null_items",
    "user_id_matches": "untrimmed_user_ids",
    "item_id_matches": "untrimmed_item_ids",
    "rating_finite": "numbers_not_finite",
    "quantity_finite": "numbers_not_finite",
    "value_finite": "numbers_not_finite",
    "quantity_positive": "quantities_not_positive",
    "value_not_negative": "negative_values",
}
"""Expectation -> share that drift knows the usual value of: what is usual for a source is no news."""

RAW_CHECKS: Final[tuple[str, ...]] = (
    "schema",
    *(e.name for e in RAW_EXPECTATIONS),
    *DRIFT_CHECKS,
)
"""Names of the checks of a raw day, the same for every source."""


def of_part(result: CheckResult) -> CheckResult:
    """Return a result of drift as it is of a day in part: amount and hours say nothing, the others do not block."""
    if result.check in OF_WHOLE_DAYS:
        return CheckResult(
            table=result.table,
            day=result.day,
            check=result.check,
            verdict="ok",
            detail=f"not judged: {_IN_PART}",
        )
    if result.verdict != "block":
        return result
    return replace(result, verdict="warn", detail=f"{result.detail}; no reason to reject: {_IN_PART}")


@dataclass(frozen=True, kw_only=True)
class MeasuredDay:
    """All of a raw day's audit that depends on no other day; it may be made in another process, in any order."""

    day: date
    """The day."""
    frame: pl.DataFrame
    """Its rows."""
    columns_found: CheckResult
    """The result of `schema`."""
    expected: list[CheckResult]
    """The results of RAW_EXPECTATIONS; empty where the columns differ from the contract."""
    events: DayEvents | None
    """The day as drift reads it; None where it is not measured, or the columns differ."""


def measure_days(
    contract: Contract, frames: Sequence[tuple[date, pl.DataFrame]], *, drift: bool = True
) -> list[MeasuredDay]:
    """Measure many days by one pass over their rows, each with the same results as alone; in their order.

    Args:
        contract: the source's `raw_interactions`.
        frames: each day once, with its rows.
        drift: read the days for drift too.
    """
    schema = contract.polars_schema()
    found = {day: schema_result(frame, schema, table=contract.name, day=day) for day, frame in frames}
    alike = [(day, frame) for day, frame in frames if found[day].verdict == "ok"]
    judged = evaluate_days(RAW_EXPECTATIONS, alike, table=contract.name)
    expected = {day: results for (day, _), results in zip(alike, judged, strict=True)}
    events = dict(zip(expected, read_days(alike), strict=True)) if drift else {}
    return [
        MeasuredDay(
            day=day,
            frame=frame,
            columns_found=found[day],
            expected=expected.get(day, []),
            events=events.get(day),
        )
        for day, frame in frames
    ]


class RawAudit:
    """Judges raw days: the contract's columns, RAW_EXPECTATIONS, and drift against published days."""

    def __init__(
        self, contract: Contract, *, monitor: Monitor | None = None, in_part: Collection[date] = ()
    ) -> None:
        """Audit days of a source.

        Args:
            contract: the source's `raw_interactions`: the common columns, then its own.
            monitor: judges drift; None for no drift checks.
            in_part: days that are not over, or have events by HTTP alone so far: drift does not block them, and
                amount and hours are not judged. They land again when they are complete, and are judged in full.
        """
        self._in_part = in_part
        self._contract, self._monitor = contract, monitor
        self._measured: dict[date, MeasuredDay] = {}

    def prepare(self, frames: Sequence[tuple[date, pl.DataFrame]]) -> None:
        """Read the days that are audited next in one pass; their results are the same without it."""
        self.take(measure_days(self._contract, frames, drift=self._monitor is not None))

    def take(self, measured: Sequence[MeasuredDay]) -> None:
        """Take the days that are audited next as they were measured, here or by another process."""
        self._measured = {one.day: one for one in measured}
        if self._monitor is not None:
            self._monitor.take({one.day: one.events for one in measured if one.events is not None})

    def __call__(self, day: date, frame: pl.DataFrame) -> list[CheckResult]:
        """Run every check of RAW_CHECKS on one day; only `schema` if the columns differ from the contract."""
        measured = self._measured.get(day)
        if measured is None or measured.frame is not frame:
            (measured,) = measure_days(self._contract, [(day, frame)], drift=False)
        if measured.columns_found.verdict != "ok":
            return [measured.columns_found]
        if self._monitor is None:
            return [measured.columns_found, *measured.expected]
        drift = self._monitor.judge(frame, day=day)
        if day in self._in_part:
            drift = list(map(of_part, drift))
        return [measured.columns_found, *map(self._without_news, measured.expected), *drift]

    def published(self, day: date, frame: pl.DataFrame) -> None:
        """Tell the monitor that `day` was published as `frame`."""
        if self._monitor is not None:
            self._monitor.published(day, frame)

    def rejected(self, day: date) -> None:
        """Tell the monitor that `day` was rejected, and an earlier version stays."""
        if self._monitor is not None:
            self._monitor.rejected(day)

    def _without_news(self, result: CheckResult) -> CheckResult:
        """Turn a warning about what is usual for the source into a result that passes, and says so."""
        if result.verdict != "warn" or self._monitor is None:
            return result
        usual = self._monitor.usual_share(_SHARES[result.check])
        if usual is None:
            return result
        detail = f"{result.detail}; no news: {usual:.2%} fail usually"
        return replace(result, verdict="ok", sample=[], detail=detail)
