"""The contract of `interactions`, the cleaned table that all later stages read.

Columns that only some sources have stay behind in the raw table.
"""

import polars as pl

from recsys_assets import columns
from recsys_assets.quality.contract import UTC_MICROSECONDS, Column, Contract

INTERACTIONS = Contract(
    name="interactions",
    description="One deduplicated, valid, weighted user-item event.",
    columns={
        columns.USER_ID: Column(dtype=pl.String, min_length=1, description="The source's id of the user."),
        columns.ITEM_ID: Column(dtype=pl.String, min_length=1, description="The source's id of the item."),
        columns.TIMESTAMP: Column(dtype=UTC_MICROSECONDS, description="When it happened, UTC."),
        columns.WEIGHT: Column(
            dtype=pl.Float32,
            ge=0,
            unit="1",
            description="Confidence that the user wants the item: 1 is one plain event, 0 is seen but no wish.",
        ),
        columns.RATING: Column(
            dtype=pl.Float32,
            nullable=True,
            unit="source's rating scale",
            description="The rating; null where none.",
        ),
        columns.QUANTITY: Column(
            dtype=pl.Float32, nullable=True, ge=0, unit="pieces", description="How many."
        ),
        columns.VALUE: Column(
            dtype=pl.Float64,
            nullable=True,
            ge=0,
            unit="source's currency",
            description="Paid for all pieces.",
        ),
        columns.KIND: Column(
            dtype=pl.String,
            nullable=True,
            description="What happened, in lower case, such as view or purchase; null where the source has no kinds.",
        ),
    },
    key=(columns.USER_ID, columns.ITEM_ID, columns.TIMESTAMP, columns.KIND),
)
