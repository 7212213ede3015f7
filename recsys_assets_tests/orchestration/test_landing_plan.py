"""Following a source: new and changed days land, days that are gone stay, and nothing else is read or landed."""

from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest

from recsys_assets.errors import SourceChangedError
from recsys_assets.lake.follow import CONTENT_KEY, follow_source
from recsys_assets.lake.initialise import initialise
from recsys_assets.orchestration.fingerprints import Inputs
from recsys_assets.orchestration.jobs import landed_day
from recsys_assets.orchestration.landing_plan import (
    days_to_request,
    follow,
    kept_days,
    move_broken,
    stretches,
)
from recsys_assets.orchestration.resources import Lake
from recsys_assets.settings import load_settings
from recsys_assets.storage.home import Home
from recsys_assets_tests.orchestration.growing_sources import (
    FIRST,
    HEADER,
    Listener,
    build,
    land_stale,
    rows_landed,
    set_rule,
    write,
)


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "log"
    folder.mkdir()
    for day in (1, 2):
        write(folder, f"{day}", [(day, n) for n in range(59)])
    return folder


@pytest.fixture
def home(folder, tmp_path) -> Home:
    home = Home(tmp_path / "home")
    initialise(home, f"tabular:{folder}/*.csv")
    land_stale(home)
    return home


def test_a_new_file_lands_its_day_and_no_other(home, folder):
    write(folder, "3", [(3, n) for n in range(59)])

    assert build(home) == ([date(2024, 1, 3)], ["Source: 1 new day, 2024-01-03 (59 rows)."])
    assert build(home) == ([], [])
    assert load_settings(home).source.last_day == date(2024, 1, 3)


def test_a_new_month_lands_with_the_days_between(home, folder):
    (folder / "feb.csv").write_text(HEADER + "u,i,2024-02-02 10:00:00\nu,j,2024-02-02 11:00:00\n")
    landed, said = build(home)

    assert (landed[0], landed[-1], len(landed)) == (date(2024, 1, 3), date(2024, 2, 2), 31)
    assert said == ["Source: 1 new day, 2024-02-02 (2 rows)."]


def test_new_rows_of_a_landed_day_land_it_again(home, folder):
    with (folder / "1.csv").open("a") as file:
        file.write("u,i,2024-01-01 23:00:00\n")
    landed, said = build(home)

    assert landed == [FIRST]
    assert said == ["Source: 1 day changed since landing: 2024-01-01 59 -> 60 rows; landed again."]
    assert rows_landed(home) == {1: 60, 2: 59}


def test_a_corrected_row_lands_its_day_again_though_their_number_is_the_same(home, folder):
    path = folder / "2.csv"
    path.write_text(path.read_text().replace("u5,i5,", "u6,i5,", 1))

    assert build(home)[0] == [date(2024, 1, 2)]


def test_a_renamed_file_lands_nothing(home, folder):
    (folder / "1.csv").rename(folder / "january-1.csv")

    assert build(home) == ([], [])


def test_days_without_a_row_any_more_stay_as_they_landed(home, folder):
    (folder / "1.csv").unlink()
    landed, said = build(home)

    assert landed == []
    assert said == ["Source: 1 day has no row in the source any more, 2024-01-01: kept as it landed."]
    assert rows_landed(home) == {1: 59, 2: 59}
    assert build(home) == ([], [])


@pytest.mark.parametrize("harm", [Path.unlink, lambda file: file.write_bytes(b"garbage")])
def test_a_lost_day_that_the_source_has_no_more_is_not_landed_empty(home, folder, harm):
    day, inputs = date(2024, 1, 2), Inputs(home, load_settings(home))
    inputs.interaction_store.write(day, inputs.raw_store.read(day))
    harm(inputs.raw_store.path(day))
    (folder / "2.csv").unlink()
    follow(home, load_settings(home), Listener())
    inputs = Inputs(home, load_settings(home))
    assert kept_days(inputs, [day]) == {day}
    move_broken(inputs, [day])
    assert day not in inputs.raw_store.days()


def test_a_file_that_another_replaced_adds_days_and_takes_none(home, folder):
    write(folder, "1", [(5, 1), (5, 2)])
    landed, said = build(home)

    assert landed == [date(2024, 1, day) for day in (3, 4, 5)]
    assert said[0] == "Source: 1 new day, 2024-01-05 (2 rows)."
    assert "2024-01-01: kept as it landed" in said[1]
    assert rows_landed(home) == {1: 59, 2: 59, 3: 0, 4: 0, 5: 2}


def test_a_shortened_file_says_the_rows_before_and_after(home, folder):
    write(folder, "1", [(1, 1)])

    assert build(home)[1] == ["Source: 1 day changed since landing: 2024-01-01 59 -> 1 row; landed again."]
    assert rows_landed(home)[1] == 1


