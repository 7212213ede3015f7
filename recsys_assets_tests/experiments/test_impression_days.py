"""Landing of impressions: each once, whatever is killed, sent again or sent late."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from recsys_assets.errors import EventsUnavailableError
from recsys_assets.experiments.impression_days import (
    IMPRESSIONS,
    impression_store,
    impressions_waiting,
    land_impressions,
)
from recsys_assets.intake.rows import ImpressionRow
from recsys_assets.intake.stored_events import read_impressions
from recsys_assets.quality.contract import validate
from recsys_assets.release.answer_counts import AnswerCounts
from recsys_assets.release.answer_series import ArmName
from recsys_assets.storage.home import Home
from recsys_assets_tests.clicking import Visit, store
from recsys_assets_tests.experiments.shown_home import FIRST_DAY, RELEASE, day_of_visits

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DAY_US = 86_400_000_000


@pytest.fixture
def home(tmp_path):
    found = Home(tmp_path / "home")
    found.root.mkdir()
    return found


def land(home, *, keep_days=90):
    return land_impressions(home, keep_days=keep_days, now=NOW)


def in_lake(home):
    found = impression_store(home)
    return found.scan(found.days()).collect()


def shown_at(answer, item, us, position=1):
    return Visit(impressions=[ImpressionRow(answer, item, position, "u", us, us)])


def test_each_impression_lands_once_on_its_day_with_its_list_and_arm(home):
    visits = day_of_visits(home, FIRST_DAY, arms=("a", None)) + day_of_visits(
        home, FIRST_DAY + timedelta(days=2)
    )
    landed = land(home)
    assert landed.days == (FIRST_DAY, FIRST_DAY + timedelta(days=2))
    assert landed.rows == in_lake(home).height == sum(len(one.impressions) for one in visits)
    frame = validate(IMPRESSIONS, in_lake(home))
    assert frame["release"].unique().to_list() == [RELEASE]
    assert set(frame.select("experiment", "arm").unique().rows()) == {("prices", "a"), (None, None)}
    assert impressions_waiting(home) == 0
    assert land(home) == land(home)


def test_a_landing_that_was_killed_before_it_noted_its_end_is_repeated_without_harm(home):
    day_of_visits(home, FIRST_DAY)
    land(home)
    before = in_lake(home)
    (home.impression_days / ".landed_through").unlink()
    assert impressions_waiting(home) > 0
    assert land(home).rows == 0
    assert in_lake(home).equals(before)


def test_late_rows_join_their_day_and_one_that_was_pruned_and_comes_again_stays_one(home):
    answer = AnswerCounts(home.answers_db).give(RELEASE, "plain")
    store(home, [shown_at(answer, "x", 5 * DAY_US)])
    assert land(home, keep_days=0).pruned == 1
    assert list(read_impressions(home.events_db)) == []
    store(home, [shown_at(answer, "x", 6 * DAY_US), shown_at(answer, "y", 5 * DAY_US, position=2)])
    landed = land(home)
    assert (landed.rows, landed.days) == (1, (date(1970, 1, 6),))
    assert in_lake(home)["item_id"].to_list() == ["x", "y"]


def test_only_what_landed_and_is_older_than_is_kept_leaves_the_intake(home):
    answer = AnswerCounts(home.answers_db).give(RELEASE, "plain", ArmName("prices", "a"))
    now = int(NOW.timestamp() * 1_000_000)
    store(home, [shown_at(answer, "old", now - 40 * DAY_US), shown_at(answer, "new", now - 20 * DAY_US)])
    assert land(home, keep_days=30).pruned == 1
    assert [row.item_id for _, row in read_impressions(home.events_db)] == ["new"]
    assert in_lake(home).height == 2


def test_an_answer_without_a_series_keeps_the_release_that_its_id_names(home):
    store(home, [shown_at(f"{RELEASE}.19ac5d0f3a2.5f3a9c1e2b", "x", 0), shown_at("no id", "x", 0)])
    land(home)
    found = dict(in_lake(home).select("answer_id", "release").rows())
    assert found == {f"{RELEASE}.19ac5d0f3a2.5f3a9c1e2b": RELEASE, "no id": "unknown"}
    assert in_lake(home)["list"].null_count() == 2


def test_a_home_without_impressions_is_left_as_it_is(home):
    landed = land(home)
    assert (landed.rows, landed.days, landed.pruned) == (0, (), 0)
    assert impressions_waiting(home) == 0
    assert list(home.root.iterdir()) == []


def test_a_damaged_intake_is_named_and_nothing_is_marked_as_landed(home):
    day_of_visits(home, FIRST_DAY, users=1)
    home.events_db.write_bytes(b"many letters" * 999)
    with pytest.raises(EventsUnavailableError, match=r"events\.sqlite"):
        land(home)
    assert not home.impression_days.exists()


def test_rows_are_sorted_by_time_so_that_the_file_of_a_day_depends_on_its_rows_only(home, tmp_path):
    visits = day_of_visits(home, FIRST_DAY, users=6)
    land(home)
    other = Home(tmp_path / "other")
    for one in reversed(visits):
        store(other, [one])
        land(other)
    columns = ["answer_id", "item_id", "position", "timestamp"]
    assert in_lake(other).select(columns).equals(in_lake(home).select(columns))
    assert in_lake(home).select(pl.col("timestamp").is_sorted()).item()
