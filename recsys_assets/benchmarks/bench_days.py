"""`recsys bench days`: the cost of a day, of long histories and of a new day, on the commands that users run.

Every figure but the floor is of a `recsys` process of its own in a new home, its start and its imports included, and
divided by days where the name says so. The files of long histories are those of the folder in `RECSYS_TEST_DATA`.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from shutil import rmtree
from statistics import median
from typing import Any, Final

import polars as pl

from recsys_assets import columns
from recsys_assets.benchmarks.datasets import TEST_DATA
from recsys_assets.benchmarks.harness import machine
from recsys_assets.lake.landing import iter_days
from recsys_assets.lake.sources.registry import open_source
from recsys_assets.settings import load_settings
from recsys_assets.storage.day_folders import day_folder
from recsys_assets.storage.home import Home

ROUNDS: Final = 3
SPARSE_DAYS: Final = 1_000
DEFAULT_DAYS: Final = 200
_FIRST: Final = datetime(2020, 1, 1, tzinfo=UTC)
_FEW: Final = 50
"""Days of the shorter run, which is subtracted: what is left is the cost of the days alone."""
_AMAZON: Final = "amazon_2014_Musical_Instruments_5.json.gz"
_RATINGS: Final = "amazon_2018_Magazine_Subscriptions_ratings.csv.gz"
_NO_REPORTS: Final = {"RECSYS_REPORT__DAYS": "0"}


@dataclass(kw_only=True)
class _Runs:
    """Figures of all rounds, and the most memory that any process held."""

    figures: dict[str, list[float]] = field(default_factory=dict)
    peak_rss_mb: float = 0.0

    def add(self, name: str, value: float) -> None:
        """Keep one round's figure."""
        self.figures.setdefault(name, []).append(value)

    def recsys(self, *arguments: str, **variables: str) -> float:
        """Run a `recsys` command to its end, and return its wall seconds.

        Raises:
            RuntimeError: it failed; with the end of what it printed.
        """
        command = [sys.executable, "-W", "ignore", "-m", "recsys_assets", *arguments]
        started = time.monotonic()
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(  # noqa: S603  our own command
                command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **variables}
            )
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.monotonic() - started
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                output.seek(0)
                raise RuntimeError(f"{' '.join(arguments)}: {output.read().decode(errors='replace')[-2000:]}")
        self.peak_rss_mb = max(self.peak_rss_mb, usage.ru_maxrss / 1024)
        return seconds


def run(*, rounds: int = ROUNDS) -> dict[str, Any]:
    """Land, audit, clean and record days; build long histories; land a new day; build with nothing to do.

    Args:
        rounds: of everything, one after another; medians are reported.

    Returns:
        The figures by name, `null` where a file is missing, and every round's.
    """
    runs = _Runs()
    for _ in range(rounds):
        with _folder() as folder:
            _sparse_days(folder, runs)
        with _folder() as folder:
            _default_days(folder, runs)
        for name, measure in ((_AMAZON, _amazon), (_RATINGS, _long_history)):
            file = Path(os.environ.get(TEST_DATA, "")) / name
            if os.environ.get(TEST_DATA) and file.is_file():
                with _folder() as folder:
                    measure(file, folder, runs)
        with _folder() as folder:
            runs.add("default_year_seconds", runs.recsys("build", "--home", str(folder / "home")))
    medians = {name: round(median(values), 2) for name, values in runs.figures.items()}
    missing = dict.fromkeys(
        ("amazon_2014_seconds", "amazon_2014_dagster_mb", "long_history_seconds", "long_history_dagster_mb",
         "new_day_seconds", "nothing_to_do_seconds")
    )  # fmt: skip
    return {
        **missing,
        **medians,
        "peak_rss_mb": round(runs.peak_rss_mb),
        "rounds": runs.figures,
        "machine": machine("dagster", "polars"),
    }


def floor(frames: Iterable[tuple[date, pl.DataFrame]], folder: Path) -> float:
    """Clean and write the same days by plain polars, one after another: no audit, no ledger, no Dagster.

    A day's rows are written as they are, and as valid, distinct, weighted events: what a script of ten lines would
    do. Lines of one event are not merged, nothing is replaced atomically, and nothing can be looked up later.

    Args:
        frames: days with their raw rows (RAW_INTERACTIONS' columns).
        folder: a new folder, for two files a day.

    Returns:
        Wall seconds, the reading of `frames` included.
    """
    key = [columns.USER_ID, columns.ITEM_ID, columns.TIMESTAMP]
    quantity, value, timestamp = (
        pl.col(name) for name in (columns.QUANTITY, columns.VALUE, columns.TIMESTAMP)
    )
    weight = (1 + quantity).log(2).clip(upper_bound=4.0).fill_null(1.0).cast(pl.Float32)
    started = time.perf_counter()
    for day, raw in frames:
        kept = raw.lazy().drop_nulls(key).filter(timestamp.dt.date() == day)
        kept = kept.filter((quantity > 0).fill_null(value=True), (value >= 0).fill_null(value=True))
        events = (
            kept.unique(key, keep="first")
            .with_columns(weight.alias(columns.WEIGHT))
            .sort(columns.TIMESTAMP, *key[:2])
        )
        for table, rows in (("raw", raw), ("interactions", events.collect())):
            place = day_folder(folder / table, day)
            place.mkdir(parents=True)
            rows.write_parquet(place / "part-0.parquet")
    return time.perf_counter() - started


