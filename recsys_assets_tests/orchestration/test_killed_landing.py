"""A landing of hundreds of days, killed at any moment: the same command ends in the same content and record."""

import hashlib
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest

from recsys_assets.benchmarks.bench_days import sparse_log
from recsys_assets.orchestration.instance import open_instance
from recsys_assets.settings import load_settings
from recsys_assets.storage.day_folders import days_under
from recsys_assets.storage.home import Home
from recsys_assets_tests.conftest import environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

DAYS = 300
MOMENTS = (0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.97)
"""Shares of the time that an undisturbed landing takes."""


def content(home: Home) -> dict[str, str]:
    files = sorted((home.root / "lake").rglob("part-0.parquet"))
    return {str(file.relative_to(home.root)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def recorded(home: Home, asset: str) -> list[str]:
    with open_instance(home) as instance:
        return sorted(instance.get_materialized_partitions(dg.AssetKey(asset)))


@pytest.fixture(scope="module")
def landed(recsys, tmp_path_factory) -> tuple[Home, float, Path]:
    """A home whose landing nobody disturbed, its seconds, and the source."""
    folder = tmp_path_factory.mktemp("landed")
    source = folder / "log.parquet"
    sparse_log(DAYS).write_parquet(source)
    home = new_home(recsys, folder / "home", source)
    started = time.monotonic()
    assert recsys("land", *span(home), home=home.root).returncode == 0
    return home, time.monotonic() - started, source


def new_home(recsys, root: Path, source: Path) -> Home:
    done = recsys("init", "--source", f"tabular:{source}", home=root)
    assert done.returncode == 0, done.stderr
    with (root / "recsys.toml").open("a") as settings:
        settings.write("\n[report]\ndays = 0\n")
    return Home(root)


def span(home: Home) -> tuple[str, ...]:
    source = load_settings(home).source
    return ("--from", source.first_day.isoformat(), "--to", source.last_day.isoformat())


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_landing_ends_in_the_same_content_and_record(recsys, landed, tmp_path, moment):
    reference, seconds, source = landed
    home = new_home(recsys, tmp_path / "home", source)
    process = subprocess.Popen(
        [sys.executable, "-m", "recsys_assets", "land", *span(home)],
        env=environment(home.root), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    time.sleep(moment * seconds)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = recsys("land", *span(home), home=home.root)
    assert done.returncode == 0, done.stdout + done.stderr
    assert content(home) == content(reference)
    for asset, table in (("raw_interactions", home.raw), ("interactions", home.interactions)):
        assert recorded(home, asset) == [day.isoformat() for day in days_under(table)]
    with closing(sqlite3.connect(home.dagster / "history" / "runs" / "index.db")) as index:
        planned = index.execute(
            "SELECT count(*) FROM asset_check_executions WHERE execution_status = 'PLANNED'"
        )
        assert planned.fetchone() == (0,)
