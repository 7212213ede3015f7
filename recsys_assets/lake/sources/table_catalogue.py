"""The item catalogue of a table of events: each item's last known description, from rows that were sold or seen.

A stock correction or a cancelled order may describe an item in a way that no customer saw ("damaged", price 0). So
only a row speaks that has a user, a quantity above 0 and a value not below 0 (or none), and no cancelled status.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Final

import polars as pl

from recsys_assets import columns as names
from recsys_assets.lake.contract import ITEM_CATALOGUE
from recsys_assets.lake.values.cell_values import Mark, decimal_mark, numbers

_BETWEEN: Final = r"\s*[|>]\s*"
"""Signs between the categories of one item."""
_LISTED: Final = r"^\s*\[(.*)\]\s*$"
_LIST_SIGNS: Final = r"""['"]\s*,\s*['"]"""
"""A list as text, `['Indie', 'Action']`."""


def last_known(
    batches: Iterable[pl.DataFrame], described: Sequence[str], *, cancelled: Collection[str], mark: Mark
) -> pl.DataFrame:
    """Return the newest known value of each described column for each item.

    Args:
        batches: events, with the described columns as text.
        described: columns of the catalogue that the events have.
        cancelled: statuses of orders that came to nothing, in lower case.
        mark: decimal mark of prices that do not show it.

    Returns:
        One row an item, in `ITEM_CATALOGUE`'s schema, sorted by item id. A price that is no number, or below
        zero, is null. Without a department it is the first of several categories.
    """
    schema = ITEM_CATALOGUE.polars_schema()
    key, when = names.ITEM_ID, names.TIMESTAMP
    items = pl.DataFrame(schema={key: pl.String})
    newest: dict[str, pl.DataFrame] = {}
    for batch in batches:
        known = batch.filter(pl.col(key).str.len_chars() > 0)
        items = pl.concat([items, known.select(key)]).unique()
        speaking = known.filter(_speaks(known, cancelled))
        for name in described:
            value = _price(speaking[name], mark) if name == names.PRICE else speaking[name].str.strip_chars()
            usable = value.is_not_null() & (value >= 0 if name == names.PRICE else value != "")
            found = speaking.select(key, when).with_columns(value).filter(usable)
            earlier = newest.get(name, found.clear())
            newest[name] = (
                pl.concat([earlier, found]).sort(when, maintain_order=True).unique(key, keep="last")
            )
    for name in described:
        items = items.join(newest[name].drop(when), on=key, how="left") if name in newest else items
    unknown = [pl.lit(None, dtype).alias(name) for name, dtype in schema.items() if name not in items.columns]
    return with_categories(items.with_columns(unknown)).select(schema.names()).sort(key)


def _speaks(events: pl.DataFrame, cancelled: Collection[str]) -> pl.Expr:
    """Return true for the rows whose description is one that a customer saw."""
    sold = (
        pl.col(names.USER_ID).is_not_null()
        & (pl.col(names.QUANTITY).fill_null(1) > 0)
        & (pl.col(names.VALUE).fill_null(0) >= 0)
    )
    if names.STATUS not in events.columns:
        return sold
    status = pl.col(names.STATUS).str.strip_chars().str.to_lowercase()
    return sold & ~status.is_in(list(cancelled)).fill_null(value=False)


def _price(column: pl.Series, mark: Mark) -> pl.Series:
    return numbers(column, pl.Float64, mark=decimal_mark(column)[0] or mark)


def with_categories(items: pl.DataFrame) -> pl.DataFrame:
    """Return the items with several categories in one text, and the first as the department where there is none."""
    text = pl.col(names.CATEGORY)
    inner = text.str.extract(_LISTED, 1).str.replace_all(_LIST_SIGNS, "|").str.strip_chars(" '\"")
    parts = pl.coalesce(inner, text).str.replace_all(_BETWEEN, "\n").str.split("\n")
    several = parts.list.eval(pl.element().filter(pl.element() != ""))
    first = pl.when(several.list.len() > 1).then(several.list.first())
    return items.with_columns(
        pl.when(several.list.len() > 0).then(several.list.join(names.SEVERAL)).alias(names.CATEGORY),
        pl.coalesce(pl.col(names.DEPARTMENT), first).alias(names.DEPARTMENT),
    )
