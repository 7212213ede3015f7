"""Expectations with tolerance: what a table should look like, mostly, and how far off it may be.

Only the declarations live here; `quality.evaluation` runs them over a frame. An expectation has two bands:
below `mostly` (or outside the bounds of a value) it warns, below `block_below` (or outside the block bounds)
it blocks. What says no block band never blocks.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Literal

import polars as pl

from recsys_assets.errors import ExpectationError

Verdict = Literal["ok", "warn", "block"]
"""`ok`; `warn`: look at this, nothing is held back; `block`: the day is not published."""

SAMPLE_ROWS = 20
"""Most failing rows that a result carries."""


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """What one check found in one day (or in one whole table, where `day` is None)."""

    table: str
    """The table's name."""
    check: str
    """The check's name, unique in its table."""
    verdict: Verdict
    """What follows."""
    day: date | None = None
    """The partition; None for an unpartitioned table."""
    passed_share: float | None = None
    """Share of rows that pass, 0-1; None where the check is about one value."""
    failing_rows: int = 0
    """How many rows fail."""
    sample: list[dict[str, Any]] = field(default_factory=list)
    """Up to 20 of the failing rows, as they are."""
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
    """One sentence for a person: what was found against what was expected."""


@dataclass(frozen=True, kw_only=True)
class RowExpectation:
    """Every row passes or fails; judged by the share that passes."""

    name: str
    """What the check is called."""
    needs: tuple[str, ...]
    """Columns that it reads."""
    passes: pl.Expr
    """Boolean a row; null counts as passing, since `not_null` judges nulls."""
    mostly: float
    """Warns below this share of passing rows, 0-1."""
    block_below: float | None
    """Blocks below this share; None never blocks."""
    from_rows: int = 0
    """Tables with fewer rows are not judged, since a share of a handful says little."""


@dataclass(frozen=True, kw_only=True)
class ValueExpectation:
    """One number is computed from the table; judged by two bands of bounds."""

    name: str
    """What the check is called."""
    needs: tuple[str, ...]
    """Columns that it reads."""
    value: pl.Expr
    """The number; null (nothing to judge, such as the mean of no row) is ok."""
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

    def _value(self, what: str, value: pl.Expr, bounds: Sequence[float | None]) -> ValueExpectation:
        low, high, block_low, block_high = bounds
        for narrow, wide, inside in ((low, block_low, 1), (high, block_high, -1)):
            if narrow is not None and wide is not None and (narrow - wide) * inside < 0:
                raise ExpectationError(f"the block bound {wide} lies inside the warn bound {narrow}")
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

    def in_set(
        self,
        values: Collection[Any],
        *,
        mostly: float = 1.0,
        block_below: float | None = None,
        from_rows: int = 0,
    ) -> RowExpectation:
        """Values are among `values`."""
        return self._rows("in_set", pl.col(self._column).is_in(list(values)), mostly, block_below, from_rows)

    def not_null(
        self, *, mostly: float = 1.0, block_below: float | None = None, from_rows: int = 0
    ) -> RowExpectation:
        """Values are there."""
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

    def increasing(
        self, *, mostly: float = 1.0, block_below: float | None = None, from_rows: int = 0
    ) -> RowExpectation:
        """No value is less than the one in the row before it."""
        values = pl.col(self._column)
        return self._rows("increasing", values >= values.shift(1), mostly, block_below, from_rows)

    def exists_in(
        self, keys: pl.Series, *, mostly: float = 1.0, block_below: float | None = None, from_rows: int = 0
    ) -> RowExpectation:
        """Values are among `keys`, another table's key column."""
        return self._rows(
            "exists_in", pl.col(self._column).is_in(keys.implode()), mostly, block_below, from_rows
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
        """Any boolean polars expression; `name` completes the check's name."""
        return self._rows(name, passes, mostly, block_below, from_rows)

    def row_count(
        self,
        *,
        least: float | None = None,
        most: float | None = None,
        block_least: float | None = None,
        block_most: float | None = None,
    ) -> ValueExpectation:
        """The number of rows."""
        return self._value("row_count", pl.len(), (least, most, block_least, block_most))

    def distinct_count(
        self,
        *,
        least: float | None = None,
        most: float | None = None,
        block_least: float | None = None,
        block_most: float | None = None,
    ) -> ValueExpectation:
        """The number of different values, null not counted."""
        count = pl.col(self._column).drop_nulls().n_unique()
        return self._value("distinct_count", count, (least, most, block_least, block_most))

    def mean_within(
        self,
        low: float | None,
        high: float | None,
        *,
        block_low: float | None = None,
        block_high: float | None = None,
    ) -> ValueExpectation:
        """The mean of what is not null."""
        return self._value("mean", pl.col(self._column).mean(), (low, high, block_low, block_high))

    def quantile_within(
        self,
        quantile: float,
        low: float | None,
        high: float | None,
        *,
        block_low: float | None = None,
        block_high: float | None = None,
    ) -> ValueExpectation:
        """The `quantile` (0-1) of what is not null, linearly interpolated."""
        value = pl.col(self._column).quantile(quantile, interpolation="linear")
        return self._value(f"quantile_{quantile:g}", value, (low, high, block_low, block_high))

    def share_within(
        self,
        category: Any,
        low: float | None,
        high: float | None,
        *,
        block_low: float | None = None,
        block_high: float | None = None,
    ) -> ValueExpectation:
        """The share of rows (0-1) whose value is `category`."""
        share = (pl.col(self._column) == category).fill_null(value=False).mean()
        return self._value(f"share_of_{category}", share, (low, high, block_low, block_high))

    def lag_within(
        self, limit: timedelta, *, behind: datetime, block_limit: timedelta | None = None
    ) -> ValueExpectation:
        """The newest value is at most `limit` older than `behind`; measured in hours."""
        lag = (pl.lit(behind) - pl.col(self._column).max()).dt.total_seconds() / 3600
        block = None if block_limit is None else block_limit / timedelta(hours=1)
        return self._value("lag_hours", lag, (None, limit / timedelta(hours=1), None, block))
