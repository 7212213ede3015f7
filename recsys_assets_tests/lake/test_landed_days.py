"""Days read and measured in stretches are those read at once, whoever reads them."""

import pickle
import shutil
import socket
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from recsys_assets.drift.monitor import Monitor
from recsys_assets.errors import LauncherError
from recsys_assets.lake.contract import RAW_INTERACTIONS
from recsys_assets.lake.follow import count_now
from recsys_assets.lake.initialise import initialise
from recsys_assets.lake.landed_days import DaysToLand, LandedDay, land_stretch, landed_by, landed_here
from recsys_assets.lake.raw_audit import RawAudit
from recsys_assets.lake.sources.registry import source_of
from recsys_assets.launching.launcher import InProcess
from recsys_assets.settings import QualitySettings
from recsys_assets.storage.forgotten import Forgotten
from recsys_assets.storage.home import Home
from recsys_assets_tests.orchestration.homes import small_home

FIRST, DAYS = date(2024, 1, 1), 40


class Shuffled(InProcess):
    """Ends the tasks in another order than they were given, each in another process's memory."""

    def map(self, work, tasks, *, tries=3):
        assert tries > 1
        found = [(place, pickle.loads(pickle.dumps(work(task)))) for place, task in enumerate(tasks)]
        yield from found[1:] + found[:1]


@pytest.fixture(scope="module")
def wanted(tmp_path_factory) -> DaysToLand:
    home, settings = small_home(tmp_path_factory.mktemp("shop") / "a", first=FIRST, days=DAYS)
    return DaysToLand(
        home=home,
        source=settings.source,
        days=tuple(FIRST + timedelta(days=n) for n in range(DAYS)),
        counted=count_now(home, settings),
        users_now={},
        forgotten=Forgotten.load(home),
    )


def here(wanted: DaysToLand, scratch: Path) -> list[LandedDay]:
    chunks = landed_here(wanted, source_of(wanted.source), scratch=scratch)
    return [one for chunk in chunks for one in chunk]


def by_workers(wanted: DaysToLand, stretch_days: int) -> list[LandedDay]:
    return [one for chunk in landed_by(Shuffled(), wanted, stretch_days=stretch_days) for one in chunk]


def judged(landed: list[LandedDay]) -> list[str]:
    audit = RawAudit(RAW_INTERACTIONS, monitor=Monitor("raw_interactions", QualitySettings()))
    found = []
    for one in landed:
        audit.take([one.measured])
        found.append(repr(audit(one.measured.day, one.measured.frame)))
        audit.published(one.measured.day, one.measured.frame)
    return found


@pytest.mark.parametrize("stretch_days", [1, 7, DAYS])
def test_stretches_are_the_days_read_at_once(wanted, tmp_path, stretch_days):
    at_once, stretches = here(wanted, tmp_path), by_workers(wanted, stretch_days)
    assert [one.measured.day for one in stretches] == list(wanted.days)
    assert all(
        a.measured.frame.equals(b.measured.frame, null_equal=True)
        for a, b in zip(at_once, stretches, strict=True)
    )
    assert [(one.as_counted, one.provenance) for one in stretches] == [
        (one.as_counted, one.provenance) for one in at_once
    ]


def test_days_measured_elsewhere_are_judged_alike(wanted, tmp_path):
    at_once, stretches = judged(here(wanted, tmp_path)), judged(by_workers(wanted, 7))
    assert stretches == at_once
    assert any("drift_" in results for results in at_once)


def test_the_audit_knows_a_day_that_came_from_another_process(wanted):
    for one in by_workers(wanted, 7):
        assert one.measured.events is not None
        assert one.measured.events.frame is one.measured.frame


def test_a_file_that_changed_since_it_was_counted_leaves_its_days_stale(wanted, tmp_path):
    home, settings = small_home(tmp_path / "b", first=FIRST, days=3)
    counted = count_now(home, settings)
    source = tmp_path / "b" / "events.csv"
    pl.concat([pl.read_csv(source), pl.read_csv(source).head(1)]).write_csv(source)
    changed = DaysToLand(
        home=home, source=settings.source, days=wanted.days[:3], counted=counted, users_now={},
        forgotten=Forgotten.load(home),
    )  # fmt: skip
    assert [one.as_counted for one in by_workers(changed, 2)] == [False] * 3


def test_a_worker_that_does_not_see_the_home_says_where_it_should_be(wanted, tmp_path):
    elsewhere = DaysToLand(
        home=Home(tmp_path / "missing"), source=wanted.source, days=wanted.days, counted=wanted.counted,
        users_now={}, forgotten=wanted.forgotten,
    )  # fmt: skip
    with pytest.raises(LauncherError, match="missing: home and source have the same path on every node"):
        land_stretch(elsewhere)


@pytest.fixture
def in_two_files(tmp_path) -> DaysToLand:
    """Six days of a source of two files, the second with the last three."""
    small_home(tmp_path / "whole", first=FIRST)
    rows = pl.read_csv(tmp_path / "whole" / "events.csv")
    (tmp_path / "files").mkdir()
    rows.head(270).write_csv(tmp_path / "files" / "a.csv")
    rows.tail(270).write_csv(tmp_path / "files" / "b.csv")
    home = Home(tmp_path / "home")
    settings = initialise(home, f"tabular:{tmp_path / 'files'}/*.csv")
    return DaysToLand(
        home=home, source=settings.source, days=tuple(FIRST + timedelta(days=n) for n in range(6)),
        counted=count_now(home, settings), users_now={}, forgotten=Forgotten.load(home),
    )  # fmt: skip


def test_a_worker_that_does_not_see_the_source_says_where_it_should_be(in_two_files, tmp_path):
    shutil.rmtree(tmp_path / "files")
    with pytest.raises(LauncherError, match="home and source have the same path on every node") as error:
        land_stretch(in_two_files)
    assert str(error.value).startswith(f"{socket.gethostname()}: {tmp_path}/files/*.csv: ")


def test_a_worker_that_sees_only_some_files_of_the_days_lands_none_of_them(in_two_files, tmp_path):
    (tmp_path / "files" / "b.csv").unlink()
    assert land_stretch(replace(in_two_files, days=in_two_files.days[:3]))
    with pytest.raises(LauncherError, match=r"b\.csv is not here: home and source have the same path"):
        land_stretch(in_two_files)
