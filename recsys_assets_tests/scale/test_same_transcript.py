"""A build, its files and its answers are the same on a folder, on S3, and on S3 with Ray and Postgres."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from recsys_assets.benchmarks.scale_servers import (
    ACCESS_KEY,
    SECRET_KEY,
    missing_postgres,
    missing_seaweed,
)
from recsys_assets_tests.ray_clusters import running_ray
from recsys_assets_tests.scale.transcripts import QUICK, STRETCH_DAYS

pytestmark = [pytest.mark.scale, pytest.mark.timeout(3_600)]

MODULE = "recsys_assets_tests.scale.transcripts"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
LONGEST = 1_800


@pytest.fixture(autouse=True)
def _servers() -> None:
    for missing in (missing_seaweed(), missing_postgres()):
        if missing is not None:
            pytest.skip(missing)


def here(form: str, days: int, folder: Path, settings: dict[str, str]) -> dict[str, Any]:
    folder.mkdir()
    command = [sys.executable, "-m", MODULE, form, str(days), str(folder)]
    done = subprocess.run(
        command, env={**os.environ, **settings}, capture_output=True, text=True, check=False, timeout=LONGEST
    )
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "transcript.json").read_text())


def on_a_cluster(
    days: int, folder: Path, settings: dict[str, str], *, form: str = "cluster"
) -> dict[str, Any]:
    folder.mkdir()
    with running_ray(environment={**CREDENTIALS, **settings}) as cluster:
        done = cluster.run("-m", MODULE, form, str(days), str(folder), timeout=LONGEST)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "transcript.json").read_text())


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return [
        f"{part} {name}: {value} and {other[part].get(name)}"[:300]
        for part in one
        if part != "release"
        for name, value in one[part].items()
        if other[part].get(name) != value
    ]


@pytest.mark.parametrize(
    ("days", "settings"),
    [
        pytest.param(STRETCH_DAYS + 3, QUICK, id="few-days"),
        pytest.param(60, {}, id="the-default", marks=pytest.mark.slow),
    ],
)
def test_every_form_gives_the_same_release_days_files_ledger_and_answers(tmp_path, days, settings):
    with ThreadPoolExecutor(1) as pool:  # a cluster waits a lot while it starts
        cluster = pool.submit(on_a_cluster, days, tmp_path / "cluster", settings)
        local, s3 = (here(form, days, tmp_path / form, settings) for form in ("local", "s3"))
    assert len(local["days"]) == 2 * days
    for other in (s3, cluster.result()):
        assert differences(local, other) == []
        assert other == local


@pytest.mark.slow
def test_a_build_one_of_whose_workers_was_killed_gives_the_same(tmp_path):
    days = 4 * STRETCH_DAYS
    local = here("local", days, tmp_path / "local", QUICK)
    killed = on_a_cluster(days, tmp_path / "killed", QUICK, form="killed")
    assert differences(local, killed) == []
    assert killed == local
