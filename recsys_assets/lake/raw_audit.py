"""The audit of the lake's tables: what must hold of them, whatever their history."""

from datetime import UTC, date, datetime, time, timedelta

import polars as pl

from recsys_assets import columns
from recsys_assets.drift.day_scores import DRIFT_CHECKS
from recsys_assets.drift.monitor import Monitor
from recsys_assets.lake.contract import ITEM_CATALOGUE
from recsys_assets.quality.contract import Contract
from recsys_assets.quality.expectations import CheckResult, Expectation, expect
from recsys_assets.quality.run_expectations import contract_expectations, evaluate, schema_result

_ENOUGH_ROWS = 50
"""Of fewer rows than this a share of bad ones says little: one return among three sales is a Tuesday."""
_TRIMMED = r"(?s)^\S(.*\S)?$"


def raw_expectations(day: date) -> list[Expectation]:
    """The expectations of `day`'s raw events."""
    start = datetime.combine(day, time(), UTC)
    last = start + timedelta(days=1) - timedelta(microseconds=1)
    rating, quantity, value = pl.col(columns.RATING), pl.col(columns.QUANTITY), pl.col(columns.VALUE)
    return [
        expect(columns.TIMESTAMP).not_null(mostly=0.99, block_below=0.5),
        expect(columns.TIMESTAMP).between(start, last, mostly=0.99, block_below=0.5),
        expect(columns.USER_ID).not_null(mostly=0.5, block_below=0.1, from_rows=_ENOUGH_ROWS),
        expect(columns.ITEM_ID).not_null(mostly=0.5, block_below=0.1, from_rows=_ENOUGH_ROWS),
        expect(columns.USER_ID).matches(_TRIMMED, mostly=0.9),
        expect(columns.ITEM_ID).matches(_TRIMMED, mostly=0.9),
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


RAW_CHECKS: tuple[str, ...] = (
    "schema",
    *(e.name for e in raw_expectations(date(2000, 1, 1))),
    *DRIFT_CHECKS,
)
"""Names of the checks of a raw day, whatever the source."""

CATALOGUE_EXPECTATIONS: list[Expectation] = [
    *contract_expectations(ITEM_CATALOGUE),
    expect().row_count(least=1),
    expect(columns.ITEM_ID).matches(_TRIMMED, mostly=0.99),
]

CATALOGUE_CHECKS: tuple[str, ...] = ("schema", *(e.name for e in CATALOGUE_EXPECTATIONS))
"""Names of the checks of the item catalogue."""


class RawAudit:
    """Judges raw days: the contract's columns, `raw_expectations`, and drift against published days."""

    def __init__(self, contract: Contract, *, monitor: Monitor | None = None) -> None:
        """Audit days of a source with this contract (RAW_INTERACTIONS' columns, then the source's own)."""
        self._contract, self._monitor = contract, monitor
        self._schema = contract.polars_schema()

    def __call__(self, day: date, frame: pl.DataFrame) -> list[CheckResult]:
        """Every check of RAW_CHECKS on `day`'s frame; only `schema` where the columns are not as declared."""
        table = self._contract.name
        columns_found = schema_result(frame, self._schema, table=table, day=day)
        if columns_found.verdict != "ok":
            return [columns_found]
        results = [columns_found, *evaluate(raw_expectations(day), frame, table=table, day=day)]
        if self._monitor is not None:
            results += self._monitor.judge(frame, day=day)
        return results

    def published(self, day: date, frame: pl.DataFrame) -> None:
        """`day` is visible now, as `frame`."""
        if self._monitor is not None:
            self._monitor.published(day, frame)

    def rejected(self, day: date) -> None:
        """`day` went to quarantine; what was there before stays."""
        if self._monitor is not None:
            self._monitor.rejected(day)


def audit_catalogue(frame: pl.DataFrame) -> list[CheckResult]:
    """Every check of CATALOGUE_CHECKS on the whole catalogue."""
    return [
        schema_result(frame, ITEM_CATALOGUE.polars_schema(), table=ITEM_CATALOGUE.name),
        *evaluate(CATALOGUE_EXPECTATIONS, frame, table=ITEM_CATALOGUE.name),
    ]
