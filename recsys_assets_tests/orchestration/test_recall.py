"""A recall from the command to the next build: what is moved, marked, kept, noticed, left out, and taken back."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from recsys_assets.notices.outbox import Notice, Outbox
from recsys_assets.orchestration.build import build, land
from recsys_assets.orchestration.instance import build_definitions, open_instance
from recsys_assets.orchestration.landing_plan import follow
from recsys_assets.orchestration.recall_home import finish_recalls, recall_days, take_back_accepted
from recsys_assets.quality.quarantine import rejected_days
from recsys_assets.release.current import read_recalled
from recsys_assets.release.recalls import read_recalls, read_unfinished
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.settings import load_settings
from recsys_assets.storage.home import Home, days_under
from recsys_assets.storage.locks import build_lock
from recsys_assets_tests.orchestration.homes import SilentWatcher, small_home

FIRST = date(2020, 5, 1)
BAD = FIRST + timedelta(days=2)
WHY = "prices in roubles"
SETTINGS = '\n[report]\ndays = 0\n\n[training]\nmodel = "popular"\n\n[gate]\nenabled = false\n'
DOWNSTREAM = ["model_choice", "user_embeddings", "evaluation", "item_features", "item_index", "release"]


class Listener(SilentWatcher):
    """Keeps the lines."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def write_log(file: Path, *, days: int, corrected: bool = False) -> None:
    """Write a log of some days, 90 events each; the corrected one lacks a user on the bad day."""
    rows = [
        {
            "user_id": f"u{n % 20}",
            "item_id": f"i{(n * 7 + day) % 30}",
            "timestamp": f"{at}T10:00:{n % 60:02d}Z",
        }
        for day in range(days)
        for n in range(90)
        if (at := FIRST + timedelta(days=day)) != BAD or not corrected or n % 20
    ]
    pl.DataFrame(rows).write_csv(file)


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Home:
    """A home with two releases: one built before the bad day came, and one with it."""
    root = tmp_path_factory.mktemp("recall") / "shop"
    home, _ = small_home(root, first=FIRST, days=2)
    with home.settings_file.open("a") as file:
        file.write(SETTINGS)
    assert not build(home, load_settings(home), SilentWatcher()).failed
    write_log(root / "events.csv", days=4)
    outcome = build(home, load_settings(home), SilentWatcher())
    assert not outcome.failed, outcome.rows
    assert len(ReleaseStore(home.releases).list()) == 2
    return home


@pytest.fixture
def home(built, tmp_path) -> Home:
    """A copy of the home, with the same log."""
    copy = Home(tmp_path / "home")
    shutil.copytree(built.root, copy.root, symlinks=True)
    return copy


@pytest.fixture
def log(built) -> Iterator[Path]:
    """The log, which is as it was after the test."""
    file = built.root.parent / "events.csv"
    yield file
    write_log(file, days=4)


def recall(home: Home, *days: date) -> list[str]:
    said: list[str] = []
    recall_days(home, load_settings(home), days or [BAD], why=WHY, who="ann", say=said.append)
    return said


def notices(home: Home) -> list[Notice]:
    if not home.notices_db.exists():
        return []
    with Outbox(home.notices_db) as outbox:
        return outbox.notices()


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
        ("raw_interactions", BAD, f"recalled: {WHY}"),
        ("interactions", BAD, f"recalled: {WHY}"),
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
        assert take_back_accepted(home) == []


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
    outcome = build(home, load_settings(home), SilentWatcher())
    assert not outcome.failed, outcome.rows
    ReleaseStore(home.releases).promote(before or "")


def test_where_no_clean_release_is_left_the_command_says_so_and_everything_else_is_done(home, recsys):
    done = recsys("releases", "recall", f"{FIRST}..{BAD}", "--why", WHY, home=home.root)
    assert done.returncode == 1
    assert "STAYS current" in done.stdout
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


STEPS = {
    "record_recalled": "recsys_assets.release.release_store",
    "record_move": "recsys_assets.release.release_store",
    "append_recall": "recsys_assets.orchestration.recall_home",
    "send_notice": "recsys_assets.orchestration.recall_home",
    "quarantine_day": "recsys_assets.orchestration.recall_home",
    "_mark": "recsys_assets.orchestration.recall_home",
    "write_unfinished": "recsys_assets.orchestration.recall_home",
}
KILLED = """
import os, signal, sys
from datetime import date
from importlib import import_module
from pathlib import Path
from recsys_assets.orchestration.recall_home import recall_days
from recsys_assets.settings import load_settings
from recsys_assets.storage.home import Home

home, day, module, name, when, why = Home(Path(sys.argv[1])), date.fromisoformat(sys.argv[2]), *sys.argv[3:]
place = import_module(module)
function = getattr(place, name)
def killed(*arguments, **options):
    if when == "after":
        function(*arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(place, name, killed)
recall_days(home, load_settings(home), [day], why=why, who="ann", say=print)
"""


@pytest.mark.slow
@pytest.mark.parametrize("by", ["the same command", "the next build"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_recall_that_is_killed_at_any_step_is_finished(home, tmp_path, when, by):
    good, bad = (m.release_id for m in reversed(ReleaseStore(home.releases).list()))
    for name, module in STEPS.items():
        copy = Home(tmp_path / f"{name}-home")
        shutil.copytree(home.root, copy.root, symlinks=True)
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(copy.root), str(BAD), module, name, when, WHY],
            capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == -signal.SIGKILL, done.stderr
        if by == "the next build" and read_unfinished(copy):
            with build_lock(copy):
                finish_recalls(copy, load_settings(copy), print)
        else:
            recall(copy)
        (recorded,) = read_recalls(copy)
        assert (recorded.releases, recorded.before, recorded.current) == ((bad,), bad, good), name
        assert ReleaseStore(copy.releases).current_id() == good
        assert len(rejected_days(copy.quarantine)) == 2
        assert BAD not in {*days_under(copy.raw), *days_under(copy.interactions)}
        assert len(notices(copy)) == 1
        assert read_unfinished(copy) == ()
