"""The audit of raw days: expectations that hold for every source, and drift against published days."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final

import polars as pl

from recsys_assets import columns
from recsys_assets.drift.day_scores import DRIFT_CHECKS
from recsys_assets.drift.monitor import Monitor
from recsys_assets.quality.contract import Contract
from recsys_assets.quality.expectations import CheckResult, Expectation, expect
from recsys_assets.quality.run_expectations import evaluate, schema_result

TRIMMED: Final = r"(?s)^\S(.*\S)?$"
"""Pattern of text without blanks at either end."""
_ENOUGH_ROWS: Final = 50
"""Rows below which a share of bad rows means little: one return among three sales is normal."""


def raw_expectations(day: date) -> list[Expectation]:
    """Return the expectations of one day's raw events."""
    start = datetime.combine(day, time(), UTC)
    last = start + timedelta(days=1) - timedelta(microseconds=1)
    rating, quantity, value = pl.col(columns.RATING), pl.col(columns.QUANTITY), pl.col(columns.VALUE)
    return [
        expect(columns.TIMESTAMP).not_null(mostly=0.99, block_below=0.5),
        expect(columns.TIMESTAMP).between(start, last, mostly=0.99, block_below=0.5),
        expect(columns.USER_ID).not_null(mostly=0.5, block_below=0.1, from_rows=_ENOUGH_ROWS),
        expect(columns.ITEM_ID).not_null(mostly=0.5, block_below=0.1, from_rows=_ENOUGH_ROWS),
        expect(columns.USER_ID).matches(TRIMMED, mostly=0.9),
        expect(columns.ITEM_ID).matches(TRIMMED, mostly=0.9),
        expect(columns.RATING).that(rating.is_finite(), name="finite", mostly=0.99, block_below=0.5),
        expect(columns.QUANTITY).that(quantity.is_finite(), name="finite", mostly=0.99, block_below=0.5),
        expect(columns.VALUE).that(value.is_finite(), name="finite", mostly=0.99, block_below=0.5),
        expect(columns.QUANTITY).that(
            quantity > 0, name="positive", mostly=0.8, block_below=0.2, from_rows=_ENOUGH_ROWS
        ),
        expect(columns.VALUE).that(
            value >= 0, name="not_negative", mostly=0.8, block_below=0.2, from_rows=_ENOUGH_ROWS
        ),
    ]


RAW_CHECKS: Final[tuple[str, ...]] = (
    "schema",
    *(e.name for e in raw_expectations(date(2000, 1, 1))),
    *DRIFT_CHECKS,
)
"""Names of the checks of a raw day, the same for every source."""


class RawAudit:
    """Judges raw days: the contract's columns, `raw_expectations`, and drift against published days."""

    def __init__(self, contract: Contract, *, monitor: Monitor | None = None) -> None:
        """Audit days of a source.

        Args:
            contract: the source's `raw_interactions`: the common columns, then its own.
            monitor: judges drift; None for no drift checks.
        """
        self._contract, self._monitor = contract, monitor
        self._schema = contract.polars_schema()

    def __call__(self, day: date, frame: pl.DataFrame) -> list[CheckResult]:
        """Run every check of RAW_CHECKS on one day; only `schema` if the columns differ from the contract."""
        table = self._contract.name
        columns_found = schema_result(frame, self._schema, table=table, day=day)
        if columns_found.verdict != "ok":
            return [columns_found]
        results = [columns_found, *evaluate(raw_expectations(day), frame, table=table, day=day)]
        if self._monitor is not None:
            results += self._monitor.judge(frame, day=day)
        return results

    def published(self, day: date, frame: pl.DataFrame) -> None:
        """Tell the monitor that `day` was published as `frame`."""
        if self._monitor is not None:
            self._monitor.published(day, frame)

    def rejected(self, day: date) -> None:
        """Tell the monitor that `day` was rejected, and an earlier version stays."""
        if self._monitor is not None:
            self._monitor.rejected(day)
