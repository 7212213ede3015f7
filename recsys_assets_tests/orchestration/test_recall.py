"""A recall from the command to the next build: what is moved, marked, kept, noticed, left out, and taken back."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from recsys_assets.commands.doctor import examine
from recsys_assets.errors import BuildRunningError, ReleaseError
from recsys_assets.lake.follow import count_now
from recsys_assets.orchestration import recall_home
from recsys_assets.orchestration.build import build, land
from recsys_assets.orchestration.fingerprints import Inputs
from recsys_assets.orchestration.instance import build_definitions, open_instance
from recsys_assets.orchestration.landing_plan import follow
from recsys_assets.orchestration.recall_home import take_back_accepted
from recsys_assets.quality.quarantine import rejected_days
from recsys_assets.release.current import read_recalled
from recsys_assets.release.recalls import read_recalls, read_unfinished
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.settings import load_settings
from recsys_assets.storage.day_folders import days_under
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import build_lock, locked
from recsys_assets_tests.orchestration.homes import SilentWatcher
from recsys_assets_tests.orchestration.recalls import (
    BAD,
    FIRST,
    WHY,
    build_shop,
    copy_of,
    notices,
    recall,
    write_log,
)

DOWNSTREAM = ["model_choice", "user_embeddings", "evaluation", "item_features", "item_index", "release"]


class Listener(SilentWatcher):
    """Keeps the lines."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Home:
    return build_shop(tmp_path_factory.mktemp("recall") / "shop")


@pytest.fixture
def home(built, tmp_path) -> Home:
    """A copy of the home, with the same log."""
    return copy_of(built, tmp_path / "home")


@pytest.fixture
def log(built) -> Iterator[Path]:
    """The log, which is as it was after the test."""
    file = built.root.parent / "events.csv"
    yield file
    write_log(file, days=4)


def stale(home: Home) -> dict[str, StaleStatus]:
    with open_instance(home) as instance:
        graph = build_definitions(home).resolve_asset_graph()
        found = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
        states = {name: found.get_status(dg.AssetKey(name)) for name in DOWNSTREAM}
        for day in (BAD, FIRST):
            states[f"{day}"] = found.get_status(dg.AssetKey("interactions"), day.isoformat())
    return states


def test_a_recall_moves_days_and_current_and_names_everybody(home):
    good, bad = (m.release_id for m in reversed(ReleaseStore(home.releases).list()))
    recall(home)
    assert ReleaseStore(home.releases).current_id() == good
    assert BAD not in days_under(home.raw)
    assert BAD not in days_under(home.interactions)
    assert {(one.table, one.day, one.reasons[0].detail) for one in rejected_days(home.quarantine)} == {
        ("raw_interactions", BAD, WHY),
        ("interactions", BAD, WHY),
    }
    (recorded,) = read_recalls(home)
    assert (recorded.who, recorded.why, recorded.days) == ("ann", WHY, (BAD,))
    assert (recorded.releases, recorded.before, recorded.current) == ((bad,), bad, good)
    (notice,) = notices(home)
    for text in (str(BAD), WHY, "by ann", bad, good, "recsys build", "quarantine accept"):
        assert text in notice.text
    assert notice.details["releases"] == [bad]
    assert read_unfinished(home) == ()


def test_dagster_shows_what_is_downstream_as_stale_until_the_next_build(home):
    assert set(stale(home).values()) == {StaleStatus.FRESH}
    recall(home)
    assert {name for name, state in stale(home).items() if state == StaleStatus.STALE} == {
        *DOWNSTREAM,
        f"{BAD}",
    }
    build(home, load_settings(home), SilentWatcher())
    assert {name for name, state in stale(home).items() if state == StaleStatus.STALE} == {f"{BAD}"}


def test_a_build_leaves_the_day_out_and_releases_the_rest(home):
    good, bad = (m.release_id for m in reversed(ReleaseStore(home.releases).list()))
    recall(home)
    listener = Listener()
    outcome = build(home, load_settings(home), listener)
    assert not outcome.failed, outcome.rows
    assert listener.said == [f"Recalled: 1 day, {BAD}, stays out while the source has the same rows ({WHY})."]
    current = ReleaseStore(home.releases).current_id()
    assert current not in {good, bad}
    assert BAD not in ReleaseStore(home.releases).manifest(current or "").lineage
    assert not build(home, load_settings(home), SilentWatcher()).built
    assert len(notices(home)) == 1


def test_corrected_rows_land_and_are_used(home, log):
    recall(home)
    write_log(log, days=4, corrected=True)
    outcome = build(home, load_settings(home), SilentWatcher())
    assert not outcome.failed, outcome.rows
    store = ReleaseStore(home.releases)
    assert BAD in store.manifest(store.current_id() or "").lineage
    assert rejected_days(home.quarantine) == []
    with build_lock(home):
        assert take_back_accepted(home, load_settings(home)) == []


