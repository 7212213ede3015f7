"""Replays: a corrected day gives what a clean history gives, and the report says what changed."""

import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from recsys_assets.errors import InputError
from recsys_assets.lake.initialise import initialise
from recsys_assets.orchestration.build import build, rebuild
from recsys_assets.orchestration.fingerprints import Inputs
from recsys_assets.orchestration.repair.made_artifacts import written_inputs
from recsys_assets.orchestration.replay import replay
from recsys_assets.orchestration.replay_report import begin_replay, kept_replays
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.settings import load_settings
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import build_lock
from recsys_assets_tests.orchestration.homes import SilentWatcher
from recsys_assets_tests.orchestration.recalls import notices

FIRST = date(2024, 3, 1)
DAYS = 8
BAD = FIRST + timedelta(days=3)
AT = datetime(2024, 4, 1, 10, tzinfo=UTC)
SETTINGS = '\n[report]\ndays = 0\n\n[training]\nmodel = "ials"\nembedding_size = 4\nepochs = 4\n'


def write_log(source: Path, *, bad: bool) -> None:
    """90 events a day; on the bad day all users touched one item."""
    rows = [
        {
            "user_id": f"u{n % 20}",
            "item_id": "i0" if bad and day == (BAD - FIRST).days else f"i{(n * 7 + day) % 30}",
            "timestamp": f"{FIRST + timedelta(days=day)}T10:{n // 60:02d}:{n % 60:02d}Z",
        }
        for day in range(DAYS)
        for n in range(90)
    ]
    pl.DataFrame(rows).write_csv(source)


def new_home(root: Path, *, bad: bool) -> Home:
    root.mkdir(parents=True, exist_ok=True)
    write_log(root / "events.csv", bad=bad)
    home = Home(root / "home")
    initialise(home, f"tabular:{root / 'events.csv'}")
    with home.settings_file.open("a") as file:
        file.write(SETTINGS)
    return home


@pytest.fixture(scope="module")
def places(tmp_path_factory) -> tuple[Path, Path]:
    """A home built on a bad day, and one built on a clean history from the same place; each is moved there in turn."""
    root = tmp_path_factory.mktemp("replay")
    for name, bad in (("bad", True), ("clean", False)):
        home = new_home(root / "shop", bad=bad)
        assert not build(home, load_settings(home), SilentWatcher()).failed
        (root / "shop").rename(root / name)
    return root / "bad", root / "clean"


@pytest.fixture
def home(places) -> Home:
    """The home on the bad day, in the place that both were built in; the source is corrected."""
    bad, _ = places
    shop = bad.parent / "shop"
    shutil.rmtree(shop, ignore_errors=True)
    shutil.copytree(bad, shop)
    write_log(shop / "events.csv", bad=False)
    return Home(shop / "home")


def run(home: Home, *days: date, **given):
    return replay(home, load_settings(home), SilentWatcher(), list(days), **given)


def test_a_full_replay_gives_the_release_of_a_clean_history(home, places):
    bad = ReleaseStore(home.releases).current_id()
    outcome, report = run(home, BAD, who="ann")

    clean = Home(places[1] / "home")
    assert not outcome.failed
    assert report.release == report.current == ReleaseStore(clean.releases).current_id() != bad
    assert Inputs(home, load_settings(home)).lineage == Inputs(clean, load_settings(clean)).lineage
    assert not build(home, load_settings(home), SilentWatcher()).built
    (day,) = report.days
    assert (day.day, day.state, day.raw_before, day.raw_after) == (BAD, "changed", 90, 90)
    assert (day.rows_before, day.rows_after) == (90, 90)
    assert (report.who, report.training, report.compared_with) == ("ann", "full", bad)
    assert report.diff.days.rebuilt == [BAD]
    users, items = report.diff.features
    assert min(users.changed, items.changed) > 0
    assert report.diff.lists.users == 20
    assert kept_replays(home) == [report]


def test_other_days_that_changed_are_not_landed_by_a_replay(home):
    other = BAD + timedelta(days=1)
    before = Inputs(home, load_settings(home)).raw_files[BAD].checksum
    run(home, other)

    assert Inputs(home, load_settings(home)).raw_files[BAD].checksum == before


def test_a_replay_without_a_change_makes_nothing_and_keeps_no_report(home):
    write_log(home.root.parent / "events.csv", bad=True)
    release = ReleaseStore(home.releases).current_id()
    outcome, report = run(home, BAD)

    assert "release" in {row.stage for row in outcome.rows if row.status == "fresh"}
    assert not report.changed
    assert (report.days[0].state, report.current) == ("same", release)
    assert kept_replays(home) == []


