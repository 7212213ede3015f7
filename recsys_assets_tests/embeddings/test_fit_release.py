import polars as pl
import pytest

from recsys_assets import columns
from recsys_assets.embeddings.fit_release import only_purchases


@pytest.mark.parametrize(
    ("kinds", "weights", "expected"),
    [
        (["purchase", "purchase"], [1.0, 2.0], True),
        (["purchase", "view"], [1.0, 0.0], True),
        (["purchase", "view"], [1.0, 0.1], False),
        (["purchase", None], [1.0, 1.0], False),
        ([None, None], [1.0, 1.0], False),
    ],
)
def test_wishes_are_purchases_where_every_event_that_weighs_is_one(kinds, weights, expected):
    frame = pl.LazyFrame(
        {columns.KIND: kinds, columns.WEIGHT: weights},
        schema={columns.KIND: pl.String, columns.WEIGHT: pl.Float32},
    )
    assert only_purchases(frame) is expected
