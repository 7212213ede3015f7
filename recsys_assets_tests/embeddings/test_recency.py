import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets import columns
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.recency import UNKNOWN_CATEGORY, categories_in, log_popularity
from recsys_assets_tests.embeddings.worlds import events


def matrix_of(rows):
    return InteractionMatrix.from_interactions(events(rows))


def test_a_touch_counts_half_after_the_half_life():
    matrix = matrix_of([("u", "a", 1, 0), ("u", "b", 1, 10), ("v", "a", 1, 0)])
    short, long = (log_popularity(matrix, half_life_days=days) for days in (1.0, 1000.0))
    assert short[0] < short[1]
    assert long[0] > long[1]


def test_a_rare_item_has_about_the_popularity_of_its_category():
    rows = [(f"u{n}", "hit", 1, 9) for n in range(50)] + [("u1", "rare", 1, 0), ("u1", "alone", 1, 0)]
    matrix = matrix_of(rows)
    codes = np.array([UNKNOWN_CATEGORY, 0, 0])  # alone, hit, rare
    found = log_popularity(matrix, half_life_days=3.0, categories_I=codes)
    assert matrix.items.num("rare") == 2
    assert found[2] > found[0]
    assert found[1] > found[2]


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 400)), min_size=1, max_size=40),
    st.floats(0.1, 36_500),
)
def test_it_is_finite_with_mean_0_and_grows_with_users_of_the_last_day(pairs, half_life):
    matrix = matrix_of([(f"u{u}", f"i{i}", 1, day) for u, i, day in pairs])
    found = log_popularity(matrix, half_life_days=half_life)
    assert np.isfinite(found).all()
    assert abs(found.mean()) < 1e-9


def test_categories_follow_the_numbering_of_the_items():
    catalogue = pl.DataFrame(
        {columns.ITEM_ID: ["b", "a", "c"], columns.CATEGORY: ["tea", "jam", None]},
        schema={columns.ITEM_ID: pl.String, columns.CATEGORY: pl.String},
    )
    items = matrix_of([("u", name, 1, 0) for name in "abcd"]).items
    assert categories_in(catalogue)(items).tolist() == [0, 1, UNKNOWN_CATEGORY, UNKNOWN_CATEGORY]
    assert categories_in(None)(items) is None
