"""A ranged run on a real Ray cluster: the same days, ledger, quarantine and record as in one process."""

import hashlib
import shutil
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta

import dagster as dg
import polars as pl
import psutil
import pytest

from recsys_assets import columns
from recsys_assets.benchmarks.ray_nodes import ADDRESS, Cluster
from recsys_assets.lake.sources.registry import open_source
from recsys_assets.orchestration.instance import open_instance
from recsys_assets.orchestration.question_checks import question_specs
from recsys_assets.storage.home import Home
from recsys_assets_tests.orchestration.homes import recorded_days
from recsys_assets_tests.ray_clusters import running_ray

pytestmark = pytest.mark.timeout(600)

FIRST, DAYS, REJECTED = date(2017, 1, 1), 60, date(2017, 2, 9)
LAND = ("land", "--from", "2017-01-01", "--to", "2017-03-01")
"""It ends before cleaning, since a day is rejected."""
LAND_AND_CLEAN = ("land", "--from", "2017-02-10", "--to", "2017-03-01")
TABLES = ("raw_interactions", "interactions")
RAY = f'\n[launcher]\nkind = "ray"\naddress = "{ADDRESS}"\nstretch_days = 12\n'


@pytest.fixture(scope="module")
def landed_here(recsys, tmp_path_factory) -> Home:
    """The default's first 60 days, in two files, one day with hardly a user, landed in one process."""
    folder = tmp_path_factory.mktemp("shop")
    until = pl.lit(FIRST + timedelta(days=DAYS))
    rows = pl.concat(open_source("completejourney").batches())
    day = pl.col(columns.TIMESTAMP).dt.date()
    is_lost = (day == REJECTED) & (pl.int_range(pl.len()) % 50 > 0)
    lost = pl.when(is_lost).then(None).otherwise(columns.USER_ID).alias(columns.USER_ID)
    rows = rows.filter(day < until).with_columns(lost)
    first = day < pl.lit(FIRST + timedelta(days=31))
    rows.filter(first).write_parquet(folder / "january.parquet")
    rows.filter(~first).write_parquet(folder / "february.parquet")
    home = Home(folder / "here")
    done = recsys("init", "--source", f"tabular:{folder}/*.parquet", home=home.root)
    assert done.returncode == 0, done.stderr
    with home.settings_file.open("a") as settings:
        settings.write("\n[report]\ndays = 0\n")
    shutil.copytree(home.root, folder / "fresh")
    done = recsys(*LAND, home=home.root)
    assert done.returncode == 1, done.stderr  # a day was rejected
    assert str(REJECTED) in done.stdout + done.stderr
    done = recsys(*LAND_AND_CLEAN, home=home.root)
    assert done.returncode == 0, done.stderr
    return home


@pytest.fixture
def fresh(landed_here, tmp_path) -> Home:
    """The same home before it landed, with a cluster in its settings."""
    home = Home(tmp_path / "home")
    shutil.copytree(landed_here.root.parent / "fresh", home.root)
    with home.settings_file.open("a") as settings:
        settings.write(RAY)
    return home


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running_ray() as found:
        yield found


