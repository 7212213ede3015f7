"""A catalogue from events that describe their items, in memory that grows with the items only."""

from collections.abc import Iterable, Sequence

import polars as pl

from recsys_assets import columns
from recsys_assets.lake.contract import ITEM_CATALOGUE


def last_said(batches: Iterable[pl.DataFrame], said: Sequence[str]) -> pl.DataFrame:
    """What the newest event with a value says of each item, column by column.

    Args:
        batches: events, with the columns `said` as text.
        said: columns of the catalogue that the events have.

    Returns:
        One row an item, `ITEM_CATALOGUE`'s schema, sorted by item id; a price that is no number, or below
        zero, is null.
    """
    schema = ITEM_CATALOGUE.polars_schema()
    key, when = columns.ITEM_ID, columns.TIMESTAMP
    items = pl.DataFrame(schema={key: pl.String})
    newest: dict[str, pl.DataFrame] = {}
    for batch in batches:
        known = batch.filter(pl.col(key).str.len_chars() > 0)
        items = pl.concat([items, known.select(key)]).unique()
        for name in said:
            value = pl.col(name).cast(schema[name], strict=False)
            usable = value.is_not_null() & (value >= 0 if name == columns.PRICE else True)
            found = known.filter(usable).select(key, when, value)
            earlier = newest.get(name, found.clear())
            newest[name] = (
                pl.concat([earlier, found]).sort(when, maintain_order=True).unique(key, keep="last")
            )
    for name in said:
        items = items.join(newest[name].drop(when), on=key, how="left") if name in newest else items
    unsaid = [pl.lit(None, dtype).alias(name) for name, dtype in schema.items() if name not in items.columns]
    return items.with_columns(unsaid).select(schema.names()).sort(key)
