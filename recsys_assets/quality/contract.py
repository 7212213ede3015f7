"""One declaration a table, each column once; schemas for polars, pandera and SQLite derive from it.

The declaration itself imports neither pandera nor Dagster, so that the API and Dagster's code location
load it in milliseconds; `pandera_schema` imports pandera when data is audited.
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
    """What one column means, its type and what every value must satisfy."""

    dtype: pl.DataType | type[pl.DataType]
    """The polars type."""
    description: str
    """One sentence, for the Dagster UI and the feature registry."""
    unit: str | None = None
    """Unit of a number, e.g. `days`, `share 0-1`, `source's currency`."""
    nullable: bool = False
    """Whether null is allowed."""
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
    """What one row is."""
    columns: Mapping[str, Column]
    """Column name -> declaration, in the table's order."""
    key: tuple[str, ...] = field(default=())
    """Columns that together identify a row; empty where nothing does."""

    def polars_schema(self) -> pl.Schema:
        """Column name -> polars type, in order."""
        return pl.Schema({name: column.dtype for name, column in self.columns.items()})

    def pandera_schema(self) -> "pa.DataFrameSchema":
        """The strict pandera schema; validate *collected* frames with it (a LazyFrame skips value checks)."""
        import pandera.polars as pa  # noqa: PLC0415  two seconds of import, only where data is audited

        def checks(column: Column) -> list[pa.Check]:
            found = []
            if column.ge is not None:
                found.append(pa.Check.ge(column.ge))
            if column.le is not None:
                found.append(pa.Check.le(column.le))
            if column.min_length is not None:
                found.append(pa.Check.str_length(min_value=column.min_length))
            return found

        return pa.DataFrameSchema(
            {
                name: pa.Column(
                    column.dtype,
                    checks(column),
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
    """The frame, collected, after pandera found that it keeps `contract`.

    A LazyFrame is collected first: pandera checks only names and types of a lazy one, and skips every value
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
