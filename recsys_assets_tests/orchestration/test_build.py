"""`recsys build`: only what is missing or stale, and the same release after any interruption."""

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recsys_assets_tests.conftest import BUILT_DAYS, environment


def _current(home: Path) -> str:
    return (home / "releases" / "current").read_text().strip()


def _lake(home: Path) -> dict[str, str]:
    files = sorted((home / "lake").rglob("*.parquet"))
    return {str(file.relative_to(home)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def _vectors(home: Path) -> dict[str, str]:
    files = (home / "releases" / _current(home)).glob("*_embeddings.npy")
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def _training(home: Path) -> dict[str, Any]:
    return json.loads((home / "artifacts" / "embeddings" / "training.json").read_text())


def _embeddings(home: Path) -> np.ndarray:
    return np.load(home / "artifacts" / "embeddings" / "user_embeddings.npy")


def _set(home: Path, line: str) -> None:
    with (home / "recsys.toml").open("a") as settings:
        settings.write(f"{line}\n")


def _lines(file: Path) -> list[bytes]:
    return file.read_bytes().splitlines()


@pytest.fixture
def home(built_home, tmp_path) -> Path:
    copy = tmp_path / "home"
    shutil.copytree(built_home, copy, symlinks=True)
    return copy


def test_every_day_and_a_release_are_there(built_home):
    assert len(list((built_home / "lake" / "raw").glob("date=*/part-0.parquet"))) == BUILT_DAYS
    assert len(list((built_home / "lake" / "interactions").glob("date=*/part-0.parquet"))) == BUILT_DAYS
    assert (built_home / "releases" / _current(built_home) / "manifest.json").is_file()
    assert list((built_home / "reports").glob("date=*/increment_report.html"))


def test_a_second_build_does_nothing_and_says_so(recsys, built_home):
    before = _lake(built_home)
    done = recsys("build", home=built_home)
    assert done.returncode == 0
    assert "Nothing to do" in done.stdout
    assert _lake(built_home) == before


def test_a_lost_day_is_built_again_and_the_release_stays_the_same(recsys, home):
    release, before = _current(home), _lake(home)
    shutil.rmtree(next((home / "lake" / "raw").glob("date=*")))
    done = recsys("build", home=home)
    assert done.returncode == 0, done.stderr
    assert "1 day" in done.stdout
    assert _lake(home) == before
    assert _current(home) == release


@pytest.mark.slow
def test_another_training_setting_makes_another_release(recsys, home):
    release = _current(home)
    _set(home, "embedding_size = 32")
    done = recsys("build", home=home)
    assert done.returncode == 0, done.stderr
    assert _current(home) != release


@pytest.mark.slow
def test_several_processes_train_when_set_and_report_to_dagster(recsys, home):
    alone = _embeddings(home)
    _set(home, "processes = 2")
    done = recsys("build", home=home)
    assert done.returncode == 0, done.stderr
    logged = [line for log in (home / "dagster").rglob("*") if log.is_file() for line in _lines(log)]
    assert any(b"epoch 15 of 15: objective" in line for line in logged)
    np.testing.assert_allclose(_embeddings(home), alone, atol=1e-3)


@pytest.mark.slow
def test_a_warm_start_goes_on_from_the_last_embeddings(recsys, home):
    cold = _training(home)
    _set(home, "warm_start_epochs = 2")
    done = recsys("build", home=home)
    assert done.returncode == 0, done.stderr
    warm = _training(home)
    assert (cold["warm_start"], warm["warm_start"]) == (False, True)
    assert len(warm["losses"]) == 2
    assert warm["losses"][0] <= cold["losses"][-1] < cold["losses"][0]


@pytest.mark.parametrize("after", [pytest.param("lake/interactions", marks=pytest.mark.slow), "artifacts"])
def test_a_killed_build_goes_on_to_the_same_release(recsys, built_home, tmp_path, after):
    home = tmp_path / "killed"
    home.mkdir()
    shutil.copy(built_home / "recsys.toml", home)
    process = subprocess.Popen(
        [sys.executable, "-m", "recsys_assets", "build"],
        env=environment(home), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    while not (home / after).exists():
        assert process.poll() is None, "the build ended before it could be killed"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = recsys("build", home=home)
    assert done.returncode == 0, done.stdout + done.stderr
    assert _lake(home) == _lake(built_home)
    assert _vectors(home) == _vectors(built_home)
    assert _current(home) == _current(built_home)


def test_an_interrupted_build_stops_and_says_so(built_home, tmp_path):
    home = tmp_path / "interrupted"
    home.mkdir()
    shutil.copy(built_home / "recsys.toml", home)
    process = subprocess.Popen(
        [sys.executable, "-m", "recsys_assets", "build"],
        env=environment(home), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not (home / "lake" / "raw").exists():
        assert process.poll() is None, "the build ended before it could be interrupted"
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, output = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in output
    assert not (home / "artifacts").exists()


def _events(folder: Path, *, bad_day: date | None) -> Path:
    first = date(2024, 1, 1)
    rows = [
        {
            "user": None if first + timedelta(days=day) == bad_day and n % 30 else f"u{n % 20}",
            "item": f"i{(n * 7 + day) % 30}",
            "at": f"{first + timedelta(days=day)}T10:00:{n % 60:02d}Z",
        }
        for day in range(6)
        for n in range(90)
    ]
    path = folder / "events.csv"
    pl.DataFrame(rows).write_csv(path)
    return path


COLUMNS = ["--column", "user_id=user", "--column", "item_id=item", "--column", "timestamp=at"]


def test_a_rejected_day_fails_the_build_but_not_the_other_days(recsys, tmp_path):
    home, bad = tmp_path / "home", date(2024, 1, 4)
    source = _events(tmp_path, bad_day=bad)
    init = recsys("init", "--source", f"tabular:{source}", *COLUMNS, home=home)
    assert init.returncode == 0, init.stderr
    done = recsys("build", home=home)
    assert done.returncode == 1
    assert "2024-01-04" in done.stdout
    assert "quarantine" in done.stdout
    days = sorted(path.name for path in (home / "lake" / "interactions").glob("date=*"))
    assert len(days) == 5
    assert f"date={bad}" not in days
    assert (home / "quarantine" / f"date={bad}").is_dir()
    assert not (home / "releases" / "current").exists()


@pytest.mark.slow
def test_a_log_too_short_to_evaluate_is_released_and_the_check_says_so(recsys, tmp_path):
    """In the home of the option, though the variable names another."""
    home, other, source = tmp_path / "home", tmp_path / "other", tmp_path / "events.csv"
    rows = [{"user": f"u{n}", "item": f"i{n % 3}", "at": "2024-01-01T10:00:00Z"} for n in range(6)]
    pl.DataFrame(rows).write_csv(source)
    init = recsys("init", "--home", home, "--source", f"tabular:{source}", *COLUMNS, home=other)
    assert init.returncode == 0, init.stderr
    done = recsys("build", "--home", home, home=other)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "beats baselines" in done.stdout
    assert "Recommendations for u1" in recsys("recommend", "u1", "--home", home, home=other).stdout
    assert not other.exists()


def test_two_builds_of_one_home_do_not_run_at_once(recsys, built_home):
    import fcntl

    with (built_home / ".build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = recsys("build", home=built_home)
    assert done.returncode == 1
    assert "another build" in done.stderr
