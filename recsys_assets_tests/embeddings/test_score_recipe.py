import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.embeddings.score_recipe import FactorSlice, ItemSums, Prior, RelatedRows, ScoreRecipe
from recsys_assets.errors import BrokenReleaseError

BLEND = ScoreRecipe(
    model="ials+softmax",
    factors={"ials": FactorSlice(first=0, end=8, weight=0.7), "softmax": FactorSlice(first=8, end=12)},
    prior=Prior(half_life_days=30.0, weight=0.1, user_coordinate=0.5),
    own_half_life_days=20.0,
)
ROWS = RelatedRows(
    items_IN=np.array([[1, 2], [2, -1], [0, 1], [-1, -1]], dtype=np.int32),
    weights_IN=np.array([[0.5, -0.25], [1.0, 0.0], [2.0, 0.25], [0.0, 0.0]], dtype=np.float32),
)


def test_a_recipe_is_read_as_it_was_written(tmp_path):
    BLEND.save(tmp_path)
    assert ScoreRecipe.load(tmp_path) == BLEND
    assert '"from": 8' in (tmp_path / "scoring.json").read_text()


def test_the_prior_is_a_dimension_but_no_factor():
    assert (BLEND.factor_size, BLEND.size, BLEND.is_one) == (12, 13, False)
    one = ScoreRecipe.of_one("ials", 8)
    assert (one.factor_size, one.size, one.is_one) == (8, 8, True)


def test_raises_when_a_recipe_is_missing(tmp_path):
    with pytest.raises(BrokenReleaseError, match=r"scoring\.json"):
        ScoreRecipe.load(tmp_path)


def test_a_wish_a_half_life_before_the_last_one_counts_half():
    assert BLEND.own_weights(np.array([120, 100, 80])).tolist() == [1.0, 0.5, 0.25]
    assert ScoreRecipe.of_one("ials", 8).own_weights(np.array([120, 100])).tolist() == [1.0, 1.0]
    assert BLEND.own_weights(np.array([], dtype=np.int32)).tolist() == []


def test_rows_are_summed_by_the_weight_of_each_wish():
    found = ROWS.sum_rows(np.array([0, 2]), np.array([1.0, 0.5], dtype=np.float32))
    assert dict(zip(found.nums.tolist(), found.scores.tolist(), strict=True)) == {0: 1.0, 1: 0.625, 2: -0.25}
    assert found.at(np.array([3, 2, 0, 2])).tolist() == [0.0, -0.25, 1.0, -0.25]


def test_the_strongest_wish_is_the_one_that_speaks_for_an_item_most():
    wishes, weights = np.array([0, 2]), np.array([1.0, 0.125], dtype=np.float32)
    assert ROWS.strongest(wishes, weights, np.array([0, 1, 2, 3])).tolist() == [2, 0, -1, -1]
    assert ROWS.strongest(wishes[::-1], np.ones(2, dtype=np.float32), np.array([1])).tolist() == [0]


def test_a_sparse_row_knows_its_items_and_not_those_of_the_one_before():
    ROWS.sum_rows(np.array([0, 2]), np.ones(2, dtype=np.float32)).holds(np.arange(4))
    found = ROWS.sum_rows(np.array([1]), np.ones(1, dtype=np.float32))
    assert found.holds(np.arange(4)).tolist() == [False, False, True, False]
    none = ItemSums(np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.float32), 4)
    assert not none.holds(np.arange(4)).any()


def test_an_item_without_related_ones_adds_nothing():
    assert len(ROWS.sum_rows(np.array([3]), np.ones(1, dtype=np.float32)).nums) == 0
    assert len(ROWS.sum_rows(np.array([], dtype=np.int32), np.ones(0, dtype=np.float32)).nums) == 0


@given(
    seed=st.integers(0, 500), items=st.integers(1, 40), width=st.integers(1, 12), wishes=st.integers(0, 40)
)
def test_the_sums_are_those_of_a_dense_matrix(*, seed: int, items: int, width: int, wishes: int) -> None:
    rng = np.random.default_rng(seed)
    ends = rng.integers(0, width + 1, items)
    items_IN = np.full((items, width), -1, dtype=np.int32)
    weights_IN = np.zeros((items, width), dtype=np.float32)
    dense_II = np.zeros((items, items))
    for row, end in enumerate(np.minimum(ends, items)):
        items_IN[row, :end] = rng.choice(items, end, replace=False)
        weights_IN[row, :end] = rng.normal(size=end)
        dense_II[row, items_IN[row, :end]] = weights_IN[row, :end]
    nums = rng.choice(items, min(wishes, items), replace=False)
    a_n = rng.uniform(0, 1, len(nums)).astype(np.float32)
    found = RelatedRows(items_IN=items_IN, weights_IN=weights_IN).sum_rows(nums, a_n)
    assert len(set(found.nums.tolist())) == len(found.nums)
    np.testing.assert_allclose(found.at(np.arange(items)), a_n @ dense_II[nums], atol=1e-5)


def test_sums_of_one_request_do_not_leak_into_the_next():
    ROWS.sum_rows(np.array([0, 1, 2]), np.ones(3, dtype=np.float32)).at(np.arange(4))
    empty = ItemSums(np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.float32), 4)
    assert empty.at(np.arange(4)).tolist() == [0.0] * 4


def test_related_rows_are_read_as_they_were_written(tmp_path):
    ROWS.save(tmp_path)
    found = RelatedRows.load(tmp_path)
    assert found is not None
    assert found.items_IN.tolist() == ROWS.items_IN.tolist()
    assert found.weights_IN.tolist() == ROWS.weights_IN.tolist()
    assert RelatedRows.load(tmp_path / "elsewhere") is None


def test_raises_when_half_of_the_related_rows_is_missing(tmp_path):
    ROWS.save(tmp_path)
    (tmp_path / "related_weights.npy").unlink()
    with pytest.raises(BrokenReleaseError, match="cannot be mapped"):
        RelatedRows.load(tmp_path)
    np.save(tmp_path / "related_weights.npy", np.zeros((2, 2), dtype=np.float32))
    with pytest.raises(BrokenReleaseError, match="expected that of the items"):
        RelatedRows.load(tmp_path)