def record(home: Home) -> dict[str, object]:
    """Everything that landing leaves, without times and the home's own path."""
    files = sorted([*home.root.glob("lake/*/*/*.parquet"), *home.quarantine.rglob("*.*")])
    with closing(sqlite3.connect(home.quality_db)) as ledger:
        results = ledger.execute("SELECT table_name, day, verdict, results FROM day_results ORDER BY 1, 2")
        profiles = ledger.execute("SELECT day, profile FROM profiles ORDER BY 1")
        accounts = ledger.execute("SELECT day, account FROM row_accounts ORDER BY 1")
        of_ledger = [results.fetchall(), profiles.fetchall(), accounts.fetchall()]
    with open_instance(home) as instance:
        days = recorded_days(instance)
        days["unfinished"] = sorted(days["unfinished"])  # without the id of the run
        answers = [answer for table in TABLES for answer in answers_of(instance, table, home)]
    return {
        "files": {str(f.relative_to(home.root)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files},
        "ledger": of_ledger,
        "dagster": days,
        "answers": answers,
    }


def raw_files(home: Home) -> dict[str, str]:
    """Day -> checksum of its raw file."""
    files = sorted(home.raw.glob("*/*.parquet"))
    return {file.parent.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def answers_of(instance: dg.DagsterInstance, table: str, home: Home) -> list[str]:
    found = []
    for spec in question_specs(table, asset=table):
        for one in instance.event_log_storage.get_asset_check_execution_history(spec.key, limit=200):
            if one.event is not None:
                said = one.event.dagster_event.event_specific_data
                told = {name: value for name, value in said.metadata.items() if name != "rows_by_day"}
                line = f"{spec.name} {said.partition} {said.passed} {said.severity} {said.description} {told}"
                found.append(line.replace(str(home.root), "HOME"))
    return sorted(found)


def days_in_dagster(home: Home) -> Counter[str]:
    with open_instance(home) as instance:
        found = instance.fetch_materializations(dg.AssetKey("raw_interactions"), limit=500).records
    return Counter(one.partition_key for one in found)


@pytest.mark.scale
def test_days_landed_by_a_cluster_are_those_of_one_process(landed_here, fresh, cluster):
    done = cluster.run("-m", "recsys_assets", *LAND, "--home", str(fresh.root), timeout=300)
    assert done.returncode == 1, done.stderr
    done = cluster.run("-m", "recsys_assets", *LAND_AND_CLEAN, "--home", str(fresh.root), timeout=300)
    assert done.returncode == 0, done.stderr
    assert len(list(fresh.interactions.glob("*/*.parquet"))) == 20
    one, other = record(landed_here), record(fresh)
    assert other["files"] == one["files"]
    assert other == one
    assert any(str(REJECTED) in name for name in one["files"] if name.startswith("quarantine"))
    assert {path.stat().st_mode & 0o077 for path in fresh.root.rglob("part-0.parquet")} == {0}


@pytest.mark.scale
@pytest.mark.slow
def test_the_days_of_a_killed_worker_are_landed_once(landed_here, fresh, cluster, tmp_path):
    command = ("-m", "recsys_assets", *LAND, "--home", str(fresh.root))
    landing = cluster.start(*command, log=tmp_path / "log")
    poll(lambda: landing_workers(cluster))[0].kill()
    assert landing.wait(timeout=300) == 1
    assert "it is done again" in (tmp_path / "log").read_text()
    assert raw_files(fresh) == raw_files(landed_here)
    assert len(raw_files(fresh)) == DAYS - 1
    assert set(days_in_dagster(fresh).values()) == {1}


@pytest.mark.scale
@pytest.mark.slow
def test_a_job_ends_with_the_step_that_sent_it_and_the_next_one_goes_on(
    landed_here, fresh, cluster, tmp_path
):
    command = ("-m", "recsys_assets", *LAND, "--home", str(fresh.root))
    landing = cluster.start(*command, log=tmp_path / "log")
    driver = poll(lambda: drivers(cluster))
    landing.send_signal(signal.SIGKILL)
    landing.wait()
    poll(lambda: not psutil.pid_exists(driver[0].pid))
    done = cluster.run(*command, timeout=300)
    assert done.returncode == 1, done.stderr
    assert raw_files(fresh) == raw_files(landed_here)


@pytest.mark.scale
@pytest.mark.slow
def test_a_landing_whose_nodes_were_lost_says_it_and_goes_on_once_one_is_back(landed_here, fresh, tmp_path):
    log = tmp_path / "log"
    with running_ray() as cluster:
        landing = cluster.start("-m", "recsys_assets", *LAND, "--home", str(fresh.root), log=log)
        poll(lambda: landing_workers(cluster))
        for _ in range(2):
            cluster.kill_node(1)
        poll(lambda: "Ray: every node with CPUs was lost" in log.read_text())
        cluster.add_node(cpus=1)
        assert landing.wait(timeout=300) == 1
    assert raw_files(fresh) == raw_files(landed_here)
    assert set(days_in_dagster(fresh).values()) == {1}


def landing_workers(cluster: Cluster) -> list[psutil.Process]:
    return [one for one in cluster.workers() if one.name().startswith("ray::land_stret")]


def drivers(cluster: Cluster) -> list[psutil.Process]:
    found = []
    for one in cluster.processes():
        try:
            if "recsys_assets.orchestration.ray_driver" in one.cmdline() and "python" in one.name():
                found.append(one)
        except psutil.Error:
            continue
    return found


def poll(look, *, seconds: float = 120):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError(f"nothing within {seconds:.0f} s")
