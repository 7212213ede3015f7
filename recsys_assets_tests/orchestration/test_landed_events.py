"""Events by HTTP among the days of a source: which days they make stale, and what these have once they landed."""

from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest

from recsys_assets.errors import InputError
from recsys_assets.lake.event_days import event_store
from recsys_assets.lake.home_account import home_account
from recsys_assets.lake.initialise import initialise
from recsys_assets.lake.live_days import last_day_due, last_day_to_take
from recsys_assets.orchestration.assets.interactions import clean_days
from recsys_assets.orchestration.assets.lake import land_days
from recsys_assets.orchestration.fingerprints import Inputs
from recsys_assets.orchestration.jobs import landed_day
from recsys_assets.orchestration.landing_plan import (
    days_in_part,
    days_to_request,
    days_with_new_events,
    follow,
    kept_days,
    prune_intake,
    runs_for,
)
from recsys_assets.orchestration.planning.reasons import why_raw
from recsys_assets.orchestration.planning.staged_home import staged_home
from recsys_assets.orchestration.replay import replay
from recsys_assets.orchestration.resources import Lake, SilentProgress
from recsys_assets.release.current import RecalledDay, record_recalled
from recsys_assets.settings import load_settings
from recsys_assets.storage.home import Home
from recsys_assets_tests.lake.sent_events import ARRIVED, event, on, store
from recsys_assets_tests.orchestration.growing_sources import Listener, set_rule, write

DAY = date(2024, 1, 2)
"""The last day of the source; its rows are at 10:00 to 10:58, u0 to u10 and i0 to i6, without a kind."""


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "log"
    folder.mkdir()
    for day in (1, 2):
        write(folder, f"{day}", [(day, n) for n in range(59)])
    return folder


@pytest.fixture
def home(folder, tmp_path) -> Home:
    home = Home(tmp_path / "home")
    initialise(home, f"tabular:{folder}/*.csv")
    land(home, load_settings(home).source.days())
    return home


def land(home: Home, days: list[date]) -> None:
    lake = Lake(home_path=str(home.root))
    land_days(lake, days, SilentProgress())
    clean_days(lake, days, SilentProgress())


def land_stale(home: Home) -> tuple[list[date], list[str]]:
    """Follow, and land what a build would; return the days and the lines that were said."""
    listener = Listener()
    settings = follow(home, load_settings(home), listener)
    inputs = Inputs(home, settings)
    kept = kept_days(inputs)
    files = inputs.raw_files
    days = [
        day
        for day in settings.source.days()
        if day not in kept and not (day in files and inputs.is_landed(files[day]))
    ]
    land(home, days)
    return days, listener.said


def rows(home: Home, day: date) -> int:
    return Lake(home_path=str(home.root)).raw().read(day).height


def test_new_events_make_exactly_their_days_stale(home):
    assert land_stale(home) == ([], [])
    store(home, [event(1, on(2, 12))])
    assert land_stale(home)[0] == [DAY]
    assert rows(home, DAY) == 60
    assert land_stale(home) == ([], [])


def test_a_day_that_landed_and_was_not_cleaned_is_still_new(home):
    store(home, [event(1, on(2, 12))])
    land_stale(home)
    assert days_with_new_events(Inputs(home, load_settings(home))) == []
    Inputs(home, load_settings(home)).interaction_store.remove(DAY)
    assert days_with_new_events(Inputs(home, load_settings(home))) == [DAY]


def test_it_is_said_in_words(home):
    store(home, [event(n, on(2, 12, n)) for n in range(12)])
    _, said = land_stale(home)
    assert said == [
        "Events by HTTP: 12 events on 1 day taken.",
        "Events by HTTP: 1 day with others than landed, 2024-01-02 (12 events); landed again.",
    ]
    store(home, [event(100, on(2, 13))])
    settings = follow(home, load_settings(home), Listener())
    assert why_raw(Inputs(home, settings), DAY, recorded=True) == "1 event by HTTP"


