"""The item catalogue: one row an item, built from the source, audited, and kept as one Parquet file."""

from pathlib import Path
from typing import Final

import polars as pl

from recsys_assets import columns
from recsys_assets.lake.contract import ITEM_CATALOGUE
from recsys_assets.lake.raw_audit import TRIMMED
from recsys_assets.lake.sources.source import Source
from recsys_assets.quality.expectations import CheckResult, Expectation, expect
from recsys_assets.quality.run_expectations import contract_expectations, evaluate, schema_result
from recsys_assets.storage.atomic import replaced_file

_EXPECTATIONS: Final[list[Expectation]] = [
    *contract_expectations(ITEM_CATALOGUE),
    expect().row_count(least=1),
    expect(columns.ITEM_ID).matches(TRIMMED, mostly=0.99),
]

CATALOGUE_CHECKS: Final[tuple[str, ...]] = ("schema", *(expectation.name for expectation in _EXPECTATIONS))
"""Names of the checks of the item catalogue."""


def catalogue_of(source: Source) -> pl.DataFrame:
    """Return one row an item, in `ITEM_CATALOGUE`'s schema, sorted by id.

    A source without item metadata gives the distinct ids of its events; all other columns are null.

    Raises:
        InputError: the source can't be read.
    """
    known = source.catalogue()
    if known is not None:
        return known
    ids = (
        source.scan()
        .select(columns.ITEM_ID)
        .drop_nulls()
        .unique()
        .sort(columns.ITEM_ID)
        .collect(engine="streaming")
    )
    schema = ITEM_CATALOGUE.polars_schema()
    return ids.select(
        columns.ITEM_ID,
        *(pl.lit(None, dtype=dtype).alias(name) for name, dtype in schema.items() if name != columns.ITEM_ID),
    )


def audit_catalogue(frame: pl.DataFrame) -> list[CheckResult]:
    """Run every check of CATALOGUE_CHECKS on the whole catalogue."""
    return [
        schema_result(frame, ITEM_CATALOGUE.polars_schema(), table=ITEM_CATALOGUE.name),
        *evaluate(_EXPECTATIONS, frame, table=ITEM_CATALOGUE.name),
    ]


def write_catalogue(path: Path, frame: pl.DataFrame) -> None:
    """Replace the file at `path` atomically."""
    with replaced_file(path) as staged:
        frame.write_parquet(staged, compression="zstd", statistics=True)


def read_catalogue(path: Path) -> pl.DataFrame:
    """Return the catalogue that `write_catalogue` wrote."""
    return pl.read_parquet(path, hive_partitioning=False, glob=False)
