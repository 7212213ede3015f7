"""A power cut at any place keeps what was reported as done, and the next run mends the rest."""

import shutil
from pathlib import Path

import pytest

from recsys_assets.benchmarks.file_faults import SCENARIOS, compiled, shim_variables
from recsys_assets.benchmarks.harness import run_apart
from recsys_assets_tests.benchmarks.lost_writes import Cut, LostDisk, Record

pytestmark = [
    pytest.mark.skipif(shutil.which("gcc") is None, reason="the shim is compiled"),
    pytest.mark.timeout(900),
]
FAST = ["days", "promote", "events", "keys", "answers", "notices", "gate"]
MODULE = "recsys_assets_tests.benchmarks.power_cuts"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("shim"))


def cut(names: list[str], places: int, library: Path, folder: Path) -> dict[str, dict]:
    return run_apart(MODULE, str(folder), str(places), *names, env=shim_variables(library))


@pytest.fixture(scope="module")
def cuts(library: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    return cut(FAST, 6, library, tmp_path_factory.mktemp("cuts"))


@pytest.mark.parametrize("name", FAST)
def test_a_power_cut_loses_nothing_that_was_reported(name, cuts):
    assert cuts[name]["wrong"] == {}
    assert cuts[name]["cuts"] > len(Cut)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_power_cut_at_many_places_loses_nothing_that_was_reported(name, library, tmp_path):
    places = 8 if name == "land" else 40  # each runs Dagster
    assert cut([name], places, library, tmp_path)[name]["wrong"] == {}


def write(inode: int, path: Path, data: bytes) -> Record:
    return Record("write", inode, 0, str(path), "", data)


@pytest.mark.parametrize(
    ("way", "replaced", "new"),
    [
        (Cut.DROPPED, b"old", None),
        (Cut.NAMED, b"", b""),
        (Cut.ZEROS, bytes(3000), bytes(3)),
        (Cut.HALF, (b"new" * 1000)[:1024].ljust(3000, b"\0"), bytes(3)),
    ],
)
def test_only_what_was_synced_is_there_after_a_cut(tmp_path, way, replaced, new):
    place = tmp_path.resolve()
    for name in ("replaced", "synced"):
        (place / name).write_bytes(b"old")
    disk = LostDisk(place)
    disk.apply(
        Record("create", 11, 0, str(place / ".synced"), "", b""),
        write(11, place / ".synced", b"new"),
        Record("sync", 11, 0, str(place / ".synced"), "", b""),
        Record("rename", 0, 0, str(place / ".synced"), str(place / "synced"), b""),
        Record("syncdir", 0, 0, str(place), "", b""),
        Record("create", 12, 0, str(place / ".replaced"), "", b""),
        write(12, place / ".replaced", b"new" * 1000),
        Record("rename", 0, 0, str(place / ".replaced"), str(place / "replaced"), b""),
        Record("create", 13, 0, str(place / "new"), "", b""),
        write(13, place / "new", b"new"),
    )
    disk.leave(way)
    assert (place / "synced").read_bytes() == b"new"
    assert (place / "replaced").read_bytes() == replaced
    assert ((place / "new").read_bytes() if (place / "new").exists() else None) == new
