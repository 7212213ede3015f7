"""Expectations with tolerance: the shape that a table mostly has, and how far off it may be.

Only the declarations and their results are here; `quality.run_expectations` applies them to a frame. An
expectation has two bands: below `mostly` (or outside the bounds of a value) it warns, below `block_below` (or
outside the block bounds) it blocks. Without a block band it never blocks.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

import polars as pl

from recsys_assets.errors import ExpectationError

Verdict = Literal["ok", "warn", "block"]
"""`ok`; `warn`: published, but somebody should look; `block`: the day is rejected."""

SAMPLE_ROWS = 20
"""Greatest number of failing rows in a result."""


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """The result of one check on one day, or on a whole table where `day` is None."""

    table: str
    """The table's name."""
    check: str
    """The check's name, unique in its table."""
    verdict: Verdict
    """`ok`, `warn` or `block`."""
    day: date | None = None
    """The partition; None for an unpartitioned table."""
    passed_share: float | None = None
    """Share of rows that pass, 0-1; None where the check is about one value."""
    failing_rows: int = 0
    """Number of rows that fail."""
    sample: list[dict[str, Any]] = field(default_factory=list)
    """Up to 20 of the failing rows, unchanged."""
    value: float | None = None
    """The measured value or drift score; None where the check is about rows."""
    warn_below: float | None = None
    """Warns where the passed share or the value is lower."""
    block_below: float | None = None
    """Blocks where the passed share or the value is lower."""
    warn_above: float | None = None
    """Warns where the value is higher."""
    block_above: float | None = None
    """Blocks where the value is higher."""
    detail: str = ""
    """One sentence for people: the value found against the expected one."""


@dataclass(frozen=True, kw_only=True)
class RowExpectation:
    """Every row passes or fails; judged by the share that passes."""

    name: str
    """The check's name."""
    needs: tuple[str, ...]
    """Columns that it reads."""
    passes: pl.Expr
    """True or false for each row; null counts as passing, since nulls are the matter of `not_null`."""
    mostly: float
    """Warns below this share of passing rows, 0-1."""
    block_below: float | None
    """Blocks below this share; None never blocks."""
    from_rows: int = 0
    """Tables with fewer rows are not judged: a share of a handful says little."""


@dataclass(frozen=True, kw_only=True)
class ValueExpectation:
    """One number is computed from the table and judged by two bands of bounds."""

    name: str
    """The check's name."""
    needs: tuple[str, ...]
    """Columns that it reads."""
    value: pl.Expr
    """The number; null (nothing to judge, as the mean of no rows) is ok."""
    low: float | None
    """Warns below."""
    high: float | None
    """Warns above."""
    block_low: float | None
    """Blocks below; None never blocks."""
    block_high: float | None
    """Blocks above; None never blocks."""


Expectation = RowExpectation | ValueExpectation


def expect(*columns: str) -> "Subject":
    """Begin an expectation about `columns`; without any, about the table: `expect().row_count(least=1)`."""
    return Subject(columns)


class Subject:
    """The columns an expectation is about; each method completes one."""

    def __init__(self, columns: tuple[str, ...]) -> None:
        self._columns = columns

    @property
    def _column(self) -> str:
        if len(self._columns) != 1:
            raise ExpectationError(
                f"this expectation is about one column, but was given {list(self._columns)}"
            )
        return self._columns[0]

    def _rows(
        self, what: str, passes: pl.Expr, mostly: float, block_below: float | None, from_rows: int
    ) -> RowExpectation:
        if not 0 <= mostly <= 1:
            raise ExpectationError(f"mostly is a share between 0 and 1, but is {mostly}")
        if block_below is not None and not 0 <= block_below <= mostly:
            raise ExpectationError(
                f"block_below is a share between 0 and mostly={mostly}, but is {block_below}"
            )
        return RowExpectation(
            name=f"{'_'.join(self._columns) or 'table'}_{what}",
            needs=self._columns,
            passes=passes.fill_null(value=True),
            mostly=mostly,
            block_below=block_below,
            from_rows=from_rows,
        )

    def _value(
        self,
        what: str,
        value: pl.Expr,
        *,
        low: float | None,
        high: float | None,
        block_low: float | None,
        block_high: float | None,
    ) -> ValueExpectation:
        if low is not None and block_low is not None and block_low > low:
            raise ExpectationError(f"the block bound {block_low} lies inside the warn bound {low}")
        if high is not None and block_high is not None and block_high < high:
            raise ExpectationError(f"the block bound {block_high} lies inside the warn bound {high}")
        return ValueExpectation(
            name=f"{'_'.join(self._columns) or 'table'}_{what}",
            needs=self._columns,
            value=value,
            low=low,
            high=high,
            block_low=block_low,
            block_high=block_high,
        )

    def between(
        self,
        low: float | datetime,
        high: float | datetime,
        *,
        mostly: float = 1.0,
        block_below: float | None = None,
        from_rows: int = 0,
    ) -> RowExpectation:
        """Values lie in `low`..`high`, both included; NaN fails."""
        return self._rows(
            "between", pl.col(self._column).is_between(low, high), mostly, block_below, from_rows
        )

    def not_null(
        self, *, mostly: float = 1.0, block_below: float | None = None, from_rows: int = 0
    ) -> RowExpectation:
        """Values are not null."""
        return self._rows("not_null", pl.col(self._column).is_not_null(), mostly, block_below, from_rows)

    def unique(
        self, *, mostly: float = 1.0, block_below: float | None = None, from_rows: int = 0
    ) -> RowExpectation:
        """The columns together are a key; each row beyond the first of its key fails."""
        return self._rows(
            "unique", pl.struct(*self._columns).is_first_distinct(), mostly, block_below, from_rows
        )

    def matches(
        self, pattern: str, *, mostly: float = 1.0, block_below: float | None = None, from_rows: int = 0
    ) -> RowExpectation:
        """Strings contain a match of `pattern` (the syntax of Rust's regex crate; anchor with ^ and $)."""
        return self._rows(
            "matches", pl.col(self._column).str.contains(pattern), mostly, block_below, from_rows
        )

    def that(
        self,
        passes: pl.Expr,
        *,
        name: str,
        mostly: float = 1.0,
        block_below: float | None = None,
        from_rows: int = 0,
    ) -> RowExpectation:
        """`passes`, any boolean polars expression, holds; the check is named columns_`name`."""
        return self._rows(name, passes, mostly, block_below, from_rows)

    def row_count(self, *, least: float, block_least: float | None = None) -> ValueExpectation:
        """The number of rows is at least `least`."""
        return self._value(
            "row_count", pl.len(), low=least, high=None, block_low=block_least, block_high=None
        )

    def mean_within(
        self,
        low: float | None,
        high: float | None,
        *,
        block_low: float | None = None,
        block_high: float | None = None,
    ) -> ValueExpectation:
        """The mean of the values, nulls left out, lies in `low`..`high`; None is no bound."""
        mean = pl.col(self._column).mean()
        return self._value("mean", mean, low=low, high=high, block_low=block_low, block_high=block_high)
