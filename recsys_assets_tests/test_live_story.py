"""The story of a month: a stream, people who look at lists, two experiments, and a nightly export of what landed.

One experiment has a planted difference: its control shows everybody the popular items, its other arm shows lists by
taste. Beside it, in a scenario, both arms of the other experiment are the same.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import polars as pl
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from recsys_assets.api.app import create_app
from recsys_assets.experiments.online_results import read_results
from recsys_assets.experiments.results import read_result
from recsys_assets.intake.event_meaning import EventOptions
from recsys_assets.lake.event_days import event_store
from recsys_assets.lake.home_account import home_account
from recsys_assets.orchestration.instance import open_instance
from recsys_assets.orchestration.online_inputs import ONLINE
from recsys_assets.orchestration.resources import Lake
from recsys_assets.release.current import read_current
from recsys_assets.release.load import load_release
from recsys_assets.settings import load_settings
from recsys_assets.storage.home import Home
from recsys_assets_tests.live_shop import (
    HISTORY,
    MONTH,
    ROWS,
    SETTINGS,
    USERS,
    VISITORS,
    Clock,
    Shop,
    items_of,
    rows_of,
    sign_in,
    visits_of,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

EXPERIMENTS = f"""\
[experiments.taste]
start = {MONTH[0]}
end = {MONTH[-1]}
metric = "ctr"
arms = [{{ name = "popular", share = 0.5, model = "popular" }}, {{ name = "by_taste", share = 0.5 }}]

[experiments.same]
start = {MONTH[0]}
end = {MONTH[-1]}
metric = "ctr"
scenario = "plain"
arms = [{{ name = "one", share = 0.5 }}, {{ name = "other", share = 0.5 }}]
"""
BOUGHT = date(2024, 2, 9)
"""Day of the purchase that is sent twice as an event, and is in the export too."""
PURCHASE = {"user_id": "u7", "item_id": "i14", "kind": "purchase", "timestamp": f"{BOUGHT}T19:30:15Z"}


@dataclass(kw_only=True)
class Story:
    """All that happened."""

    home: Home
    looks: list[dict[str, list[str]]] = field(default_factory=list)
    """Experiment -> the verdict of each arm, a look a day."""
    sent: dict[date, int] = field(default_factory=dict)
    """Day -> the events that were sent by HTTP; those of the stream are not among them."""
    receipts: list[dict[str, Any]] = field(default_factory=list)
    """Answers to the purchase that was sent twice."""
    changed: tuple[str, list[str], list[str]] = ("", [], [])
    """An item that a user took on the first day, and the user's list before and after it was streamed."""
    page: dict[str, Any] = field(default_factory=dict)
    """`GET /v1/experiments/NAME` after the month, by name."""
    words: dict[str, str] = field(default_factory=dict)
    """`recsys experiments show NAME`, by name."""
    landed: dict[date, int] = field(default_factory=dict)
    """Day -> its raw rows before the export."""
    progress: dict[str, Any] = field(default_factory=dict)
    """`stream.json` after the last day."""


@pytest.fixture(scope="module")
def story(tmp_path_factory) -> Story:
    shop = Shop(tmp_path_factory.mktemp("shop"))
    shop.type("init", "--source", f"tabular:{shop.source}")
    with shop.home.settings_file.open("a") as file:
        file.write(SETTINGS)
    shop.type("build")
    shop.home.experiments_file.write_text(EXPERIMENTS)
    found, clock = Story(home=shop.home), Clock(evening(MONTH[0]))
    app = create_app(shop.home, shared_events=True, events=EventOptions.of(shop.home), clock=clock)
    with TestClient(app) as client:
        sign_in(shop, client, clock())
        for day in MONTH:
            clock.now = evening(day)
            a_day(shop, client, day, found)
        found.page = {name: client.get(f"/v1/experiments/{name}").json() for name in ("taste", "same")}
    found.words = {name: shop.type("experiments", "show", name) for name in ("taste", "same")}
    found.landed = rows_landed(shop.home)
    found.progress = json.loads(shop.home.stream_state.read_bytes())
    shop.export(PURCHASE)
    shop.type("build")
    return found


def a_day(shop: Shop, client: TestClient[Litestar], day: date, found: Story) -> None:
    """Lists are seen, the shop's own rows are streamed, the day lands, and the experiments are looked at."""
    visits = [one for scenario in (None, "plain") for one in visits_of(client, day, scenario=scenario)]
    found.sent[day] = sum(len(one.events) for one in visits)
    if day == BOUGHT:
        event = {"event_id": "order-1", **PURCHASE}
        found.receipts = [client.post("/v1/events", json=event).json() for _ in range(2)]
        found.sent[day] += 1
    if day != MONTH[0]:
        shop.stream(day)
    else:
        pairs = rows_of(day).select("user_id", "item_id").rows()
        user, item = next((user, item) for user, item in pairs if item in items_of(client, user, k=100))
        before = items_of(client, user, k=100)
        shop.stream(day)
        wait_until(lambda: item not in items_of(client, user, k=100))
        found.changed = (item, before, items_of(client, user, k=100))
    found.looks.append(shop.look(datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC)))


