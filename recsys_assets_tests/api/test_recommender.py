"""The serving path over a real release, against brute force over its arrays."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys_assets.api.serving.event_store import EventRow, EventStore
from recsys_assets.api.serving.queries import Wanted
from recsys_assets.api.serving.recommender import Recommender
from recsys_assets.errors import UnknownItemError
from recsys_assets.release.load import Release
from recsys_assets_tests.api.world import CATEGORIES, item_id

USERS, ITEMS = 40, 80
AT = "2024-04-02T00:00:00.000000+00:00"
item_ids = st.integers(0, ITEMS + 5).map(item_id)
wanted = st.builds(
    Wanted,
    k=st.integers(1, 100),
    include_seen=st.booleans(),
    exclude=st.lists(item_ids, max_size=30),
    category=st.none() | st.sampled_from([*CATEGORIES, "Fish"]),
)
once_released = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture
def events(tmp_path: Path) -> EventStore:
    return EventStore(tmp_path / "events.sqlite")


@pytest.fixture
def recommender(release: Release, events: EventStore) -> Recommender:
    return Recommender(release, events)


def brute_force(release: Release, x_D: np.ndarray, seen: set[int], asked: Wanted) -> list[int]:
    excluded = {release.items.num(item) for item in asked.exclude}
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
@given(user=st.integers(0, USERS - 1), asked=wanted)
def test_a_user_gets_exactly_the_best_eligible_items(
    release: Release, recommender: Recommender, user: int, asked: Wanted
) -> None:
    found = recommender.for_user(f"u{user}", asked, may_block=True)
    user_num = release.users.num(f"u{user}")
    assert user_num is not None
    x_D = release.user_embeddings[user_num]
    seen = history_of(release, user_num)
    assert_same_scores(release, x_D, found.nums, brute_force(release, x_D, seen, asked))
    assert found.source == "user"
    if not asked.include_seen:
        assert seen.isdisjoint(found.nums)


@once_released
@given(session=st.lists(item_ids, min_size=1, max_size=12), asked=wanted)
def test_a_session_gets_exactly_the_best_eligible_items(
    release: Release, recommender: Recommender, session: list[str], asked: Wanted
) -> None:
    known, unknown = recommender.known_items(session)
    found = recommender.for_session(known, asked, may_block=True)
    assert {release.items[num] for num in known} | set(unknown) == set(session)
    if not known:
        assert found.source == "popular"
        return
    x_D = release.fold_in.embed(np.asarray(known))
    assert_same_scores(release, x_D, found.nums, brute_force(release, x_D, set(known), asked))


@once_released
@given(asked=wanted)
def test_popular_items_are_the_most_popular_eligible_ones(
    release: Release, recommender: Recommender, asked: Wanted
) -> None:
    excluded = {release.items.num(item) for item in asked.exclude}
    expected = [
        num
        for num in release.popular_items.tolist()
        if num not in excluded and (asked.category is None or release.categories[num] == asked.category)
    ]
    assert recommender.popular(asked).nums == expected[: asked.k]


@once_released
@given(item=st.integers(0, ITEMS - 1), asked=wanted)
def test_similar_items_never_hold_the_item_itself_and_are_k_while_k_exist(
    release: Release, recommender: Recommender, item: int, asked: Wanted
) -> None:
    found = recommender.similar(item_id(item), asked, may_block=True)
    num = release.items.num(item_id(item))
    assert num not in found.nums
    everything = Wanted(k=ITEMS, include_seen=True, exclude=asked.exclude, category=asked.category)
    possible = set(brute_force(release, release.item_embeddings[num], set(), everything)) - {num}
    assert len(found.nums) == len(set(found.nums)) == min(asked.k, len(possible))
    assert found.scores == sorted(found.scores, reverse=True)


def test_an_unknown_item_has_no_similar_ones(recommender: Recommender) -> None:
    with pytest.raises(UnknownItemError, match="nothing-like-it"):
        recommender.similar("nothing-like-it", Wanted())


def test_a_stranger_gets_popular_items_and_is_told_so(recommender: Recommender) -> None:
    found = recommender.for_user("nobody", Wanted(k=5))
    assert (found.source, found.reason) == ("popular", "the user is not in the release")
    assert len(found.nums) == 5


def test_items_of_events_after_the_release_are_seen(
    release: Release, recommender: Recommender, events: EventStore
) -> None:
    before = recommender.for_user("u3", Wanted(k=10)).nums
    events.add([EventRow("u3", release.items[num], AT, AT) for num in before[:4]])
    after = recommender.for_user("u3", Wanted(k=10)).nums
    assert set(before[:4]).isdisjoint(after)
    assert after[:6] == before[4:]


def test_a_user_newer_than_the_release_is_answered_from_the_items_since(
    release: Release, recommender: Recommender, events: EventStore
) -> None:
    events.add([EventRow("newcomer", item_id(5), AT, AT), EventRow("newcomer", "unheard-of", AT, AT)])
    found = recommender.for_user("newcomer", Wanted(k=10))
    assert found.source == "session"
    assert release.items.num(item_id(5)) not in found.nums


def test_without_any_budget_popular_items_answer_and_the_seen_are_still_left_out(
    release: Release, recommender: Recommender
) -> None:
    found = recommender.for_user("u1", Wanted(k=60, budget_ms=0.0))
    user_num = release.users.num("u1")
    assert user_num is not None
    assert found.source == "popular"
    assert found.reason is not None
    assert "0.00 ms of the budget are left" in found.reason
    assert history_of(release, user_num).isdisjoint(found.nums)


def test_an_ample_budget_changes_nothing(recommender: Recommender) -> None:
    ample = recommender.for_user("u1", Wanted(budget_ms=10_000.0))
    assert ample.source == "user"
    assert ample.nums == recommender.for_user("u1", Wanted()).nums


def test_a_reason_is_the_nearest_item_of_the_history(recommender: Recommender) -> None:
    history = recommender.items_of("u1")
    (nearest,) = recommender.catalogue.nearest([history[2]], history)
    assert nearest == history[2]
