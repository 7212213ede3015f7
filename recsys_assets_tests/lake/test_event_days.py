"""Events taken from the intake into the files of their days: each once, whatever happens on the way."""

import itertools
import random
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from datetime import date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys_assets.lake.event_days import (
    TakenEvents,
    event_days,
    event_store,
    merge_events,
    prune_events,
    take_events,
    taken_note,
    taken_through,
)
from recsys_assets.storage.day_journal import without_checksums
from recsys_assets.storage.home import Home
from recsys_assets_tests.lake.sent_events import ARRIVED, event, on, store

LATER = date(2024, 12, 31)


@pytest.fixture
def home(tmp_path) -> Home:
    return Home(tmp_path / "home")


def ids(home: Home) -> dict[int, list[str]]:
    table = event_store(home)
    return {day.day: table.read(day)["event_id"].to_list() for day in table.days()}


def rows_in_intake(home: Home) -> int:
    with closing(sqlite3.connect(home.events_db)) as connection:
        return connection.execute("SELECT count(*) FROM events").fetchone()[0]


def test_events_are_taken_into_the_files_of_their_utc_days(home):
    store(home, [event(1, on(1, 23, 59, 59)), event(2, on(2, 0)), event(3, on(1, 8))])
    assert take_events(home, through=LATER).days == {date(2024, 1, 1): 2, date(2024, 1, 2): 1}
    assert ids(home) == {1: ["e3", "e1"], 2: ["e2"]}


def test_a_day_is_that_in_utc_whatever_zone_the_sender_names(home):
    east = datetime.fromisoformat("2024-01-02T00:30:00+02:00")
    store(home, [event(1, east)])
    take_events(home, through=LATER)
    assert ids(home) == {1: ["e1"]}


def test_taking_twice_takes_nothing_the_second_time(home):
    store(home, [event(1, on(1)), event(2, on(2))])
    take_events(home, through=LATER)
    assert take_events(home, through=LATER).rows == 0


def test_taking_again_after_the_note_is_lost_changes_no_file(home):
    store(home, [event(1, on(1)), event(2, on(2))])
    take_events(home, through=LATER)
    before = event_days(home, today=LATER)
    taken_note(home).write_text("{")
    assert take_events(home, through=LATER).rows == 0
    assert event_days(home, today=LATER) == before


def test_a_day_whose_rows_are_taken_out_has_the_content_of_before(home):
    store(home, [event(1, on(1), user="u1"), event(2, on(1), user="u2")])
    take_events(home, through=LATER)
    table, day, before = event_store(home), date(2024, 1, 1), event_days(home, today=LATER)
    kept = without_checksums(table.file(day).provenance)
    rewriting = replace(table, note=None, provenance=lambda _: kept)
    rewriting.write(day, table.read(day).filter(pl.col("user_id") != "u1"))
    rewriting.settle()
    after = event_days(home, today=LATER)
    assert [str(one[day]) for one in (before, after)] == [str(before[day])] * 2
    assert (before[day].rows, after[day].rows) == (2, 1)
    store(home, [event(3, on(1))])
    take_events(home, through=LATER)
    assert str(event_days(home, today=LATER)[day]) != str(before[day])


def test_events_of_later_days_wait_and_are_taken_when_their_day_is_wanted(home):
    store(home, [event(1, on(3)), event(2, on(1)), event(3, on(3, 11))])
    assert take_events(home, through=date(2024, 1, 2)).days == {date(2024, 1, 1): 1}
    assert take_events(home, through=date(2024, 1, 3)).days == {date(2024, 1, 3): 2}


def test_a_home_without_an_intake_takes_nothing(home):
    assert take_events(home, through=LATER).rows == 0
    assert not home.event_days.exists()


def test_a_day_that_is_not_over_has_another_content_than_when_it_is(home):
    store(home, [event(1, on(1))])
    take_events(home, through=LATER)
    day = date(2024, 1, 1)
    still, over = (event_days(home, today=today)[day] for today in (day, day + timedelta(days=1)))
    assert (still.is_open, over.is_open) == (True, False)
    assert str(still) != str(over)


@given(
    rows=st.lists(st.tuples(st.integers(0, 20), st.integers(1, 4)), max_size=40),
    cuts=st.lists(st.integers(0, 40), max_size=4),
    seed=st.integers(0, 1000),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_files_do_not_depend_on_order_batches_or_repetition(tmp_path_factory, rows, cuts, seed):
    events = list({number: event(number, on(day, number)) for number, day in rows}.values())
    shuffled = [*events, *events]
    random.Random(seed).shuffle(shuffled)
    bounds = [0, *sorted(cuts), len(shuffled)]
    found = []
    for batches in ([events], [shuffled[a:b] for a, b in itertools.pairwise(bounds)]):
        home = Home(tmp_path_factory.mktemp("merged"))
        table, taken = event_store(home), TakenEvents()
        for batch in batches:
            merge_events(table, batch, taken)
        table.settle()
        assert taken.rows == len(events)
        found.append(event_days(home, today=LATER))
    assert found[0] == found[1]


def test_landed_events_that_arrived_long_ago_leave_the_intake(home):
    old, new = ARRIVED - timedelta(days=40), ARRIVED
    store(home, [event(1, on(1), arrived=old), event(2, on(2), arrived=new)])
    take_events(home, through=LATER)
    assert prune_events(home, landed=lambda _: True, received_before=ARRIVED - timedelta(days=30)) == 1
    assert rows_in_intake(home) == 1
    assert ids(home) == {1: ["e1"], 2: ["e2"]}


def test_events_stay_in_the_intake_from_the_first_day_on_that_has_not_landed(home):
    store(home, [event(1, on(1)), event(2, on(2)), event(3, on(3))])
    take_events(home, through=LATER)
    removed = prune_events(
        home, landed=lambda day: day != date(2024, 1, 2), received_before=ARRIVED + timedelta(days=1)
    )
    assert (removed, rows_in_intake(home)) == (1, 2)


def test_an_event_that_was_not_taken_is_not_removed(home):
    store(home, [event(1, on(1)), event(2, on(5))])
    take_events(home, through=date(2024, 1, 1))
    prune_events(home, landed=lambda _: True, received_before=ARRIVED + timedelta(days=1))
    assert take_events(home, through=LATER).days == {date(2024, 1, 5): 1}


_TAKE = """
import sys
from datetime import date
from pathlib import Path
from recsys_assets.lake.event_days import take_events
from recsys_assets.storage.home import Home
print("ready", flush=True)
sys.stdin.readline()
take_events(Home(Path(sys.argv[1])), through=date(2024, 12, 31))
"""


def test_a_taking_that_is_killed_at_any_moment_loses_and_doubles_nothing(home):
    events = [event(n, on(1 + n % 28, n % 24, n % 60)) for n in range(3_000)]
    rng = random.Random(0)
    for start in range(0, len(events), 500):
        store(home, events[start : start + 500])
        process = subprocess.Popen(
            [sys.executable, "-c", _TAKE, str(home.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        process.stdout.readline()
        process.stdin.write(b"\n")
        process.stdin.flush()
        time.sleep(rng.uniform(0, 0.15))
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
    take_events(home, through=LATER)
    found = [one for of_day in ids(home).values() for one in of_day]
    assert sorted(found) == sorted(one.event_id for one in events)
    assert taken_through(home) > 0
    undisturbed = Home(home.root.with_name("undisturbed"))
    store(undisturbed, events)
    take_events(undisturbed, through=LATER)
    assert event_days(undisturbed, today=LATER) == event_days(home, today=LATER)
