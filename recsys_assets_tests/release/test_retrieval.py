"""Never fewer than k while k eligible items exist, whatever the index finds; the best where it is exact."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.release import retrieval
from recsys_assets.release.retrieval import Retrieval, WouldBlockError, best


class LossyIndex:
    """Finds only some of the items, in the right order: what an approximate index does on a bad day."""

    def __init__(self, items_ID: npt.NDArray[np.float32], findable: set[int]) -> None:
        self._items_ID = items_ID
        self._findable = np.asarray(sorted(findable), dtype=np.int64)

    def search(self, x: npt.NDArray[np.float32], k: int, /) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        scores = self._items_ID[self._findable] @ x
        order = np.lexsort((self._findable, -scores))[:k]
        return self._findable[order], scores[order]


@st.composite
def questions(draw: st.DrawFn) -> dict[str, Any]:
    items = draw(st.integers(1, 90))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    # few distinct values, so that ties are common
    items_ID = rng.integers(-2, 3, size=(items, 3)).astype(np.float32)
    nums = st.sets(st.integers(0, items - 1))
    among = draw(st.none() | nums)
    return {
        "items_ID": items_ID,
        "x_D": rng.integers(-2, 3, size=3).astype(np.float32),
        "k": draw(st.integers(1, 120)),
        "blocked": draw(nums),
        "among": None if among is None else np.asarray(sorted(among), dtype=np.int32),
        "findable": draw(nums),
    }


def eligible(question: dict[str, Any]) -> list[int]:
    """Slow and obvious: every item that may be returned, best first, equal ones by number."""
    among = question["among"]
    nums = range(len(question["items_ID"])) if among is None else among.tolist()
    scores = {num: float(question["items_ID"][num] @ question["x_D"]) for num in nums}
    return sorted(scores.keys() - question["blocked"], key=lambda num: (-scores[num], num))


@given(questions())
def test_a_lossy_index_never_makes_a_list_shorter_or_wrong(question: dict[str, Any]) -> None:
    index = LossyIndex(question["items_ID"], question["findable"])
    found = Retrieval(question["items_ID"], index).top(
        question["x_D"],
        question["k"],
        blocked=question["blocked"],
        among=question["among"],
        may_block=True,
    )
    allowed = eligible(question)
    assert len(found.nums) == min(question["k"], len(allowed))
    assert len(set(found.nums.tolist())) == len(found.nums)
    assert set(found.nums.tolist()) <= set(allowed)
    scores = [float(question["items_ID"][num] @ question["x_D"]) for num in found.nums.tolist()]
    assert found.scores.tolist() == pytest.approx(scores)
    assert scores == sorted(scores, reverse=True)


@given(questions())
def test_exact_scoring_is_brute_force(question: dict[str, Any]) -> None:
    among = question["among"]
    items_nD = question["items_ID"] if among is None else question["items_ID"][among]
    found = best(items_nD @ question["x_D"], question["k"], question["blocked"], among)
    assert found.nums.tolist() == eligible(question)[: question["k"]]


def test_exact_scoring_of_a_large_catalogue_is_refused_on_the_event_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retrieval, "EXACT_AT_ONCE", 10)
    items_ID = np.ones((20, 3), dtype=np.float32)
    search = Retrieval(items_ID, LossyIndex(items_ID, set()))
    with pytest.raises(WouldBlockError):
        search.top(items_ID[0], 5, blocked=())
    assert len(search.top(items_ID[0], 5, blocked=(), may_block=True).nums) == 5


def test_a_slow_search_is_refused_on_the_event_loop() -> None:
    items_ID = np.ones((20, 3), dtype=np.float32)
    search = Retrieval(items_ID, LossyIndex(items_ID, set(range(20))), search_us=5_000)
    with pytest.raises(WouldBlockError):
        search.top(items_ID[0], 5, blocked=())
    assert len(search.top(items_ID[0], 5, blocked=(), may_block=True).nums) == 5