def evening(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 20, tzinfo=UTC)


def wait_until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not done():
        assert time.monotonic() < end, "it did not come about within 30 s"
        time.sleep(0.05)


def rows_landed(home: Home) -> dict[date, int]:
    files = Lake(home_path=str(home.root)).raw().files()
    return {day: file.rows for day, file in files.items() if day >= MONTH[0]}


def test_each_streamed_day_lands_with_the_rows_of_the_source_and_the_events_that_people_sent(story):
    assert story.landed == {day: ROWS + story.sent[day] for day in MONTH}
    assert (story.progress["day"], story.progress["running"]) == (str(MONTH[-1]), False)


def test_the_answers_of_a_running_server_follow_the_stream(story):
    item, before, after = story.changed
    assert item in before
    assert item not in after


def test_the_better_arm_is_found_within_the_month_and_the_verdict_stays(story):
    verdicts = [look["taste"][1] for look in story.looks]
    first = verdicts.index("better")
    assert set(verdicts[:first]) <= {"too few users", "not decided"}
    assert set(verdicts[first:]) == {"better"}
    assert len(verdicts) == len(MONTH)


def test_two_arms_that_serve_the_same_are_never_decided(story):
    verdicts = [look["same"][1] for look in story.looks]
    assert set(verdicts) == {"too few users", "not decided"}
    assert verdicts[-1] == "not decided"


def test_the_command_says_the_verdicts_in_words(story):
    taste, same = (words.splitlines()[-1] for words in story.words.values())
    day = MONTH[[look["taste"][1] for look in story.looks].index("better")]
    assert taste.startswith(f"by_taste is better than popular, decided on {day}: ctr 0.")
    assert taste.endswith(f"after 30 days, {USERS} users.")
    assert same.startswith(f"other: not decided after 30 days, {USERS} users: ctr 0.")
    assert [story.page[name]["words"] for name in ("taste", "same")] == [[taste], [same]]


def test_the_page_has_the_curve_over_the_days_of_both(story):
    for name, arms in (("taste", ["popular", "by_taste"]), ("same", ["one", "other"])):
        page = story.page[name]
        assert [look["day"] for look in page["days"]] == [str(day) for day in MONTH]
        assert [arm["arm"] for arm in page["days"][-1]["arms"]] == arms
        assert sum(arm["users"] for arm in page["days"][-1]["arms"]) <= USERS
        assert page["state"] == "running"
    difference = story.page["taste"]["days"][-1]["arms"][1]
    assert 0 < difference["low"] < difference["difference"] < difference["high"]


def test_a_purchase_sent_twice_is_one_event(story):
    assert [(one["accepted"], one["duplicates"]) for one in story.receipts] == [(1, 0), (0, 1)]
    landed = event_store(story.home).read(BOUGHT)
    assert landed["event_id"].to_list().count("order-1") == 1


def test_what_the_nightly_export_has_again_counts_once(story):
    assert rows_landed(story.home) == story.landed
    lake = Lake(home_path=str(story.home.root))
    for day in MONTH:
        in_source = ROWS + (day == BOUGHT)
        assert lake.raw().file(day).provenance["recsys.events_in_source"] == str(in_source), day
    is_it = (pl.col("user_id") == PURCHASE["user_id"]) & (pl.col("item_id") == PURCHASE["item_id"])
    for table in (lake.raw(), lake.interactions()):
        found = table.scan(table.days()).filter(is_it).select("kind", "timestamp").collect()
        assert found.rows() == [("purchase", datetime.fromisoformat(PURCHASE["timestamp"]))]


def test_the_row_account_says_how_many_were_in_both(story):
    found = home_account(story.home, load_settings(story.home).source)
    assert found.differences == ""
    assert found.account.reasons["event_in_source"].rows == ROWS * len(MONTH) + 1
    assert found.source_rows == ROWS * (HISTORY + len(MONTH)) + 1


def test_the_next_build_measures_the_answers_and_leaves_the_verdicts(story):
    found = read_results(story.home.artifact(ONLINE))
    answers = {(one.group_kind, one.group): one.shown for one in found.days if one.day == MONTH[-1]}
    assert answers["all", "all"] == 2 * VISITORS
    assert sum(shown for (kind, _), shown in answers.items() if kind == "arm") == 2 * VISITORS
    for name, verdict in (("taste", "better"), ("same", "not decided")):
        newest = read_result(story.home, name).days[-1]
        assert (newest.day, newest.arms[1].verdict) == (MONTH[-1], verdict)


def test_the_next_release_has_learnt_from_the_month(story):
    current = read_current(story.home.releases)
    assert current.startswith(f"{MONTH[-1]:%Y%m%d}-")
    release = load_release(story.home.releases / current)
    seen = release.seen(release.users.num_of(PURCHASE["user_id"]))
    assert PURCHASE["item_id"] in [release.items[num] for num in seen]


def test_every_day_is_green_in_dagster(story):
    with open_instance(story.home) as instance:
        for asset in ("raw_interactions", "interactions"):
            green = instance.get_materialized_partitions(dg.AssetKey(asset))
            assert {str(day) for day in MONTH} <= green
