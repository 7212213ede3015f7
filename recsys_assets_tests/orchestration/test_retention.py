"""Pruning removes what is old, and a build has nothing to do afterwards."""

import os
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import msgspec
import polars as pl
import pytest

from recsys_assets.notices.delivery import send_notice
from recsys_assets.notices.outbox import Notice
from recsys_assets.notify_settings import NotifySettings
from recsys_assets.orchestration.build import build, land
from recsys_assets.orchestration.fingerprints import Inputs
from recsys_assets.orchestration.instance import open_instance
from recsys_assets.orchestration.partitions import daily_partitions
from recsys_assets.orchestration.retention import keep_days, prune
from recsys_assets.quality.expectations import CheckResult
from recsys_assets.quality.ledger import Ledger
from recsys_assets.quality.quarantine import quarantine_day, rejected_days
from recsys_assets.release.answer_counts import HourlyAnswers, add_answers, read_answers
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.release_settings import RetentionSettings
from recsys_assets.settings import load_settings
from recsys_assets.storage.day_folders import day_folder, days_under
from recsys_assets.storage.home import Home
from recsys_assets_tests.orchestration.homes import SilentWatcher, small_home

FIRST = date(2024, 3, 1)
LATER = datetime.now(UTC) + timedelta(days=40)
"""After the days that the logs of runs are kept."""
DAILY = ("raw_interactions", "interactions")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A home that was built, then landed a day twice more: the first two records of the day are superseded."""
    home, _ = small_home(tmp_path_factory.mktemp("retention") / "shop", first=FIRST)
    with home.settings_file.open("a") as file:
        file.write("\n[report]\ndays = 3\n")
    settings = load_settings(home)
    assert not build(home, settings, SilentWatcher()).failed
    for _ in range(2):
        assert not land(home, settings, SilentWatcher(), [FIRST + timedelta(days=1)]).failed
    assert not build(home, settings, SilentWatcher()).failed
    return home


@pytest.fixture
def home(built, tmp_path):
    shutil.copytree(built.root, tmp_path / "home")
    return Home(tmp_path / "home")


def _prune(home, *, now=LATER, days=None, **given):
    settings = load_settings(home)
    retention = keep_days(settings.retention, days)
    found = prune(home, msgspec.structs.replace(settings, retention=retention), now=now, **given)
    return {kind.kind: kind for kind in found}


def _records(home):
    """The records of each day and check that a build and the UI read."""
    settings = load_settings(home)
    daily = daily_partitions(settings.source)
    with open_instance(home) as instance:
        found = {
            asset: dict(
                instance.get_status_by_partition(dg.AssetKey(asset), daily.get_partition_keys(), daily) or {}
            )
            for asset in DAILY
        }
        keys = [
            dg.AssetCheckKey(dg.AssetKey(asset), name)
            for asset, name in (
                ("raw_interactions", "did_it_all_come"),
                ("interactions", "was_most_of_it_kept"),
            )
        ]
        checks = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
        found["checks"] = {key: record.status for key, record in checks.items()}
        states = instance.event_log_storage.get_asset_check_state([(key, daily) for key in keys])
        found["answers"] = {
            key: {name.value: sorted(days.value.get_partition_keys()) for name, days in state.subsets.items()}
            for key, state in states.items()
        }
        found["tags"] = {
            asset: instance.get_latest_materialization_event(dg.AssetKey(asset)).asset_materialization.tags
            for asset in (*DAILY, "release")
        }
    return found


def _runs(home):
    with open_instance(home) as instance:
        return instance.get_run_ids()


def _logs(home):
    return [file for file in (home.dagster / "history" / "runs").glob("*.db") if file.stem != "index"]


def test_after_a_prune_nothing_is_to_do_and_every_day_is_green(home):
    before, runs = _records(home), _runs(home)

    pruned = _prune(home)

    assert _records(home) == before
    assert set(before["raw_interactions"].values()) == {dg.AssetPartitionStatus.MATERIALIZED}
    assert _logs(home) == []
    assert 0 < len(_runs(home)) < len(runs)
    assert pruned["Dagster's runs"].bytes_after < pruned["Dagster's runs"].bytes_before / 2
    assert not build(home, load_settings(home), SilentWatcher()).built


def test_a_second_prune_finds_nothing(home):
    _prune(home)

    assert {kind.removed for kind in _prune(home).values()} == {""}


def test_counts_of_answers_are_kept_for_their_days(home):
    hours = [LATER - timedelta(days=days) for days in (366, 364)]
    rows = [HourlyAnswers("20240301-0123456789", "plain", f"{hour:%Y-%m-%dT%H}", 7) for hour in hours]
    add_answers(home.answers_db, rows)

    assert _prune(home)["counts of answers"].removed == "1 hour"
    assert read_answers(home.answers_db) == rows[1:]


def test_runs_are_kept_for_their_days(home):
    logs, runs = _logs(home), _runs(home)

    _prune(home, now=datetime.now(UTC) + timedelta(days=29))

    assert (_logs(home), _runs(home)) == (logs, runs)


def test_a_dry_run_changes_nothing_and_says_what_would_go(home):
    before = _records(home), sorted(_runs(home)), sorted(_logs(home))
    would = _prune(home, days=0, dry_run=True)

    assert (_records(home), sorted(_runs(home)), sorted(_logs(home))) == before
    assert {kind: found.removed for kind, found in would.items()} == {
        kind: found.removed for kind, found in _prune(home, days=0).items()
    }


@pytest.mark.parametrize("kept", [0, 1, 5])
def test_a_prune_that_is_killed_leaves_a_home_that_the_next_one_finishes(home, monkeypatch, kept):
    before, left, unlink = _records(home), [kept], Path.unlink

    def killed(path, **given):
        if path.suffix == ".db":
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
        unlink(path, **given)

    monkeypatch.setattr(Path, "unlink", killed)
    with pytest.raises(KeyboardInterrupt):
        _prune(home)
    monkeypatch.undo()

    assert _records(home) == before
    assert not build(home, load_settings(home), SilentWatcher()).built
    _prune(home)
    assert _logs(home) == []
    assert _records(home) == before


def test_results_of_days_that_passed_go_by_their_age_and_the_others_stay(home):
    passed, warned = FIRST + timedelta(days=100), FIRST + timedelta(days=101)
    results = [
        CheckResult(table="raw_interactions", check=check, verdict=verdict, day=day)
        for day, check, verdict in (
            (passed, "schema", "ok"),
            (warned, "drift_rows", "warn"),
            (warned, "schema", "ok"),
        )
    ]
    with Ledger(home.quality_db) as ledger:
        ledger.record(results, at=datetime.now(UTC) - timedelta(days=400))
        profiles = ledger.profiles("raw_interactions", since=FIRST, before=date.max)

    _prune(home, now=datetime.now(UTC))

    with Ledger(home.quality_db) as ledger:
        assert ledger.results(day=passed) == []
        assert ledger.results(day=warned) == results[1:]
        assert ledger.results(day=FIRST)
        assert ledger.profiles("raw_interactions", since=FIRST, before=date.max) == profiles


def test_fewer_reports_than_a_build_would_write_all_stay(home):
    days = days_under(home.reports)
    settings = load_settings(home)
    kept = msgspec.structs.replace(
        settings, report=msgspec.structs.replace(settings.report, days=len(days) + 1)
    )
    prune(home, msgspec.structs.replace(kept, retention=keep_days(kept.retention, 0)), now=LATER)
    assert days_under(home.reports) == days


def test_old_reports_go_and_those_that_a_build_would_write_stay(home):
    settings = load_settings(home)
    days = days_under(home.reports)
    fewer = msgspec.structs.replace(
        settings,
        report=msgspec.structs.replace(settings.report, days=2),
        retention=keep_days(settings.retention, 0),
    )

    prune(home, fewer, now=LATER)

    assert days_under(home.reports) == days[-2:]
    assert [path.name for path in home.reports.glob(".*") if path.name.startswith(".pruned")] == []
    assert not build(home, fewer, SilentWatcher()).built


def test_a_rejected_day_stays_for_its_days(home):
    blocking = [CheckResult(table="raw_interactions", check="schema", verdict="block", day=FIRST)]
    quarantine_day(home.quarantine, FIRST, pl.DataFrame({"user_id": ["u"]}), blocking)

    _prune(home)
    assert len(rejected_days(home.quarantine)) == 1

    old = (datetime.now(UTC) - timedelta(days=400)).timestamp()
    for file in day_folder(home.quarantine, FIRST).iterdir():
        os.utime(file, (old, old))
    _prune(home, now=datetime.now(UTC))
    assert rejected_days(home.quarantine) == []


def test_notices_stay_for_their_days(home):
    at = datetime.now(UTC)
    send_notice(home, NotifySettings(), Notice(id="n", at=at, kind="recall", subject="s", text="t"))

    assert _prune(home)["notices"].removed == ""
    assert _prune(home, now=at + timedelta(days=366))["notices"].removed == "1 notice"


def test_earlier_versions_of_a_day_stay_for_their_days(home):
    store = Inputs(home, load_settings(home)).raw_store
    store.write(FIRST, store.read(FIRST).head(5))
    store.settle()
    (version,) = store.versions.every()

    assert _prune(home)["earlier versions"].removed == ""
    assert version.path.exists()
    dry = _prune(home, now=datetime.now(UTC) + timedelta(days=400), dry_run=True)["earlier versions"]
    assert (dry.removed, dry.bytes_before > dry.bytes_after) == ("1 version", True)
    assert version.path.exists()
    _prune(home, now=datetime.now(UTC) + timedelta(days=400))
    assert store.versions.every() == []


def test_reports_on_replays_stay_for_their_days(home):
    home.replays.mkdir(parents=True)
    old = (datetime.now(UTC) - timedelta(days=400)).timestamp()
    for name in ("old.json", "new.json"):
        (home.replays / name).write_text("{}")
    os.utime(home.replays / "old.json", (old, old))

    assert _prune(home, now=datetime.now(UTC))["replays"].removed == "1 file"
    assert [file.name for file in home.replays.iterdir()] == ["new.json"]


def test_the_current_release_and_the_one_before_stay(home):
    store = ReleaseStore(home.releases)
    releases = [manifest.release_id for manifest in store.list()]
    current, before = store.current_id(), store.previous_id()
    only_one = msgspec.structs.replace(load_settings(home), retention=RetentionSettings(releases=1))

    prune(home, only_one, now=LATER)

    assert {current, before} - {None} <= {manifest.release_id for manifest in store.list()} <= set(releases)


def test_a_build_prunes_where_the_settings_say_so(home):
    settings = load_settings(home)
    retention = msgspec.structs.replace(keep_days(settings.retention, 0), after_build=True)
    pruning = msgspec.structs.replace(settings, retention=retention)

    first, second = (build(home, pruning, SilentWatcher()) for _ in range(2))

    assert "runs" in first.rows[-1].detail
    assert (first.rows[-1].stage, first.rows[-1].status) == ("prune", "built")
    assert not second.built
