"""Exact search finds what scoring and sorting everything finds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recsys_assets.index.exact_search import NormOrdered, Pairs, top_products
from recsys_assets_tests.index.vectors import even, skewed


@pytest.mark.parametrize("make", [skewed, even])
@pytest.mark.parametrize("k", [1, 10, 700, 9_999])
def test_exact_search_equals_scoring_everything(make, k):
    items_ID, x_D = make(5_000), make(1, seed=9)[0]
    nums, scores = NormOrdered.of(items_ID).search(x_D, k)

    assert len(set(nums.tolist())) == min(k, 5_000)
    np.testing.assert_allclose(scores, np.sort(items_ID @ x_D)[::-1][:k], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(items_ID[nums] @ x_D, scores, rtol=1e-4, atol=1e-5)


def test_exact_search_looks_only_at_long_items():
    items_ID = skewed(50_000)
    ordered = NormOrdered.of(items_ID)
    top = top_products(items_ID[:200], ordered, 10, left_out=Pairs.none())

    assert top.scored < 0.5 * 200 * 50_000


def test_a_zero_vector_gets_a_full_list():
    nums, scores = NormOrdered.of(skewed(3_000)).search(np.zeros(16, dtype=np.float32), 5)

    assert (len(nums), scores.tolist()) == (5, [0.0] * 5)


def test_a_list_of_length_zero_is_empty():
    nums, scores = NormOrdered.of(skewed(10)).search(np.ones(16, dtype=np.float32), 0)

    assert (len(nums), len(scores)) == (0, 0)


@given(
    vectors=hnp.arrays(
        np.float32, st.tuples(st.integers(1, 40), st.just(3)), elements=st.integers(-3, 3).map(float)
    ),
    x_ND=hnp.arrays(
        np.float32, st.tuples(st.integers(1, 5), st.just(3)), elements=st.integers(-3, 3).map(float)
    ),
    k=st.integers(1, 45),
    data=st.data(),
)
@settings(max_examples=150, deadline=None)
def test_batch_equals_sorting_everything_by_score_then_number(vectors, x_ND, k, data):
    pairs = st.tuples(st.integers(0, len(x_ND) - 1), st.integers(0, len(vectors) - 1))
    left_out = data.draw(st.sets(pairs, max_size=60))
    rows, items = np.array(sorted(left_out), dtype=np.int64).reshape(-1, 2).T
    top = top_products(
        x_ND, NormOrdered.of(vectors), k, left_out=Pairs(rows=rows, items=items.astype(np.int32))
    )

    for row, x_D in enumerate(x_ND):
        allowed = [num for num in range(len(vectors)) if (row, num) not in left_out]
        expected = sorted(allowed, key=lambda num: (-float(vectors[num] @ x_D), num))[:k]
        assert top.nums[row].tolist() == expected + [-1] * (k - len(expected))
        assert np.isneginf(top.scores[row, len(expected) :]).all()
