"""pandera's verdict on a table: for whole tables and tests; the daily path asks the same of polars."""

import polars as pl

from recsys_assets.errors import ContractError
from recsys_assets.quality.contract import Contract


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
