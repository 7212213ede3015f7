"""The scenario without rules over a real release, against brute force over its arrays."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys_assets.release.load import Release
from recsys_assets.rules.engine.plain import PlainScenario
from recsys_assets.rules.engine.requests import Answer, Request
from recsys_assets_tests.api.world import CATEGORIES

USERS, ITEMS = 40, 80
wishes = st.fixed_dictionaries(
    {
        "k": st.integers(1, 100),
        "include_seen": st.booleans(),
        "exclude": st.lists(st.integers(0, ITEMS - 1), max_size=30),
        "category": st.none() | st.sampled_from([*CATEGORIES, "Fish"]),
    }
)
once_released = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture
def plain(release: Release) -> PlainScenario:
    return PlainScenario(release)


def ask(plain: PlainScenario, user_id: str, **wishes: Any) -> Answer:
    user_num = plain.release.users.num(user_id)
    return plain.recommend(Request(user_id=user_id, user_num=user_num, **wishes))


def brute_force(release: Release, x_D: np.ndarray, seen: set[int], asked: Request) -> list[int]:
    excluded = set(asked.exclude)
    scores = release.item_embeddings @ x_D
    kept = [
        num
        for num in range(ITEMS)
        if num not in excluded
        and (asked.include_seen or num not in seen)
        and (asked.category is None or release.categories[num] == asked.category)
    ]
    return sorted(kept, key=lambda num: (-scores[num], num))[: asked.k]


def history_of(release: Release, user_num: int) -> set[int]:
    return set(
        release.history_items[
            release.history_indptr[user_num] : release.history_indptr[user_num + 1]
        ].tolist()
    )


def assert_same_scores(release: Release, x_D: np.ndarray, found: list[int], expected: list[int]) -> None:
    # scores are compared, not items: different sums round equal scores differently in the last digits
    scores = release.item_embeddings @ x_D
    assert len(found) == len(set(found)) == len(expected)
    assert scores[found] == pytest.approx(scores[expected], abs=1e-5)


@once_released
@given(user=st.integers(0, USERS - 1), wishes=wishes)
def test_a_user_gets_exactly_the_best_eligible_items(
    release: Release, plain: PlainScenario, user: int, wishes: dict[str, Any]
) -> None:
    found = ask(plain, f"u{user}", **wishes)
    user_num = release.users.num(f"u{user}")
    assert user_num is not None
    x_D = release.user_embeddings[user_num]
    seen = history_of(release, user_num)
    assert_same_scores(release, x_D, found.nums, brute_force(release, x_D, seen, Request(**wishes)))
    assert found.source == "user"
    if not wishes["include_seen"]:
        assert seen.isdisjoint(found.nums)


@once_released
@given(session=st.lists(st.integers(0, ITEMS - 1), max_size=12, unique=True), wishes=wishes)
def test_a_session_gets_exactly_the_best_eligible_items(
    release: Release, plain: PlainScenario, session: list[int], wishes: dict[str, Any]
) -> None:
    request = Request(session=session, **wishes)
    found = plain.recommend(request)
    if not session:
        assert found.source == "popular"
        return
    x_D = release.score.fold_in.embed(np.asarray(session))
    assert_same_scores(release, x_D, found.nums, brute_force(release, x_D, set(session), request))


@once_released
@given(wishes=wishes)
def test_popular_items_are_the_most_popular_eligible_ones(
    release: Release, plain: PlainScenario, wishes: dict[str, Any]
) -> None:
    request = Request(**wishes)
    expected = [
        num
        for num in release.popular_items.tolist()
        if num not in request.exclude
        and (request.category is None or release.categories[num] == request.category)
    ]
    assert plain.popular(request).nums == expected[: request.k]


@once_released
@given(item=st.integers(0, ITEMS - 1), wishes=wishes)
def test_similar_items_never_hold_the_item_itself_and_are_k_while_k_exist(
    release: Release, plain: PlainScenario, item: int, wishes: dict[str, Any]
) -> None:
    request = Request(**wishes)
    found = plain.similar(item, request)
    assert item not in found.nums
    everything = Request(**{**wishes, "k": ITEMS, "include_seen": True})
    possible = set(brute_force(release, release.item_embeddings[item], set(), everything)) - {item}
    assert len(found.nums) == len(set(found.nums)) == min(request.k, len(possible))
    assert found.scores == sorted(found.scores, reverse=True)


def test_a_stranger_gets_popular_items_and_the_reason(plain: PlainScenario) -> None:
    found = ask(plain, "nobody", k=5)
    assert (found.source, found.reason) == ("popular", "the user is not in the release")
    assert len(found.nums) == 5


def test_without_any_budget_popular_items_answer_and_the_seen_are_still_left_out(
    release: Release, plain: PlainScenario
) -> None:
    found = ask(plain, "u1", k=60, budget_ms=0.0)
    user_num = release.users.num("u1")
    assert user_num is not None
    assert found.source == "popular"
    assert found.reason is not None
    assert "0.00 ms of the budget are left" in found.reason
    assert history_of(release, user_num).isdisjoint(found.nums)


def test_an_ample_budget_changes_nothing(plain: PlainScenario) -> None:
    ample = ask(plain, "u1", budget_ms=10_000.0)
    assert ample.source == "user"
    assert ample.nums == ask(plain, "u1").nums


def test_a_reason_is_the_nearest_item_of_the_history(release: Release, plain: PlainScenario) -> None:
    history = release.history(1).tolist()
    assert plain.lookups.nearest([history[2]], history) == [history[2]]


def test_an_item_without_a_direction_is_like_the_popular_ones_of_its_category(release: Release) -> None:
    items = release.item_embeddings.copy()
    items[3] = 0
    bare = PlainScenario(replace(release, item_embeddings=items))
    found = bare.similar(3, Request(k=5))
    assert found.source == "popular"
    assert found.reason
    assert 3 not in found.nums
    assert {release.categories[num] for num in found.nums} == {release.categories[3]}
