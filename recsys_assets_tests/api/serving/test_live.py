"""A release as it is served: requests by id, with the events since the release."""

from pathlib import Path

import pytest

from recsys_assets.api.serving.live import Serving
from recsys_assets.errors import UnknownItemError
from recsys_assets.intake.merged_users import MergedUsers
from recsys_assets.release.event_store import EventRow, EventStore
from recsys_assets.release.load import Release
from recsys_assets.rules.engine.requests import Answer, Request
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.world import item_id

AT = "2024-04-02T00:00:00.000000+00:00"


@pytest.fixture
def events(tmp_path: Path) -> EventStore:
    return EventStore(tmp_path / "events.sqlite")


@pytest.fixture
def serving(release: Release, events: EventStore, home: Home) -> Serving:
    return Serving(release, events, home, MergedUsers(home.events_db))


def request_of(serving: Serving, user_id: str) -> Request:
    user_num = serving.release.users.num(user_id)
    return Request(k=10, user_id=user_id, user_num=user_num, session=serving.items_since(user_id))


def ask(serving: Serving, user_id: str) -> Answer:
    return serving.plain.recommend(request_of(serving, user_id))


def test_items_of_events_after_the_release_are_seen(serving: Serving, events: EventStore) -> None:
    before = ask(serving, "u3").nums
    events.add([EventRow("u3", serving.release.items[num], AT, AT) for num in before[:4]])
    after = ask(serving, "u3").nums
    assert set(before[:4]).isdisjoint(after)
    assert after[:6] == before[4:]


def test_a_user_newer_than_the_release_is_answered_from_the_items_since(
    serving: Serving, events: EventStore
) -> None:
    events.add([EventRow("newcomer", item_id(5), AT, AT), EventRow("newcomer", "unheard-of", AT, AT)])
    found = ask(serving, "newcomer")
    assert found.source == "session"
    assert serving.item_num(item_id(5)) not in found.nums


def test_the_items_of_a_user_are_those_since_the_release_then_the_history(
    serving: Serving, events: EventStore
) -> None:
    history = serving.release.history(serving.release.users.num("u3")).tolist()
    events.add([EventRow("u3", serving.release.items[history[-1]], AT, AT)])
    assert serving.items_of(request_of(serving, "u3")) == [history[-1], *history[:-1]]


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
