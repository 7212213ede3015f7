"""The contracts of the lake's tables: `raw_interactions` and `item_catalogue`."""

import polars as pl

from recsys_assets import columns
from recsys_assets.quality.contract import UTC_MICROSECONDS, Column, Contract

RAW_INTERACTIONS = Contract(
    name="raw_interactions",
    description="One event as the source had it, typed.",
    columns={
        columns.USER_ID: Column(dtype=pl.String, nullable=True, description="The source's id of the user."),
        columns.ITEM_ID: Column(dtype=pl.String, nullable=True, description="The source's id of the item."),
        columns.TIMESTAMP: Column(dtype=UTC_MICROSECONDS, description="Time of the event, UTC."),
        columns.RATING: Column(
            dtype=pl.Float32,
            nullable=True,
            unit="source's rating scale",
            description="The rating; null where none.",
        ),
        columns.QUANTITY: Column(
            dtype=pl.Float32,
            nullable=True,
            unit="pieces",
            description="Number of pieces; null where the source has none.",
        ),
        columns.VALUE: Column(
            dtype=pl.Float64,
            nullable=True,
            unit="source's currency",
            description="Amount paid for all pieces; null where the source has none.",
        ),
        columns.KIND: Column(
            dtype=pl.String,
            nullable=True,
            description="What happened, such as view or purchase; null where the source has no kinds.",
        ),
    },
)

ITEM_CATALOGUE = Contract(
    name="item_catalogue",
    description="One item: title, category, brand and price where known.",
    columns={
        columns.ITEM_ID: Column(dtype=pl.String, min_length=1, description="The source's id of the item."),
        columns.TITLE: Column(dtype=pl.String, nullable=True, description="Readable name of the item."),
        columns.DEPARTMENT: Column(dtype=pl.String, nullable=True, description="Coarse category."),
        columns.CATEGORY: Column(dtype=pl.String, nullable=True, description="Fine category."),
        columns.BRAND: Column(dtype=pl.String, nullable=True, description="Brand or maker."),
        columns.PRICE: Column(
            dtype=pl.Float64,
            nullable=True,
            ge=0,
            unit="source's currency",
            description="Price of one piece; null where unknown, never zero for a broken price.",
        ),
    },
    key=(columns.ITEM_ID,),
)