def _sparse_days(folder: Path, runs: _Runs) -> None:
    """Land a log of 0 to 5 events a day, and a short one of the same kind."""
    log = sparse_log(SPARSE_DAYS)
    seconds = {}
    for days in (_FEW, SPARSE_DAYS):
        source, home = folder / f"{days}.parquet", folder / f"home{days}"
        log.filter(pl.col(columns.TIMESTAMP) < _FIRST + timedelta(days=days)).write_parquet(source)
        seconds[days] = _land_all(f"tabular:{source}", home, runs)
    each = (seconds[SPARSE_DAYS] - seconds[_FEW]) / (SPARSE_DAYS - _FEW)
    runs.add("sparse_ms_per_day", 1_000 * each)
    runs.add("dagster_bytes_per_day", _size(folder / f"home{SPARSE_DAYS}" / "dagster") / SPARSE_DAYS)


def _default_days(folder: Path, runs: _Runs) -> None:
    """Land the first days of the embedded default, and fewer of them; the floor is of the same days."""
    seconds = {
        days: _land_all("completejourney", folder / f"home{days}", runs, days=days)
        for days in (_FEW, DEFAULT_DAYS)
    }
    runs.add("default_ms_per_day", 1_000 * (seconds[DEFAULT_DAYS] - seconds[_FEW]) / (DEFAULT_DAYS - _FEW))
    source = open_source("completejourney")
    first = source.date_range().first_day
    days = [first + timedelta(days=n) for n in range(DEFAULT_DAYS)]
    frames = iter_days(source, days, scratch=folder / "scratch")
    runs.add("floor_ms_per_day", 1_000 * floor(frames, folder / "floor") / DEFAULT_DAYS)


def _amazon(file: Path, folder: Path, runs: _Runs) -> None:
    """Build ten years of reviews, then land their last day as a new one."""
    home = _new_home(f"amazon:{file}", folder / "home", runs)
    runs.add("amazon_2014_seconds", runs.recsys("build", "--home", str(home.root)))
    runs.add("amazon_2014_dagster_mb", _size(home.dagster) / 1e6)
    last = load_settings(home).source.last_day
    for table in (home.raw, home.interactions, home.reports):
        rmtree(day_folder(table, last))
    runs.add("new_day_seconds", runs.recsys("land", "--next", "1", "--home", str(home.root)))


def _long_history(file: Path, folder: Path, runs: _Runs) -> None:
    """Build 17 years of ratings, then build again."""
    home = _new_home(f"amazon:{file}", folder / "home", runs)
    runs.add("long_history_seconds", runs.recsys("build", "--home", str(home.root)))
    runs.add("long_history_dagster_mb", _size(home.dagster) / 1e6)
    runs.add("nothing_to_do_seconds", runs.recsys("build", "--home", str(home.root)))


def _land_all(spec: str, place: Path, runs: _Runs, *, days: int | None = None) -> float:
    home = _new_home(spec, place, runs, days=days)
    source = load_settings(home).source
    span = ("--from", source.first_day.isoformat(), "--to", source.last_day.isoformat())
    return runs.recsys("land", *span, "--home", str(place), **_NO_REPORTS)


def _new_home(spec: str, place: Path, runs: _Runs, *, days: int | None = None) -> Home:
    limit = ("--days", str(days)) if days else ()
    runs.recsys("init", "--source", spec, *limit, "--home", str(place))
    return Home(place)


def sparse_log(days: int) -> pl.DataFrame:
    """Make a log of 0 to 5 events a day from 2020 on, 2.5 on average, of 300 users and 200 items."""
    place = pl.int_range(5 * days)
    kept = place.hash(7) % 2 == 0
    return pl.select(
        pl.format("u{}", place.hash(1) % 300).alias(columns.USER_ID),
        pl.format("i{}", place.hash(2) % 200).alias(columns.ITEM_ID),
        (pl.lit(_FIRST) + pl.duration(days=place // 5, seconds=place.hash(3) % 86_400)).alias(
            columns.TIMESTAMP
        ),
        (place.hash(4) % 5 + 1).cast(pl.Float64).alias(columns.RATING),
    ).filter(kept)


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="recsys-bench-") as folder:
        yield Path(folder)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
