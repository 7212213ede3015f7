"""A release as it is served: requests by id, with the events since the release."""

import secrets
from collections.abc import Callable, Iterator
from datetime import date

import numpy as np
import pytest

from recsys_assets.api.serving.serving_release import Serving
from recsys_assets.errors import UnknownItemError
from recsys_assets.intake.event_store import store_rows
from recsys_assets.intake.rows import EventRow
from recsys_assets.release.load import Release
from recsys_assets.rules.engine.requests import Answer, Request
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.world import item_id

AT = 1_712_016_000_000_000
"""2024-04-02, after the last day of the release, us since 1970."""


DAY_US = 86_400_000_000
Store = Callable[..., None]


@pytest.fixture
def serving(release: Release, own: Home) -> Iterator[Serving]:
    serving = Serving(release, own)
    yield serving
    serving.recent.close()


@pytest.fixture
def store(serving: Serving, own: Home) -> Store:
    """Stores events of a user, in turn, and has them taken over."""

    def act(user_id: str, *item_ids: str, kind: str = "view", at: int = AT) -> None:
        rows = [
            EventRow(secrets.token_hex(8), user_id, item, kind, at + place, AT)
            for place, item in enumerate(item_ids)
        ]
        store_rows(own.events_db, rows)
        serving.recent.refresh()

    return act


def request_of(serving: Serving, user_id: str) -> Request:
    user_num = serving.release.users.num(user_id)
    since = serving.since(user_id)
    return Request(
        k=10,
        user_id=user_id,
        user_num=user_num,
        session=since.wishes,
        exclude=serving.left_out(since, None),
    )


def ask(serving: Serving, user_id: str) -> Answer:
    return serving.plain.recommend(request_of(serving, user_id))


def test_items_of_events_after_the_release_are_seen(serving: Serving, store: Store) -> None:
    before = ask(serving, "u3").nums
    store("u3", *(serving.release.items[num] for num in before[:4]))
    assert set(before[:4]).isdisjoint(ask(serving, "u3").nums)


def test_the_newest_wishes_are_folded_into_the_vector_of_a_user_of_the_release(
    serving: Serving, store: Store
) -> None:
    release = serving.release
    user = release.users.num("u3")
    assert user is not None
    far = int(np.argmin(release.item_embeddings @ release.user_embeddings[user]))
    store("u3", release.items[far])
    nums = np.array([far], dtype=np.int32)
    before = release.taste_of_user(user).products(nums)
    assert release.taste_of_user(user, serving.since("u3").wishes).products(nums) > before


@pytest.mark.parametrize("kind", ["hide", "dislike"])
def test_an_item_that_the_user_hides_is_left_out_and_changes_nothing_else(
    serving: Serving, store: Store, kind: str
) -> None:
    before = ask(serving, "u3").nums
    store("u3", serving.release.items[before[2]], kind=kind)
    assert serving.since("u3").wishes == []
    after = ask(serving, "u3").nums
    assert after[:9] == [*before[:2], *before[3:]]


def test_a_user_newer_than_the_release_is_answered_from_the_items_since(
    serving: Serving, store: Store
) -> None:
    store("newcomer", item_id(5), "unheard-of")
    found = ask(serving, "newcomer")
    assert found.source == "session"
    assert serving.item_num(item_id(5)) not in found.nums


def test_the_items_of_a_user_are_those_since_the_release_then_the_history(
    serving: Serving, store: Store
) -> None:
    history = serving.release.history(serving.release.users.num("u3")).tolist()
    store("u3", serving.release.items[history[-1]])
    assert serving.items_of(request_of(serving, "u3")) == [history[-1], *history[:-1]]


def test_an_event_years_before_the_release_is_hidden_and_not_the_newest(
    serving: Serving, store: Store
) -> None:
    first = ask(serving, "u3").nums[0]
    store("u3", serving.release.items[first], at=AT - 5 * 366 * DAY_US)
    assert serving.since("u3").wishes == []
    assert first not in ask(serving, "u3").nums


def test_an_event_that_the_release_has_learnt_from_is_dropped(serving: Serving, store: Store) -> None:
    history = serving.release.history(serving.release.users.num("u3")).tolist()
    through = (serving.release.manifest.through_day - date(1970, 1, 1)).days
    store("u3", serving.release.items[history[-1]], at=through * DAY_US)
    assert len(serving.recent) == 0


def test_known_and_unknown_items_are_told_apart_and_each_is_there_once(serving: Serving) -> None:
    num = serving.item_num(item_id(5))
    assert serving.known_items([item_id(5), "unheard-of", item_id(5)]) == ([num], ["unheard-of"])


def test_an_unknown_item_is_an_error_that_names_it(serving: Serving) -> None:
    with pytest.raises(UnknownItemError, match="nothing-like-it"):
        serving.item_num("nothing-like-it")


def test_plain_lists_are_served_before_the_rules_are_bound(serving: Serving) -> None:
    assert serving.rules.bound is None
    assert len(ask(serving, "u3").nums) == 10


def test_the_rules_are_bound_over_the_same_plain_scenario(serving: Serving) -> None:
    serving.rules.bind()
    assert serving.rules.bound is not None
    assert serving.rules.bound.engine.plain is serving.plain
