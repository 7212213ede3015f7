"""Every call to the file system fails once under each command: one line names the file, nothing is lost."""

import errno
import shutil
from pathlib import Path

import pytest

from recsys_assets.benchmarks.file_faults import (
    SCENARIOS,
    FileFault,
    WatchedCall,
    compiled,
    faults_of,
    inject,
)

pytestmark = [
    pytest.mark.skipif(shutil.which("gcc") is None, reason="the shim is compiled"),
    pytest.mark.timeout(900),
]
MOST = 30
"""Faults of a scenario in the slow test."""
MOST_OF = {"land": 12}
"""Fewer, where each runs Dagster."""
FAST = ["days", "promote", "events", "keys", "answers", "notices", "gate"]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("shim"))


@pytest.fixture(scope="module")
def injected(library: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    return inject(FAST, tmp_path_factory.mktemp("faults"), library=library)


@pytest.mark.parametrize("name", FAST)
def test_nothing_is_lost_by_a_call_that_fails(name, injected):
    assert injected[name]["wrong"] == {}
    assert injected[name]["injected"] > 3


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", SCENARIOS)
def test_nothing_is_lost_by_either_error_of_the_first_or_the_last_call(name, library, tmp_path):
    most = MOST_OF.get(name, MOST)
    assert inject([name], tmp_path, library=library, every=True, most=most)[name]["wrong"] == {}


def test_paths_that_differ_in_a_day_or_an_id_only_are_of_one_form():
    calls = [
        *(WatchedCall("open", f"/home/lake/raw/date=2024-05-0{day}/part-0.parquet") for day in (1, 2, 3)),
        WatchedCall("write", "/home/quality.sqlite-shm"),
        WatchedCall("open", "/home/api_keys.json"),
    ]
    pattern = "/home/lake/raw/date=*/part-*.parquet"
    assert faults_of(calls, every=False) == [
        FileFault("open", pattern, 1, errno.EACCES),
        FileFault("open", "/home/api_keys.json", 1, errno.ENOSPC),
    ]
    assert [fault.nth for fault in faults_of(calls, every=True)] == [1, 1, 3, 3, 1, 1]
