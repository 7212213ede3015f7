"""A source played into a home day by day: partitions that land, ids that add nothing twice, and Ctrl-C."""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from recsys_assets.commands.event_sender import into_intake
from recsys_assets.errors import BuildInterruptedError, InputError
from recsys_assets.intake.event_store import Intake
from recsys_assets.lake.initialise import initialise
from recsys_assets.lake.sources.registry import open_source
from recsys_assets.orchestration.build import land
from recsys_assets.orchestration.instance import open_instance
from recsys_assets.orchestration.resources import Lake
from recsys_assets.orchestration.stream_state import days_to_play, read_state
from recsys_assets.orchestration.streaming import play_days
from recsys_assets.settings import load_settings
from recsys_assets.storage.home import Home
from recsys_assets_tests.conftest import environment
from recsys_assets_tests.orchestration.homes import SilentWatcher, small_home

FIRST = date(2024, 1, 1)
LAST = FIRST + timedelta(days=5)
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def two_days(tmp_path_factory) -> Home:
    """A home of the first two of six days; only for copies."""
    home, settings = small_home(tmp_path_factory.mktemp("shop") / "shop", first=FIRST)
    settings = initialise(home, settings.source.spec, days=2)
    land(home, settings, SilentWatcher(), settings.source.days())
    return home


@pytest.fixture
def home(two_days, tmp_path) -> Home:
    return Home(Path(shutil.copytree(two_days.root, tmp_path / "home")))


def play(home: Home, *, first: date | None = None, last: date | None = None) -> tuple[int, bool]:
    """Play days; return the number of new events, and whether a day failed."""
    settings = load_settings(home)
    spec = settings.source.spec
    state = days_to_play(home, settings, spec, first=first, last=last, newest=LAST)
    before = state.events
    with closing(Intake(home.events_db, settings.events, now=lambda: datetime.now(UTC))) as intake:
        outcome = play_days(
            home, settings, SilentWatcher(), open_source(spec), state, send=into_intake(intake)
        )
    return read_state(home).events - before, outcome.failed


def landed(home: Home) -> dict[date, int]:
    return {day: file.rows for day, file in Lake(home_path=str(home.root)).raw().files().items()}


def test_each_day_lands_by_a_run_and_a_second_stream_adds_nothing(home):
    assert play(home, last=FIRST + timedelta(days=3)) == (2 * 90, False)
    days = [FIRST + timedelta(days=n) for n in range(4)]
    assert landed(home) == dict.fromkeys(days, 90)
    with open_instance(home) as instance:
        for asset in ("raw_interactions", "interactions"):
            green = instance.get_materialized_partitions(dg.AssetKey(asset))
            assert sorted(green) == [day.isoformat() for day in days]
    assert play(home, first=FIRST + timedelta(days=2), last=FIRST + timedelta(days=3)) == (0, False)
    assert landed(home) == dict.fromkeys(days, 90)


def test_the_days_of_the_source_itself_are_no_new_rows(home):
    assert play(home, first=FIRST, last=FIRST) == (90, False)  # new in the intake, and the source has them
    assert landed(home)[FIRST] == 90
    store = Lake(home_path=str(home.root)).raw()
    assert store.file(FIRST).provenance["recsys.events_in_source"] == "90"


def test_the_rows_are_those_of_the_source(home):
    day = FIRST + timedelta(days=2)
    play(home, last=day)
    columns = ["user_id", "item_id", "timestamp"]
    of_source = pl.concat(open_source(load_settings(home).source.spec).batches())
    wanted = of_source.filter(pl.col("timestamp").dt.date() == day).select(columns)
    assert (
        Lake(home_path=str(home.root))
        .raw()
        .read(day)
        .select(columns)
        .sort(columns)
        .equals(wanted.sort(columns))
    )


class InterruptedAfterADay(SilentWatcher):
    """Sends an interrupt once a day of the stream has ended."""

    def report(self, stage: str, done: int, total: int) -> None:
        super().report(stage, done, total)
        if stage == "stream":
            os.kill(os.getpid(), signal.SIGINT)


def test_a_day_lands_though_the_source_was_not_counted_before(home):
    home.source_days.unlink()
    day = FIRST + timedelta(days=2)
    assert play(home, last=day) == (90, False)
    assert landed(home)[day] == 90


def test_an_interrupted_stream_goes_on_after_its_last_day(home):
    settings = load_settings(home)
    state = days_to_play(home, settings, settings.source.spec, first=None, last=None, newest=LAST)

    def send_two_days(rows):
        sent.append(len(rows))
        if len(sent) > 2:
            raise KeyboardInterrupt
        return into_intake(intake)(rows)

    sent: list[int] = []
    with (
        closing(Intake(home.events_db, settings.events, now=lambda: datetime.now(UTC))) as intake,
        pytest.raises(BuildInterruptedError, match="after 2024-01-04; `recsys stream"),
    ):
        play_days(
            home, settings, SilentWatcher(), open_source(settings.source.spec), state, send=send_two_days
        )
    assert read_state(home).done == 2
    assert not read_state(home).running
    settings = load_settings(home)
    again = days_to_play(home, settings, settings.source.spec, first=None, last=None, newest=LAST)
    assert again.left() == [FIRST + timedelta(days=4), LAST]
    assert play(home) == (2 * 90, False)
    assert (read_state(home).done, read_state(home).of) == (4, 4)
    with pytest.raises(InputError, match="no day from 2024-01-07 to 2024-01-06 to play"):
        play(home)


def test_an_interrupt_that_was_lost_ends_a_late_stream_before_its_next_day(home):
    settings, sent = load_settings(home), list[int]()
    state = days_to_play(home, settings, settings.source.spec, first=None, last=None, newest=LAST)
    before = signal.signal(signal.SIGINT, lambda *_: None)  # as where a finaliser swallows the exception
    try:
        with (
            closing(Intake(home.events_db, settings.events, now=lambda: datetime.now(UTC))) as intake,
            pytest.raises(BuildInterruptedError),
        ):
            play_days(
                home, settings, InterruptedAfterADay(), open_source(settings.source.spec), state,
                send=lambda rows: sent.append(len(rows)) or into_intake(intake)(rows),
            )  # fmt: skip
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(sent) == read_state(home).done == 1


@pytest.mark.slow
def test_ctrl_c_ends_the_command_cleanly_and_the_next_call_goes_on(recsys, home):
    process = subprocess.Popen(
        [sys.executable, "-m", "recsys_assets", "stream", "--days-per-second", "0.5"],
        env=environment(home.root), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    end = time.monotonic() + 120
    while time.monotonic() < end and (read_state(home) is None or not read_state(home).done):
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=150)  # Dagster waits up to 30 s each for two helpers of a step
    assert process.returncode == 130
    assert "goes on from there" in said
    assert "Traceback" not in said
    done = recsys("stream", home=home.root)
    assert done.returncode == 0, done.stdout + done.stderr
    assert landed(home) == {FIRST + timedelta(days=n): 90 for n in range(6)}