def test_a_purchase_by_event_and_by_the_nightly_export_counts_once(home, folder):
    bought = event(1, on(3, 10, 7), user="u7", item="i0", kind="purchase")
    store(home, [bought])
    land_stale(home)
    third = date(2024, 1, 3)
    assert rows(home, third) == 1
    write(folder, "3", [(3, 7), (3, 8)])  # u7 i0 at 10:07, u8 i1 at 10:08
    assert land_stale(home)[0] == [third]
    assert rows(home, third) == 2
    account = home_account(home, load_settings(home).source)
    assert (account.events, account.differences) == (1, "")
    assert account.account.reasons["event_in_source"].rows == 1


@pytest.mark.parametrize("rule", ["keep", "reject", "land"])
def test_a_late_event_opens_its_day_again_whatever_the_rule_for_changed_days(home, rule):
    set_rule(home, rule)
    store(home, [event(1, on(1, 12))])
    assert land_stale(home)[0] == [date(2024, 1, 1)]
    store(home, [event(2, on(1, 13))])
    assert land_stale(home)[0] == [date(2024, 1, 1)]
    assert rows(home, date(2024, 1, 1)) == 61


def test_days_after_the_source_become_partitions_and_those_between_without_events_stay_out(home):
    store(home, [event(1, on(20))])
    days, _ = land_stale(home)
    source = load_settings(home).source
    assert days == [date(2024, 1, 20)]
    assert (source.own_last_day, source.last_day) == (DAY, date(2024, 1, 20))
    assert days_to_request(Inputs(home, load_settings(home))) == []


def test_no_run_for_other_days_lands_a_day_on_which_nothing_came(home):
    store(home, [event(1, on(3)), event(2, on(5)), event(3, on(2, 12))])
    inputs = Inputs(home, follow(home, load_settings(home), Listener()))
    third, fifth = date(2024, 1, 3), date(2024, 1, 5)
    assert runs_for(inputs, [DAY, third, fifth], lands=True) == [(DAY, third), (fifth, fifth)]
    land(home, [DAY, third, fifth])
    inputs = Inputs(home, load_settings(home))
    assert runs_for(inputs, [DAY, third, fifth], lands=False) == [(DAY, third), (fifth, fifth)]


def test_a_day_on_which_nothing_came_is_not_replayed(home):
    store(home, [event(1, on(4))])
    with pytest.raises(InputError, match="nothing came from 2024-01-03 to 2024-01-03"):
        replay(home, load_settings(home), Listener(), [date(2024, 1, 3)], who="ann")


def test_the_source_s_own_last_day_moves_on_after_events_did(home, folder):
    store(home, [event(1, on(20))])
    land_stale(home)
    write(folder, "5", [(5, 1)])
    days, _ = land_stale(home)
    assert days == [date(2024, 1, day) for day in (3, 4, 5)]
    source = load_settings(home).source
    assert (source.own_last_day, source.last_day) == (date(2024, 1, 5), date(2024, 1, 20))


def test_events_before_the_first_day_are_kept_and_counted_as_outside(home):
    store(home, [event(1, datetime(2023, 12, 31, 23, tzinfo=UTC))])
    assert land_stale(home)[0] == []
    assert event_store(home).days() == [date(2023, 12, 31)]
    account = home_account(home, load_settings(home).source).account
    assert account.rows == 2 * 59 + 1
    assert account.reasons["outside_range"].rows == 1


def test_a_day_of_which_the_source_has_no_row_any_more_stays_as_it_landed(home, folder):
    (folder / "1.csv").unlink()
    store(home, [event(1, on(1, 12))])
    land_stale(home)
    assert rows(home, date(2024, 1, 1)) == 59


