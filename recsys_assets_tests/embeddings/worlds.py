"""Small worlds with a known answer, as `interactions` frames."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from recsys_assets import columns

START = datetime(2024, 1, 1, tzinfo=UTC)


def events(rows):
    """A frame from (user, item, weight, day) rows."""
    users, items, weights, days = zip(*rows, strict=True) if rows else ((), (), (), ())
    return pl.DataFrame(
        {
            columns.USER_ID: users,
            columns.ITEM_ID: items,
            columns.WEIGHT: weights,
            columns.TIMESTAMP: [START + timedelta(days=day) for day in days],
            columns.KIND: [None] * len(users),
        },
        schema={
            columns.USER_ID: pl.String,
            columns.ITEM_ID: pl.String,
            columns.WEIGHT: pl.Float32,
            columns.TIMESTAMP: pl.Datetime("us", "UTC"),
            columns.KIND: pl.String,
        },
    ).lazy()


def block_world(*, blocks=4, users=80, items=60, share=0.5, days=10, seed=0):
    """Users of block b touch only items of block b, each with probability `share`, on random days."""
    rng = np.random.default_rng(seed)
    return events(
        [
            (f"u{user:03}", f"i{item:03}", 1.0, int(rng.integers(days)))
            for user in range(users)
            for item in range(items)
            if user % blocks == item % blocks and rng.random() < share
        ]
    )
