"""Lists of items scored ahead of serving equal those from scoring everything."""

import numpy as np
import pytest

from recsys_assets.index.neighbour_rows import write_neighbours
from recsys_assets.settings import IndexSettings
from recsys_assets_tests.index.vectors import even, skewed

ITEMS = 5_000


@pytest.fixture(scope="module")
def catalogue():
    return skewed(ITEMS, seed=2)


def test_neighbours_are_the_nearest_by_cosine_without_the_item_itself(catalogue, tmp_path):
    popular = np.arange(ITEMS, dtype=np.int32)[::-1]
    found = write_neighbours(
        tmp_path,
        item_factors=catalogue,
        popular_items=popular,
        settings=IndexSettings(neighbours_per_item=10),
    )
    nums, scores = np.load(tmp_path / "neighbours_items.npy"), np.load(tmp_path / "neighbours_scores.npy")
    unit_ID = catalogue / np.linalg.norm(catalogue, axis=1, keepdims=True)

    assert found.items == ITEMS
    for item in range(0, ITEMS, 97):
        cosines = unit_ID @ unit_ID[item]
        cosines[item] = -np.inf
        np.testing.assert_allclose(scores[item], np.sort(cosines)[::-1][:10], atol=1e-5)
        assert item not in nums[item]


def test_only_the_most_popular_items_have_neighbours_where_all_would_be_too_much(catalogue, tmp_path):
    popular = np.arange(ITEMS, dtype=np.int32)[::-1]
    found = write_neighbours(
        tmp_path,
        item_factors=catalogue,
        popular_items=popular,
        settings=IndexSettings(neighbours_per_item=10, precompute_pairs=3 * ITEMS),
    )
    nums = np.load(tmp_path / "neighbours_items.npy")

    assert found.items == 3
    assert (np.flatnonzero(nums[:, 0] >= 0) == [ITEMS - 3, ITEMS - 2, ITEMS - 1]).all()


def test_an_item_without_direction_has_finite_cosines(tmp_path):
    items_ID = even(20)
    items_ID[3] = 0
    write_neighbours(
        tmp_path,
        item_factors=items_ID,
        popular_items=np.arange(20, dtype=np.int32),
        settings=IndexSettings(neighbours_per_item=5),
    )

    assert np.isfinite(np.load(tmp_path / "neighbours_scores.npy")).all()
