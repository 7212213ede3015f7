"""Lists under item states, against brute force: nothing hidden, nothing short, factors where they belong."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys_assets.intake.item_states import ItemState, Mark
from recsys_assets.intake.state_store import StatesSnapshot
from recsys_assets.release.bound_states import NO_STATES, bind_states
from recsys_assets.release.retrieval import LeftOut, best
from recsys_assets.rules.engine.plain import PlainScenario
from recsys_assets.rules.engine.requests import Request
from recsys_assets_tests.api.world import CATEGORIES

ITEMS = 80
MARK = Mark(at=datetime(2024, 4, 2, tzinfo=UTC), by="shop")
once_released = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
nums = st.sets(st.integers(0, ITEMS - 1), max_size=ITEMS)
boosts = st.dictionaries(st.integers(0, ITEMS - 1), st.sampled_from([0.01, 0.5, 2.0, 100.0]), max_size=8)
users = st.integers(0, 39)
ks = st.integers(1, 90)


@pytest.fixture
def plain(release):
    return PlainScenario(release)


def take_up(plain, *, hidden=(), unavailable=(), boost=None, categories=None):
    """Put states in force, and return the item numbers that lists leave out."""
    boost, categories = boost or {}, categories or {}
    release, states = plain.release, {}
    for num in {*hidden, *unavailable, *boost, *categories}:
        states[release.items[num]] = ItemState(
            hidden=num in hidden, available=False if num in unavailable else None, boost=boost.get(num),
            categories=categories.get(num), last=MARK,
        )  # fmt: skip
    plain.lookups.take_up(bind_states(StatesSnapshot(version=1, states=states), release.items))
    return {*hidden, *unavailable}


def raised(score, factor):
    return score * factor if score > 0 else score / factor


@once_released
@given(user=users, k=ks, hidden=nums, unavailable=nums, boost=boosts, include_seen=st.booleans())
def test_a_user_s_list_is_the_best_of_what_is_left_and_never_short(  # noqa: PLR0917
    release, plain, user, k, hidden, unavailable, boost, include_seen
):
    gone = take_up(plain, hidden=hidden, unavailable=unavailable, boost=boost)
    found = plain.recommend(Request(k=k, user_id="u", user_num=user, include_seen=include_seen))
    seen = set() if include_seen else set(release.seen(user).tolist())
    left = set(range(ITEMS)) - gone - seen
    scores = release.taste_of_user(user).products(np.arange(ITEMS, dtype=np.int32))
    expected = sorted((raised(float(scores[num]), boost.get(num, 1.0)) for num in left), reverse=True)
    assert set(found.nums) <= left
    assert len(found.nums) == len(set(found.nums)) == min(k, len(left))
    assert found.scores == pytest.approx(expected[:k], rel=1e-4, abs=1e-6)


@once_released
@given(
    num=st.integers(0, ITEMS - 1),
    k=ks,
    hidden=nums,
    boost=boosts,
    category=st.none() | st.sampled_from(CATEGORIES),
)
def test_similar_and_popular_lists_hold_nothing_hidden_and_are_never_short(  # noqa: PLR0917
    release, plain, num, k, hidden, boost, category
):
    gone = take_up(plain, hidden=hidden, boost=boost)
    of_category = [one for one in range(ITEMS) if category is None or release.categories[one] == category]
    similar = plain.similar(num, Request(k=k, category=category))
    popular = plain.popular(Request(k=k, category=category))
    left = set(of_category) - gone
    assert similar.scores == sorted(similar.scores, reverse=True)
    assert set(similar.nums) <= left - {num}
    assert len(similar.nums) == min(k, len(left - {num}))
    assert set(popular.nums) <= left
    assert len(popular.nums) == min(k, len(left))
    assert popular.scores == sorted(popular.scores, reverse=True)


@once_released
@given(session=st.lists(st.integers(0, ITEMS - 1), min_size=1, max_size=5, unique=True), k=ks, hidden=nums)
def test_a_session_s_list_holds_nothing_hidden_and_is_never_short(plain, session, k, hidden):
    gone = take_up(plain, hidden=hidden)
    found = plain.recommend(Request(k=k, session=session))
    left = set(range(ITEMS)) - gone - set(session)
    assert set(found.nums) <= left
    assert len(found.nums) == min(k, len(left))


def test_an_item_of_another_category_now_is_found_by_that_one_alone(release, plain):
    num = next(one for one in range(ITEMS) if release.categories[one] == "Tea")
    before = plain.lookups.of_category("Tea").tolist()
    take_up(plain, categories={num: ["Fish", "Bread"]})
    assert plain.lookups.of_category("Tea").tolist() == [one for one in before if one != num]
    assert plain.lookups.of_category("Fish").tolist() == [num]
    assert plain.lookups.of_category("Fish | Bread").tolist() == [num]
    assert plain.lookups.categories()["Fish"] == 1
    assert plain.recommend(Request(k=3, category="Fish")).nums == [num]
    ranks = {one: rank for rank, one in enumerate(release.popular_items.tolist())}
    bread = plain.lookups.of_category("Bread").tolist()
    assert num in bread
    assert bread == sorted(bread, key=ranks.__getitem__)


def test_states_taken_back_leave_the_lists_as_they_were(plain):
    request = Request(k=20, user_id="u", user_num=3)
    before = plain.recommend(request)
    take_up(plain, hidden=set(before.nums[:5]), boost={before.nums[9]: 100.0})
    assert plain.recommend(request).nums[0] == before.nums[9]
    plain.lookups.take_up(NO_STATES)
    assert plain.recommend(request) == before


def test_a_state_of_an_item_that_the_release_has_not_changes_nothing(release):
    snapshot = StatesSnapshot(version=4, states={"nowhere": ItemState(hidden=True, last=MARK)})
    states = bind_states(snapshot, release.items)
    assert (states.version, states.gone_I, states.by_num) == (4, None, {})


@given(
    scores=st.lists(st.integers(-5, 5).map(float), min_size=30, max_size=30),
    k=st.integers(1, 40), few=st.sets(st.integers(0, 29)), masked=st.sets(st.integers(0, 29)),
)  # fmt: skip
def test_a_mask_leaves_out_the_same_as_numbers_do(scores, k, few, masked):
    scores_n = np.array(scores, dtype=np.float32)
    mask_I = np.zeros(30, dtype=np.bool_)
    mask_I[list(masked)] = True
    left_out = LeftOut(few, mask_I, len(masked))
    one, other = best(scores_n, k, left_out), best(scores_n, k, few | masked)
    assert one.nums.tolist() == other.nums.tolist()
    assert one.scores.tolist() == other.scores.tolist()
    assert {num for num in range(30) if num in left_out} == few | masked
