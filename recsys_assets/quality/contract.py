"""Contracts: one declaration a table, each column once; the polars and pandera schemas derive from it.

A declaration does not import pandera, so that Dagster's code location loads it in milliseconds;
`pandera_schema` imports it when data is validated.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from recsys_assets.errors import ContractError

if TYPE_CHECKING:
    import pandera.polars as pa

UTC_MICROSECONDS = pl.Datetime("us", "UTC")
"""The one timestamp type of the lake."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column: its meaning, its type and the bounds of its values."""

    dtype: pl.DataType | type[pl.DataType]
    """The polars type."""
    description: str
    """One sentence, for the Dagster UI and the feature registry."""
    unit: str | None = None
    """Unit of a number, e.g. `days`, `share 0-1`, `source's currency`."""
    nullable: bool = False
    """True where null is allowed."""
    ge: float | None = None
    """Least allowed value, inclusive."""
    le: float | None = None
    """Greatest allowed value, inclusive."""
    min_length: int | None = None
    """Least length of a string, in characters."""


@dataclass(frozen=True, kw_only=True)
class Contract:
    """A table's columns, in order, and its key."""

    name: str
    """The table's name."""
    description: str
    """One sentence on a row."""
    columns: Mapping[str, Column]
    """Column name -> declaration, in the table's order."""
    key: tuple[str, ...] = field(default=())
    """Columns that together identify a row; empty where none do."""

    def polars_schema(self) -> pl.Schema:
        """Return column name -> polars type, in order."""
        return pl.Schema({name: column.dtype for name, column in self.columns.items()})

    def pandera_schema(self) -> "pa.DataFrameSchema":
        """Return the strict pandera schema, for *collected* frames (a LazyFrame skips value checks)."""
        import pandera.polars as pa  # noqa: PLC0415  two seconds of import, only where data is validated

        return pa.DataFrameSchema(
            {
                name: pa.Column(
                    column.dtype,
                    _pandera_checks(column),
                    nullable=column.nullable,
                    description=column.description,
                    metadata={"unit": column.unit},
                )
                for name, column in self.columns.items()
            },
            strict=True,
            ordered=True,
            unique=list(self.key) or None,
            name=self.name,
            description=self.description,
        )


def validate(contract: Contract, frame: pl.DataFrame | pl.LazyFrame) -> pl.DataFrame:
    """Return the frame, collected, if pandera finds that it keeps `contract`.

    A LazyFrame is collected first: of a lazy one pandera checks only names and types, and skips the values
    (pandera docs, "Polars: how it works").

    Raises:
        ContractError: columns, types, nulls, bounds or key are not as declared.
    """
    from pandera.errors import SchemaError, SchemaErrors  # noqa: PLC0415  a second of import; Dagster reloads often

    collected = frame.collect() if isinstance(frame, pl.LazyFrame) else frame
    try:
        return contract.pandera_schema().validate(collected, lazy=True)
    except (SchemaErrors, SchemaError) as error:
        raise ContractError(f"{contract.name}: {error}") from error


def _pandera_checks(column: Column) -> "list[pa.Check]":
    import pandera.polars as pa  # noqa: PLC0415

    checks = []
    if column.ge is not None:
        checks.append(pa.Check.ge(column.ge))
    if column.le is not None:
        checks.append(pa.Check.le(column.le))
    if column.min_length is not None:
        checks.append(pa.Check.str_length(min_value=column.min_length))
    return checks
