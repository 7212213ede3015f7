"""The best of a sum of products and related items is that of brute force, whatever is blocked."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.embeddings.score_recipe import ItemSums
from recsys_assets.index.exact_search import NormOrdered
from recsys_assets.release import taste
from recsys_assets.release.retrieval import Retrieval, WouldBlockError
from recsys_assets.release.taste import Taste


@st.composite
def questions(draw: st.DrawFn) -> dict[str, Any]:
    items = draw(st.integers(1, 120))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    nums = st.sets(st.integers(0, items - 1))
    among = draw(st.none() | nums)
    related = np.asarray(
        sorted(draw(st.sets(st.integers(0, items - 1), min_size=1, max_size=30))), dtype=np.int32
    )
    return {
        # few distinct values, so that ties are common
        "items_ID": rng.integers(-2, 3, size=(items, 3)).astype(np.float32),
        "x_D": rng.integers(-2, 3, size=3).astype(np.float32),
        "related": ItemSums(
            rng.permutation(related), rng.integers(-3, 4, len(related)).astype(np.float32), items
        ),
        "k": draw(st.integers(1, 130)),
        "blocked": draw(nums),
        "among": None if among is None else np.asarray(sorted(among), dtype=np.int32),
    }


def taste_of(question: dict[str, Any]) -> Taste:
    retrieval = Retrieval(question["items_ID"], NormOrdered.of(question["items_ID"]))
    return Taste(retrieval, question["x_D"], question["related"])


def brute_force(question: dict[str, Any]) -> tuple[list[int], list[float]]:
    """Every eligible item, best first, equal ones by number, and its score."""
    scores_I = question["items_ID"] @ question["x_D"]
    for num, score in zip(question["related"].nums, question["related"].scores, strict=True):
        scores_I[num] += score
    among = question["among"]
    nums = set(range(len(scores_I))) if among is None else set(among.tolist())
    ranked = sorted(nums - question["blocked"], key=lambda num: (-scores_I[num], num))[: question["k"]]
    return ranked, [float(scores_I[num]) for num in ranked]


@given(questions())
def test_the_top_of_a_sum_is_brute_force(question: dict[str, Any]) -> None:
    found = taste_of(question).top(
        question["k"], blocked=question["blocked"], among=question["among"], may_block=True
    )
    assert (found.nums.tolist(), found.scores.tolist()) == brute_force(question)


@given(questions())
def test_products_are_those_of_the_top(question: dict[str, Any]) -> None:
    asker = taste_of(question)
    found = asker.top(question["k"], blocked=question["blocked"], may_block=True)
    assert asker.products(found.nums).tolist() == found.scores.tolist()
    assert asker.products(found.nums, question["items_ID"][found.nums]).tolist() == found.scores.tolist()


@pytest.fixture
def few_related() -> Taste:
    """A catalogue of 1,000 items with falling scores, of which the last and the first have related sums."""
    items_ID = np.linspace(1, 0, 1_000, dtype=np.float32)[:, None]
    related = ItemSums(np.array([999, 0], np.int32), np.array([0.5, -2.0], np.float32), 1_000)
    return Taste(Retrieval(items_ID, NormOrdered.of(items_ID)), np.ones(1, dtype=np.float32), related)


def test_a_few_related_items_of_a_large_catalogue_need_no_score_of_all(few_related: Taste) -> None:
    found = few_related.top(3, blocked={2})
    assert found.nums.tolist() == [1, 3, 4]
    assert found.examined < 20
    assert few_related.top(2, blocked=range(1, 999), may_block=True).nums.tolist() == [999, 0]


def test_raises_when_many_related_items_have_to_be_scored_on_the_event_loop(
    few_related: Taste, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taste, "EXACT_AT_ONCE", 100)
    with pytest.raises(WouldBlockError):
        few_related.top(3, blocked=(), among=np.arange(500, dtype=np.int32))