def test_a_day_that_was_corrected_can_be_recalled_again(home, log):
    recall(home)
    write_log(log, days=4, corrected=True)
    assert not land(home, load_settings(home), SilentWatcher(), [BAD]).failed
    recall(home)
    assert BAD not in days_under(home.raw)
    assert len(read_recalls(home)) == len(notices(home)) == len(read_recalled(home.releases)) == 2
    outcome = land(home, load_settings(home), SilentWatcher(), [BAD])
    assert outcome.failed


def test_the_same_rows_by_another_reading_are_rejected_once_and_fail_nothing(home):
    recall(home)
    with home.settings_file.open("a") as file:
        file.write("\n[source.reading]\ntime_zone = 'UTC'\nencoding = 'utf-8'\n")
    for _ in range(2):
        outcome = build(home, load_settings(home), SilentWatcher())
        assert not outcome.failed, outcome.rows
        assert BAD not in days_under(home.raw)
    assert {one.day for one in rejected_days(home.quarantine)} == {BAD}


def test_landing_a_recalled_day_by_hand_says_why_it_stays_out(home):
    recall(home)
    outcome = land(home, load_settings(home), SilentWatcher(), [BAD])
    assert outcome.failed
    assert WHY in outcome.rows[-1].detail


def test_accepting_the_rows_takes_the_recall_back(home, recsys):
    before = ReleaseStore(home.releases).current_id()
    recall(home)
    done = recsys("quarantine", "accept", str(BAD), "--why", "they were right", home=home.root)
    assert done.returncode == 0, done.stderr
    assert f"{BAD}: its recall is taken back" in done.stdout
    assert list(read_recalled(home.releases)) == []
    recalled, taken_back = notices(home)
    assert (recalled.kind, taken_back.kind) == ("recall", "recall_taken_back")
    assert taken_back.details["days"] == [str(BAD)]
    assert taken_back.details["releases"] == recalled.details["releases"]
    assert "they were right" in taken_back.text
    outcome = build(home, load_settings(home), SilentWatcher())
    assert not outcome.failed, outcome.rows
    ReleaseStore(home.releases).promote(before or "")


def test_accepted_rows_are_not_taken_for_those_that_the_source_has_since(home, log, recsys):
    recall(home)
    write_log(log, days=4, corrected=True)
    count_now(home, load_settings(home))
    assert not recsys("quarantine", "accept", str(BAD), "--why", "good enough", home=home.root).returncode
    inputs = Inputs(home, load_settings(home))
    assert inputs.raw_files[BAD].rows == 90
    assert not inputs.is_landed(inputs.raw_files[BAD])
    assert list(inputs.source_changes(inputs.source_days).changed) == [BAD]


def test_where_no_clean_release_is_left_the_command_says_so_and_everything_else_is_done(home, recsys):
    done = recsys("releases", "recall", f"{FIRST}..{BAD}", "--why", WHY, home=home.root)
    assert done.returncode == 1
    assert "STAYS current" in done.stdout
    assert any(WHY in text and "built on" in text for _, text in examine(home).facts)
    assert days_under(home.raw) == [BAD + timedelta(days=1)]
    assert len(notices(home)) == 1


def test_a_day_that_nothing_was_built_on_is_recalled_from_the_lake(home, log):
    write_log(log, days=5)
    new = FIRST + timedelta(days=4)
    current = ReleaseStore(home.releases).current_id()
    with build_lock(home):
        settings = follow(home, load_settings(home), SilentWatcher())
    land(home, settings, SilentWatcher(), [new])
    recall(home, new)
    assert new not in days_under(home.raw)
    assert ReleaseStore(home.releases).current_id() == current
    assert read_recalls(home)[0].releases == ()


def test_a_recall_during_a_build_marks_and_notifies_and_the_build_after_it_does_the_rest(home, monkeypatch):
    good = ReleaseStore(home.releases).list()[-1].release_id
    monkeypatch.setattr(recall_home, "SHORTLY", 0.0)
    with locked(home.lock("build")), pytest.raises(BuildRunningError, match="with the next build"):
        recall(home)
    assert ReleaseStore(home.releases).current_id() == good
    assert len(notices(home)) == 1
    assert BAD in days_under(home.raw)
    outcome = build(home, load_settings(home), SilentWatcher())
    assert not outcome.failed, outcome.rows
    assert BAD not in days_under(home.raw)
    assert read_unfinished(home) == ()
    assert len(read_recalls(home)) == len(notices(home)) == 1


def test_of_a_range_only_days_that_are_there_are_recalled(home):
    said = recall(home, *(BAD + timedelta(days=n) for n in range(5)))
    there = (BAD, BAD + timedelta(days=1))
    assert said[0] == "Neither in the lake nor in a release: 2020-05-05 to 2020-05-07"
    assert read_recalls(home)[0].days == there
    assert days_under(home.quarantine) == [*there]
    said = recall(home, *there)
    assert "nothing to do" in said[0]
    assert len(read_recalls(home)) == len(notices(home)) == 1


def test_a_day_that_nobody_has_is_an_error(home):
    with pytest.raises(ReleaseError, match="no release was built on 2031-01-01, and none is in the lake"):
        recall(home, date(2031, 1, 1))
    assert not home.unfinished_recalls.exists()
