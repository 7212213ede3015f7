"""Ranking and the most different places, against the obvious way to find them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.rules.engine.reranking import most_different
from recsys_assets.rules.engine.scoring import best_first

SCORES = st.lists(
    st.one_of(st.sampled_from([-1.0, -0.0, 0.0, 0.5, 1.0]), st.floats(-2, 2, width=32)), max_size=40
)


@given(scores=SCORES, seed=st.integers(0, 9))
def test_best_first_is_by_score_then_by_number(scores, seed):
    nums = np.random.default_rng(seed).permutation(len(scores)).astype(np.int32)
    obvious = sorted(range(len(scores)), key=lambda at: (-scores[at], nums[at]))
    assert best_first(np.asarray(scores, dtype=np.float32), nums).tolist() == obvious


def test_a_strength_too_small_to_matter_leaves_the_order():
    scores, alike = np.array([1, 0.9, 0.8], dtype=np.float32), np.eye(3, dtype=np.float32)[[0, 0, 1]]
    assert most_different(scores, alike, 3, strength=1e-42) == [0, 1, 2]
    assert most_different(scores, alike, 3, strength=1.0) == [0, 1, 2]


def test_full_strength_puts_what_is_different_before_what_is_alike():
    scores, alike = np.array([1, 0.99, 0.98], dtype=np.float32), np.eye(3, dtype=np.float32)[[0, 0, 1]]
    assert most_different(scores, alike, 3, strength=1.0, memory=1) == [0, 2, 1]
