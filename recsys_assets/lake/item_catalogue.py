"""The item catalogue: what the source says of its items, or, where it says nothing, which items it names."""

from pathlib import Path

import polars as pl

from recsys_assets import columns
from recsys_assets.lake.contract import ITEM_CATALOGUE
from recsys_assets.lake.sources.source import Source
from recsys_assets.storage.atomic import replaced_file


def catalogue_of(source: Source) -> pl.DataFrame:
    """One row an item, in `ITEM_CATALOGUE`'s schema, sorted by id.

    A source without item metadata gives the distinct ids of its events, everything else null.
    """
    known = source.catalogue()
    if known is not None:
        return known
    named = (
        source.scan()
        .select(columns.ITEM_ID)
        .drop_nulls()
        .unique()
        .sort(columns.ITEM_ID)
        .collect(engine="streaming")
    )
    schema = ITEM_CATALOGUE.polars_schema()
    return named.select(
        columns.ITEM_ID,
        *(pl.lit(None, dtype=dtype).alias(name) for name, dtype in schema.items() if name != columns.ITEM_ID),
    )


def write_catalogue(path: Path, frame: pl.DataFrame) -> None:
    """Replace the file at `path`, atomically."""
    with replaced_file(path) as staged:
        frame.write_parquet(staged, compression="zstd", statistics=True)


def read_catalogue(path: Path) -> pl.DataFrame:
    """The catalogue as it was written."""
    return pl.read_parquet(path, hive_partitioning=False, glob=False)
