"""A home whose truth is in a real S3 server: the same results as in a folder, also where that is killed meanwhile."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import polars as pl
import pytest

from recsys_assets.benchmarks.scale_servers import BUCKET, ObjectServer
from recsys_assets.storage.home import Home
from recsys_assets.storage.s3_objects import S3Objects
from recsys_assets_tests.conftest import environment
from recsys_assets_tests.crashes.crash_scenarios import LAST, SETTINGS, add, days_until, lines, source_of
from recsys_assets_tests.crashes.killed_runs import content, differences, faults
from recsys_assets_tests.object_servers import running_seaweed

pytestmark = [pytest.mark.scale, pytest.mark.timeout(600)]

OUTAGE_SECONDS = 12.0
"""Longer than the client itself tries again."""


class Shop:
    """Machines that build one source; each has an empty home at first."""

    def __init__(self, place: Path, source: Path, server: ObjectServer | None) -> None:
        self.place, self.source, self.server, self.url = place, source, server, f"s3://{BUCKET}/shop"

    def variables(self, home: Home) -> dict[str, str]:
        found = environment(home.root)
        if self.server is not None:
            found |= {
                **self.server.environ,
                "RECSYS_STORAGE__ROOT": self.url,
                "RECSYS_STORAGE__LEASE_SECONDS": "3",
            }
        return found

    def start(self, home: Home, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "recsys_assets", *arguments],
            env=self.variables(home), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def must(self, home: Home, *arguments: str) -> str:
        with self.start(home, *arguments) as process:
            output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output
        return output

    def init(self, name: str) -> Home:
        home = Home(self.place / name)
        self.must(home, "init", "--source", f"tabular:{self.source}")
        with home.settings_file.open("a") as settings:
            settings.write(SETTINGS)
        return home


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """Eight days of events."""
    place = tmp_path_factory.mktemp("source")
    source_of(place).write_text("user_id,item_id,timestamp\n")
    add(place, lines(days_until(LAST)))
    return source_of(place)


@pytest.fixture(scope="module")
def alone(source, tmp_path_factory) -> dict[str, object]:
    """The content of a home that was built in a folder alone."""
    shop = Shop(tmp_path_factory.mktemp("alone"), source, None)
    home = shop.init("home")
    shop.must(home, "build")
    return content(home)


@pytest.fixture
def server(tmp_path) -> Iterator[ObjectServer]:
    with running_seaweed(tmp_path / "server") as running:
        yield running


@pytest.fixture
def shop(source, server, tmp_path, monkeypatch) -> Shop:
    for name, value in server.environ.items():
        monkeypatch.setenv(name, value)
    return Shop(tmp_path, source, server)


def test_a_build_on_s3_is_that_of_a_folder_and_a_second_machine_has_nothing_to_do(alone, shop):
    first, second = shop.init("first"), Home(shop.place / "second")
    shop.must(first, "build")
    assert differences(alone, content(first)) == []
    assert "Nothing to do" in shop.must(second, "build")
    assert not list(second.root.glob("lake/*/date=*"))
    assert "release" in shop.must(second, "recommend", "u1")
    assert faults(second) == []


def test_a_build_waits_for_a_killed_server_and_ends_as_if_undisturbed(alone, shop, server):
    home = shop.init("home")
    with shop.start(home, "build") as process:
        seen = _read_until(process, lambda line: line.startswith("interactions: built"))
        server.kill()
        seen += _read_until(process, lambda line: "waiting" in line)
        time.sleep(OUTAGE_SECONDS)
        server.restart()
        rest, _ = process.communicate(timeout=300)
    assert process.returncode == 0, "".join(seen) + rest
    assert f"{shop.url}: no answer for" in "".join(seen)
    assert differences(alone, content(home)) == []


@pytest.mark.slow
def test_no_object_has_a_forgotten_user(shop, server):
    home = shop.init("home")
    shop.must(home, "build")
    said = shop.must(Home(shop.place / "other"), "forget", "u7", "--why", "a letter", "--yes")
    assert "keeps versions of objects" in said
    objects = S3Objects(shop.url, endpoint=server.endpoint, region="us-east-1", environ=server.environ)
    keys = [entry.key for entry in objects.list()]
    assert any(key.startswith("lake/raw/date=") for key in keys)
    for key in keys:
        found = objects.get(key).content
        if key.endswith(".parquet") and key.startswith("lake/"):
            frame = pl.read_parquet(found)
            assert "user_id" not in frame.columns or "u7" not in frame["user_id"].to_list(), key
        else:
            assert b'"u7"' not in found, key


def _read_until(process: subprocess.Popen[str], ends: Callable[[str], bool]) -> Sequence[str]:
    seen = []
    assert process.stdout is not None
    for line in process.stdout:
        seen.append(line)
        if ends(line):
            return seen
    raise AssertionError("".join(seen))
