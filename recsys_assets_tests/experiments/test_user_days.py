"""Users' days of an experiment: what the planted clicks were, by arm, user and day."""

from collections import Counter
from datetime import timedelta

import pytest

from recsys_assets.experiments.impression_days import impression_store
from recsys_assets.experiments.shown_days import shown_days
from recsys_assets.experiments.user_days import user_days
from recsys_assets.intake.merged_users import MergedUsers
from recsys_assets.intake.rows import MergeRow
from recsys_assets.storage.home import Home
from recsys_assets_tests.clicking import Visit, store
from recsys_assets_tests.experiments.shown_home import FIRST_DAY, day_of_visits, land_all

SECOND_DAY = FIRST_DAY + timedelta(days=1)


@pytest.fixture
def home(tmp_path):
    found = Home(tmp_path / "home")
    found.root.mkdir()
    return found


@pytest.mark.parametrize("names_answer", [True, False])
def test_they_are_what_people_did_whether_their_events_name_the_answer_or_not(home, names_answer):
    visits = [
        one
        for day in (FIRST_DAY, SECOND_DAY)
        for one in day_of_visits(home, day, arms=("a", "b"), seed=3, names_answer=names_answer)
    ]
    land_all(home)
    found = user_days(home, "prices", through=SECOND_DAY, attribution_days=7)
    assert found.columns == ["arm", "user_id", "day", "shown", "clicks", "conversions", "value"]
    assert found["shown"].sum() == len(visits) == 80
    assert found["clicks"].sum() == sum(bool(one.events) for one in visits) > 0
    bought = [row for one in visits for row in one.events if row.kind == "purchase"]
    assert found["conversions"].sum() == len(bought) > 0
    assert found["value"].sum() == pytest.approx(sum(row.value for row in bought))
    assert Counter(found["arm"]) == {"a": 40, "b": 40}


def test_days_after_the_last_and_other_experiments_are_left_out(home):
    for day in (FIRST_DAY, SECOND_DAY):
        day_of_visits(home, day, arms=("a", None))
    land_all(home)
    found = user_days(home, "prices", through=FIRST_DAY, attribution_days=7)
    assert found.height == 20
    assert user_days(home, "other", through=SECOND_DAY, attribution_days=7).is_empty()
    assert user_days(home, "prices", through=SECOND_DAY, since=SECOND_DAY, attribution_days=7).height == 20


def test_a_click_days_later_counts_for_the_day_when_the_list_was_shown(home):
    (one,) = day_of_visits(home, FIRST_DAY, users=1, arms=("a",), liked=1.0)
    event = one.events[0]
    later = event._replace(event_id="later", timestamp=event.timestamp + 3 * 86_400_000_000, answer_id=None)
    store(home, [Visit(impressions=[], events=[later])])
    land_all(home)
    (found,) = shown_days(home, impression_store(home).days(), attribution_days=7)
    assert found.answers["clicks"].to_list() == [len(one.events) + 1]
    (found,) = shown_days(home, impression_store(home).days(), attribution_days=2)
    assert found.answers["clicks"].to_list() == [len(one.events)]


def test_events_that_name_an_answer_which_was_never_shown_are_counted(home):
    visits = day_of_visits(home, FIRST_DAY, users=5, liked=1.0)
    lost = visits[0].events[0]._replace(event_id="lost", item_id="never shown")
    store(home, [Visit(impressions=[], events=[lost])])
    land_all(home)
    (found,) = shown_days(home, [FIRST_DAY], attribution_days=7)
    assert found.named_unshown == 1
    assert found.named == sum(len(one.events) for one in visits) + 1


def test_stretches_of_days_give_the_same_as_all_days_at_once(home):
    for number in range(0, 20, 2):
        day_of_visits(home, FIRST_DAY + timedelta(days=number), users=10, arms=("a",), names_answer=False)
    land_all(home)
    days = impression_store(home).days()
    parts = [found.answers for day in days for found in shown_days(home, [day], attribution_days=3)]
    together = [found.answers for found in shown_days(home, days, attribution_days=3)]
    assert len(together) == 3
    assert [row for part in parts for row in part.rows()] == [row for part in together for row in part.rows()]


def test_a_stranger_who_saw_a_list_and_logged_in_before_buying_is_one_user(home):
    (one,) = day_of_visits(home, FIRST_DAY, users=1, arms=("a",), liked=1.0)
    bought = [row._replace(user_id="account", answer_id=None) for row in one.events]
    store(
        home,
        [Visit(impressions=[], events=[row._replace(event_id=f"{row.event_id} again") for row in bought])],
    )
    merges = MergedUsers(home.events_db)
    merges.add(MergeRow("u0", "account", at=1))
    merges.close()
    land_all(home)
    (row,) = user_days(home, "prices", through=FIRST_DAY, attribution_days=7).to_dicts()
    assert (row["user_id"], row["clicks"]) == ("account", 1)