def test_changed_days_are_kept_by_the_rule(home, folder):
    set_rule(home, "keep")
    write(folder, "1", [(1, 1)])
    write(folder, "3", [(3, 1)])
    landed, said = build(home)

    assert landed == [date(2024, 1, 3)]
    assert 'kept as they landed, by changed_past = "keep"' in said[1]
    assert rows_landed(home) == {1: 59, 2: 59, 3: 1}
    assert build(home) == ([], [])


def test_changed_days_stop_a_build_by_the_rule_until_they_are_landed(home, folder):
    set_rule(home, "reject")
    write(folder, "1", [(1, 1)])
    for _ in range(2):
        with pytest.raises(
            SourceChangedError, match=r"2024-01-01 59 -> 1 row.*recsys land .*--from 2024-01-01"
        ):
            build(home)


def test_an_older_file_moves_the_first_day_back(home, folder):
    (folder / "0.csv").write_text(HEADER + "u,i,2023-12-30 10:00:00\n")
    landed, said = build(home)

    assert landed == [date(2023, 12, 30), date(2023, 12, 31)]
    assert said == ["Source: 1 new day, 2023-12-30 (1 row)."]


def test_a_first_day_that_a_person_chose_stays_and_older_rows_are_named(home, folder):
    initialise(home, f"tabular:{folder}/*.csv", first=date(2024, 1, 2))
    (folder / "0.csv").write_text(HEADER + "u,i,2023-12-30 10:00:00\n")
    landed, (said,) = build(home)

    assert landed == []
    assert said.startswith("Source: 1 row more outside of the days from 2024-01-02 to 2024-01-02, not landed")
    assert "recsys init --force --from DAY" in said


def test_days_that_init_limited_do_not_move(home, folder):
    initialise(home, f"tabular:{folder}/*.csv", days=1)
    write(folder, "3", [(3, 1)])

    assert build(home) == ([], [])
    assert load_settings(home).source.last_day == FIRST


def test_a_source_that_lost_all_rows_keeps_its_days(home, folder):
    for name in ("1", "2"):
        write(folder, name, [])
    landed, said = build(home)

    assert landed == []
    assert "2 days have no row in the source any more, 2024-01-01, 2024-01-02: kept as they landed" in said[0]


def test_a_home_whose_counts_are_lost_lands_nothing_again(home):
    home.source_days.unlink()

    assert build(home) == ([], [])


def test_the_sensor_requests_new_and_changed_days_once_for_each_content(home, folder):
    lake = Lake(home_path=str(home.root))

    def requested():
        return landed_day(load_settings(home).source)(dg.build_sensor_context(), lake=lake)

    assert isinstance(requested(), dg.SkipReason)
    write(folder, "1", [(1, 1)])
    write(folder, "4", [(4, 1)])
    waiting = requested()
    assert isinstance(waiting, dg.SkipReason)
    assert "waiting for the reload" in waiting.skip_message
    first, second = requested()
    spans = [
        (run.tags["dagster/asset_partition_range_start"], run.tags["dagster/asset_partition_range_end"])
        for run in (first, second)
    ]
    assert spans == [("2024-01-01", "2024-01-01"), ("2024-01-03", "2024-01-04")]
    write(folder, "1", [(1, 2)])
    assert requested()[0].run_key != first.run_key
    assert requested()[1].run_key == second.run_key


def test_no_day_is_requested_before_the_first_landing(folder, tmp_path):
    home = Home(tmp_path / "empty")
    initialise(home, f"tabular:{folder}/*.csv")

    assert days_to_request(Inputs(home, load_settings(home))) == []


def test_a_landed_day_records_its_content(home):
    files = Lake(home_path=str(home.root)).raw().files()
    inputs = Inputs(home, load_settings(home))

    assert files[FIRST].provenance[CONTENT_KEY] == str(inputs.source_days.of_day(FIRST))


def test_stretches_bridge_small_gaps_and_no_kept_day():
    days = [FIRST + timedelta(days=n) for n in (0, 1, 2, 5, 30)]

    assert stretches(days, gap=3) == [(days[0], days[3]), (days[4], days[4])]
    assert stretches(days, gap=1) == [(days[0], days[2]), (days[3], days[3]), (days[4], days[4])]
    kept = [FIRST + timedelta(days=3)]
    assert stretches(days, gap=3, without=kept) == [
        (days[0], days[2]),
        (days[3], days[3]),
        (days[4], days[4]),
    ]
    assert stretches([], gap=3) == []


def test_a_source_that_is_as_it_was_is_not_even_opened(home, folder, monkeypatch):
    build(home)  # the first look after `recsys init` opens it

    def open_nothing(source):
        raise AssertionError(source)

    monkeypatch.setattr("recsys_assets.lake.follow.source_of", open_nothing)
    assert not follow_source(home, load_settings(home)).is_new
    write(folder, "3", [(3, 1)])
    with pytest.raises(AssertionError):
        follow_source(home, load_settings(home))