def test_an_open_day_lands_and_lands_again_in_full_when_it_is_over(home):
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    store(home, [event(1, today)])
    land_stale(home)
    inputs = Inputs(home, load_settings(home))
    assert days_with_new_events(inputs) == []
    assert today.date() in days_in_part(inputs)
    tomorrow = Inputs(home, load_settings(home))
    counted = tomorrow.source_days.with_events(
        home, tomorrow.settings.source, today=today.date() + timedelta(days=1)
    )
    vars(tomorrow)["source_days"] = counted
    assert days_with_new_events(tomorrow) == [today.date()]
    assert why_raw(tomorrow, today.date(), recorded=True) == "landed before it was over"


def test_the_open_day_waits_where_no_minutes_are_set(home):
    settings = load_settings(home)
    now = datetime(2024, 1, 5, 0, 30, tzinfo=UTC)
    assert last_day_to_take(settings, now) == date(2024, 1, 5)
    with home.settings_file.open("a") as file:
        file.write("\n[events]\nland_minutes = 0\n")
    assert last_day_to_take(load_settings(home), now) == date(2024, 1, 4)


def test_the_sensor_takes_the_open_day_every_land_minutes(home):
    now = datetime.now(UTC).replace(hour=12)
    settings = load_settings(home)
    assert last_day_due(home, settings, now) == now.date()
    file = event_store(home).path(now.date())
    file.parent.mkdir(parents=True)
    file.touch()
    taken = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    if taken.date() == (taken + timedelta(minutes=20)).date():
        assert last_day_due(home, settings, taken + timedelta(minutes=14)) == taken.date() - timedelta(days=1)
        assert last_day_due(home, settings, taken + timedelta(minutes=15)) == taken.date()


def test_the_sensor_requests_the_days_of_new_events(home):
    lake, source = Lake(home_path=str(home.root)), load_settings(home).source
    sensor = landed_day(source)
    assert isinstance(sensor(dg.build_sensor_context(), lake=lake), dg.SkipReason)
    store(home, [event(1, on(1, 12))])
    (requested,) = sensor(dg.build_sensor_context(), lake=lake)
    assert requested.tags["dagster/asset_partition_range_start"] == "2024-01-01"
    assert requested.tags["dagster/asset_partition_range_end"] == "2024-01-01"


def test_the_intake_keeps_what_has_not_landed(home):
    store(home, [event(1, on(1, 12)), event(2, on(2, 12))])
    follow(home, load_settings(home), Listener())
    later = ARRIVED + timedelta(days=31)
    assert prune_intake(Inputs(home, load_settings(home)), now=later) == 0
    land_stale(home)
    assert prune_intake(Inputs(home, load_settings(home)), now=ARRIVED + timedelta(days=29)) == 0
    assert prune_intake(Inputs(home, load_settings(home)), now=later) == 2
    assert land_stale(home) == ([], [])


def test_a_plan_takes_events_in_its_staged_home_only(home):
    store(home, [event(1, on(1, 12))])
    land_stale(home)
    store(home, [event(2, on(1, 13)), event(3, on(2, 13))])
    before = event_store(home).files()
    with staged_home(home, settings_file=None, rules_file=None) as staged:
        settings = follow(staged, load_settings(staged), Listener(), named=home)
        assert days_with_new_events(Inputs(staged, settings)) == [date(2024, 1, 1), DAY]
    assert event_store(home).files() == before
    assert land_stale(home)[0] == [date(2024, 1, 1), DAY]


def test_a_recalled_day_stays_out_whatever_events_come_to_it(home):
    inputs = Inputs(home, load_settings(home))
    recalled = RecalledDay(
        day=DAY,
        checksum="0" * 64,
        why="prices in cents",
        at=ARRIVED,
        raw_fingerprint="f",
        raw_inputs=inputs.raw_interactions(DAY),
    )
    inputs.raw_store.remove(DAY)
    record_recalled(home.releases, [recalled])
    store(home, [event(1, on(2, 12))])
    assert land_stale(home)[0] == []
    later = ARRIVED + timedelta(days=31)
    assert prune_intake(Inputs(home, load_settings(home)), now=later) == 1
