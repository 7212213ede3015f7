"""The contract of `recommendations`: the lists that a release starts from, and what holds of their rows."""

from typing import Final

import polars as pl

from recsys_assets import columns
from recsys_assets.quality.contract import Column, Contract
from recsys_assets.quality.evaluation import contract_expectations
from recsys_assets.quality.expectations import Expectation, expect

RECOMMENDATIONS = Contract(
    name="recommendations",
    description="One item of one user's list, as a release holds it before the rules.",
    columns={
        columns.USER_ID: Column(dtype=pl.String, min_length=1, description="The source's id of the user."),
        columns.RANK: Column(dtype=pl.Int32, ge=1, unit="1", description="Place in the user's list, from 1."),
        columns.ITEM_ID: Column(dtype=pl.String, min_length=1, description="The source's id of the item."),
        columns.SCORE: Column(
            dtype=pl.Float32,
            unit="inner product of the embeddings",
            description="Higher is better; comparable within one list only.",
        ),
    },
    key=(columns.USER_ID, columns.ITEM_ID),
)

RECOMMENDATIONS_EXPECTATIONS: Final[list[Expectation]] = [
    *contract_expectations(RECOMMENDATIONS),
    expect(columns.SCORE).that(pl.col(columns.SCORE).is_finite(), name="finite", block_below=1.0),
    expect(columns.SCORE).that(
        pl.col(columns.SCORE) <= pl.col(columns.SCORE).shift().over(columns.USER_ID, order_by=columns.RANK),
        name="descending",
        block_below=1.0,
    ),
]
"""What every row satisfies; the first of a list has none before it, and passes."""
