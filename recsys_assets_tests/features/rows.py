"""Small literal tables that the tests of this folder share."""

from datetime import UTC, date, datetime, time, timedelta

import polars as pl

from recsys_assets.features.compute import feature_tables
from recsys_assets.interactions.contract import INTERACTIONS
from recsys_assets.lake.contract import ITEM_CATALOGUE

DAY = date(2024, 3, 31)
"""The day at whose end features hold."""


def user_features(interactions: pl.LazyFrame, known: pl.DataFrame | None) -> pl.DataFrame:
    """Return the first of the two tables as of DAY."""
    return feature_tables(interactions, known, as_of=DAY)[0]


def item_features(interactions: pl.LazyFrame, known: pl.DataFrame | None) -> pl.DataFrame:
    """Return the second of the two tables as of DAY."""
    return feature_tables(interactions, known, as_of=DAY)[1]


def events(*rows: tuple[str, str, int] | tuple[str, str, int, float | None]) -> pl.LazyFrame:
    """Return interactions from (user, item, age in days before DAY[, paid for one piece])."""
    return pl.LazyFrame(
        {
            "user_id": [row[0] for row in rows],
            "item_id": [row[1] for row in rows],
            "timestamp": [datetime.combine(DAY - timedelta(days=row[2]), time(12), UTC) for row in rows],
            "weight": [1.0] * len(rows),
            "rating": [None] * len(rows),
            "quantity": [1.0] * len(rows),
            "value": [row[3] if len(row) > 3 else None for row in rows],
            "kind": [None] * len(rows),
        },
        schema=INTERACTIONS.polars_schema(),
    )


def catalogue(*rows: tuple[str, str, str, float | None]) -> pl.DataFrame:
    """Return a catalogue from (item, title, category, price)."""
    return pl.DataFrame(
        {
            "item_id": [row[0] for row in rows],
            "title": [row[1] for row in rows],
            "department": ["FOOD"] * len(rows),
            "category": [row[2] for row in rows],
            "brand": [None] * len(rows),
            "price": [row[3] for row in rows],
        },
        schema=ITEM_CATALOGUE.polars_schema(),
    )


ROWS = events(("u", "a", 3, 1.5), ("u", "b", 2, 2.0), ("v\n'\0😀", "b", 1, 2.0))
CATALOGUE = catalogue(
    ("a", "Crème brûlée", "DESSERT", 4.0),
    ("b", "Brown bread", "BAKERY", 3.0),
    ("c", "Bread knife", "KITCHEN", 9.0),
)
