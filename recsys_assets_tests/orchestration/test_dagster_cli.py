"""Materialising by Dagster's own commands, as its users do."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from recsys_assets_tests.conftest import environment


@pytest.fixture
def empty_lake(built_home, tmp_path) -> Path:
    """The settings only."""
    home = tmp_path / "home"
    (home / "dagster").mkdir(parents=True)
    shutil.copy(built_home / "recsys.toml", home)
    return home


def _dagster(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "dagster",
        "asset",
        "materialize",
        "-m",
        "recsys_assets.definitions",
        *arguments,
    ]
    return subprocess.run(
        command, env=environment(home), capture_output=True, text=True, timeout=200, check=False
    )


def _days(home: Path, table: str) -> list[str]:
    return sorted(path.parent.name for path in (home / "lake" / table).glob("date=*/part-0.parquet"))


def test_one_partition_leaves_one_file_a_table(empty_lake):
    done = _dagster(empty_lake, "--select", "raw_interactions,interactions", "--partition", "2017-01-05")
    assert done.returncode == 0, done.stderr
    assert _days(empty_lake, "raw") == _days(empty_lake, "interactions") == ["date=2017-01-05"]


def test_a_range_is_one_run_and_leaves_exactly_its_days(empty_lake):
    done = _dagster(
        empty_lake,
        "--select",
        "raw_interactions,interactions",
        "--partition-range",
        "2017-01-03...2017-01-06",
    )
    assert done.returncode == 0, done.stderr
    assert _days(empty_lake, "interactions") == [f"date=2017-01-0{day}" for day in (3, 4, 5, 6)]


def test_cleaning_a_day_that_never_landed_fails_and_names_it(empty_lake):
    done = _dagster(empty_lake, "--select", "interactions", "--partition", "2017-01-05")
    assert done.returncode != 0
    assert "2017-01-05" in done.stderr
    assert _days(empty_lake, "interactions") == []