def test_a_warm_replay_keeps_the_choice_and_the_next_build_makes_all(home, places):
    choice = written_inputs(home.artifact("choice"))
    outcome, report = run(home, BAD, training="warm")

    assert not outcome.failed
    assert report.training == "warm"
    assert "model_choice" not in report.made
    assert {"user_embeddings + item_embeddings", "evaluation", "release"} <= report.made.keys()
    assert written_inputs(home.artifact("choice")) == choice
    assert report.release == ReleaseStore(home.releases).current_id() != report.compared_with
    _, same = run(home, BAD, training="warm")
    assert not same.changed
    built = build(home, load_settings(home), SilentWatcher())
    assert "model_choice" in [row.stage for row in built.rows if row.status == "built"]
    assert (
        ReleaseStore(home.releases).current_id()
        == ReleaseStore(Home(places[1] / "home").releases).current_id()
    )


def test_a_warm_replay_where_nothing_is_stale_makes_nothing(home):
    write_log(home.root.parent / "events.csv", bad=True)
    _, report = run(home, BAD, training="warm")

    assert not report.changed


def test_a_day_that_the_source_lost_stays_and_is_named(home):
    source = home.root.parent / "events.csv"
    pl.read_csv(source).filter(~pl.col("timestamp").str.starts_with(f"{BAD}")).write_csv(source)
    _, report = run(home, BAD)

    assert (report.days[0].state, report.days[0].raw_after, report.changed) == ("gone", 90, False)


def test_a_rejected_day_stays_and_nothing_is_made_of_it(home):
    source = home.root.parent / "events.csv"
    rows = pl.read_csv(source)
    on_day = pl.col("timestamp").str.starts_with(f"{BAD}")
    rows.with_columns(pl.when(on_day).then(None).otherwise("user_id").alias("user_id")).write_csv(source)
    before = ReleaseStore(home.releases).current_id()
    outcome, report = run(home, BAD)

    assert outcome.failed
    assert (report.days[0].state, report.days[0].rows_after) == ("rejected", 90)
    assert (report.release, report.current, report.diff) == ("", before, None)
    assert "1 of 1 days rejected" in report.problems[0]
    assert kept_replays(home) == [report]


def test_raises_when_the_source_has_none_of_the_days(home):
    with pytest.raises(InputError, match=r"no day from 2030-01-01 .* 2024-03-01 to 2024-03-08"):
        run(home, date(2030, 1, 1))


def cut_off(home: Home, *days: date) -> None:
    """Land days as a replay does that is killed before it has reported."""
    settings = load_settings(home)
    with build_lock(home):
        begin_replay(home, settings, days, at=AT, training="full", who="ann")
    rebuild(home, settings, SilentWatcher(), days)


def test_a_replay_with_another_release_is_noticed(home):
    _, report = run(home, BAD, who="ann")

    (notice,) = notices(home)
    assert (notice.kind, notice.id) == ("replay", f"replay-{report.replay}")
    assert notice.subject == f"Replayed: {BAD}: {report.current} is served"
    assert f"compared with {report.compared_with}" in notice.text
    assert "Days: 1 changed." in notice.text
    assert f"recsys replay --show {report.replay}" in notice.text
    assert notice.details["current"] == report.current
    assert [day["day"] for day in notice.details["days"]] == [f"{BAD}"]


def test_a_replay_without_a_change_is_no_news(home):
    write_log(home.root.parent / "events.csv", bad=True)
    run(home, BAD)

    assert notices(home) == []


def test_a_replay_that_failed_is_noticed_with_the_reason(home):
    source = home.root.parent / "events.csv"
    on_day = pl.col("timestamp").str.starts_with(f"{BAD}")
    rows = pl.read_csv(source)
    rows.with_columns(pl.when(on_day).then(None).otherwise("user_id").alias("user_id")).write_csv(source)
    run(home, BAD)

    found = {notice.kind: notice for notice in notices(home)}
    assert found.keys() == {"rejected_day", "replay"}
    assert found["replay"].subject == f"Replayed: {BAD}: it failed"
    assert "Failed: raw_interactions: 1 of 1 days rejected" in found["replay"].text


def test_a_replay_that_was_killed_before_its_report_goes_on_in_the_next_one(home):
    bad, other = ReleaseStore(home.releases).current_id(), BAD + timedelta(days=1)
    cut_off(home, BAD)
    _, report = run(home, other)

    assert [(day.day, day.state) for day in report.days] == [(BAD, "changed"), (other, "same")]
    assert (report.compared_with, report.at, report.who) == (bad, AT, "ann")
    assert kept_replays(home) == [report]
    assert len(notices(home)) == 1
    _, again = run(home, other)
    assert not again.changed


def test_a_replay_that_was_killed_before_its_report_is_reported_by_the_next_build(home):
    cut_off(home, BAD)
    for _ in range(2):
        build(home, load_settings(home), SilentWatcher())

    (report,) = kept_replays(home)
    assert [(day.day, day.state) for day in report.days] == [(BAD, "changed")]
    assert report.diff.days.rebuilt == [BAD]
    assert [notice.kind for notice in notices(home)] == ["replay"]


def test_a_broken_record_of_a_replay_that_was_cut_off_harms_nothing(home):
    home.replays.mkdir(parents=True)
    (home.replays / "begun.json").write_text("{")
    _, report = run(home, BAD)

    assert report.days[0].state == "changed"
    assert not (home.replays / "begun.json").exists()
