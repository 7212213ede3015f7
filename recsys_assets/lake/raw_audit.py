"""The audit of raw days: expectations that hold for every source, and drift against published days."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Final

import numpy as np
import polars as pl

from recsys_assets import columns
from recsys_assets.drift.day_events import together
from recsys_assets.drift.day_scores import DRIFT_CHECKS
from recsys_assets.drift.monitor import Monitor
from recsys_assets.quality.contract import Contract
from recsys_assets.quality.expectations import CheckResult, RowExpectation, expect
from recsys_assets.quality.run_expectations import judge_rows, schema_result

TRIMMED: Final = r"(?s)^\S(.*\S)?$"
"""Pattern of text without blanks at either end."""
_ENOUGH_ROWS: Final = 50
"""Rows below which a share of bad rows means little: one return among three sales is normal."""


_DAY: Final = "_day"
"""Column of the day that a row was delivered for; it is added for the expectations."""

RAW_EXPECTATIONS: Final[tuple[RowExpectation, ...]] = (
    expect(columns.TIMESTAMP).not_null(mostly=0.99, block_below=0.5),
    expect(columns.TIMESTAMP).that(
        pl.col(columns.TIMESTAMP).dt.date() == pl.col(_DAY), name="between", mostly=0.99, block_below=0.5
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

_FAILING: Final = tuple((~e.passes).alias(e.name) for e in RAW_EXPECTATIONS)

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


class RawAudit:
    """Judges raw days: the contract's columns, RAW_EXPECTATIONS, and drift against published days."""

    def __init__(self, contract: Contract, *, monitor: Monitor | None = None) -> None:
        """Audit days of a source.

        Args:
            contract: the source's `raw_interactions`: the common columns, then its own.
            monitor: judges drift; None for no drift checks.
        """
        self._contract, self._monitor = contract, monitor
        self._schema = contract.polars_schema()
        self._prepared: dict[date, tuple[pl.DataFrame, list[int]]] = {}

    def prepare(self, frames: Sequence[tuple[date, pl.DataFrame]]) -> None:
        """Read the days that are audited next in one pass; their results are the same without it."""
        alike = [(day, frame) for day, frame in frames if frame.schema == self._schema]
        failed = _failed(alike)
        self._prepared = {day: (frame, counts) for (day, frame), counts in zip(alike, failed, strict=True)}
        if self._monitor is not None:
            self._monitor.prepare(alike)

    def __call__(self, day: date, frame: pl.DataFrame) -> list[CheckResult]:
        """Run every check of RAW_CHECKS on one day; only `schema` if the columns differ from the contract."""
        columns_found = schema_result(frame, self._schema, table=self._contract.name, day=day)
        if columns_found.verdict != "ok":
            return [columns_found]
        expected = self._expectations(day, frame)
        if self._monitor is None:
            return [columns_found, *expected]
        drift = self._monitor.judge(frame, day=day)
        return [columns_found, *map(self._without_news, expected), *drift]

    def published(self, day: date, frame: pl.DataFrame) -> None:
        """Tell the monitor that `day` was published as `frame`."""
        if self._monitor is not None:
            self._monitor.published(day, frame)

    def rejected(self, day: date) -> None:
        """Tell the monitor that `day` was rejected, and an earlier version stays."""
        if self._monitor is not None:
            self._monitor.rejected(day)

    def _expectations(self, day: date, frame: pl.DataFrame) -> list[CheckResult]:
        prepared, failed = self._prepared.get(day, (None, []))
        if prepared is not frame:
            (failed,) = _failed([(day, frame)])
        return [
            _judged(expectation, count, frame, table=self._contract.name, day=day)
            for expectation, count in zip(RAW_EXPECTATIONS, failed, strict=True)
        ]

    def _without_news(self, result: CheckResult) -> CheckResult:
        """Turn a warning about what is usual for the source into a result that passes, and says so."""
        if result.verdict != "warn" or self._monitor is None:
            return result
        usual = self._monitor.usual_share(_SHARES[result.check])
        if usual is None:
            return result
        detail = f"{result.detail}; no news: {usual:.2%} fail usually"
        return replace(result, verdict="ok", sample=[], detail=detail)


def _failed(frames: Sequence[tuple[date, pl.DataFrame]]) -> list[list[int]]:
    """Return for each day the number of rows that fail, one an expectation, in one query for all days."""
    if not frames:
        return []
    sizes = [frame.height for _, frame in frames]
    number = np.repeat(np.arange(len(frames)), sizes)
    days = pl.Series(_DAY, [day for day, _ in frames], dtype=pl.Date)
    rows = together([frame for _, frame in frames])
    failing = rows.hstack([days[number]]).select(_FAILING)
    by_day = [np.bincount(number[column.to_numpy()], minlength=len(frames)).tolist() for column in failing]
    return [list(counts) for counts in zip(*by_day, strict=True)]


def _judged(
    expectation: RowExpectation, failed: int, frame: pl.DataFrame, *, table: str, day: date
) -> CheckResult:
    if not failed:
        return judge_rows(expectation, 0, frame, table=table, day=day)
    dated = frame.with_columns(pl.lit(day).alias(_DAY))
    result = judge_rows(expectation, failed, dated, table=table, day=day)
    return replace(result, sample=[{k: v for k, v in row.items() if k != _DAY} for row in result.sample])
