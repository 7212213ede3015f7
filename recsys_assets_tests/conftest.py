"""Fixtures of tests of the whole product: running `recsys` as a user does, and one small home built once."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import settings

from recsys_assets.benchmarks.scale_servers import ObjectServer
from recsys_assets.storage.locks import locked
from recsys_assets.training_settings import limit_spinning
from recsys_assets_tests.event_servers import EventServer, event_server
from recsys_assets_tests.object_servers import running_seaweed
from recsys_assets_tests.storage.machines import Machines

settings.register_profile("busy", deadline=None)  # a machine that does other things too is no fault
settings.load_profile("busy")
limit_spinning()  # several processes of tests share few cores
os.environ.pop(
    "PYTHONDONTWRITEBYTECODE", None
)  # hundreds of processes that tests start would compile the package

Recsys = Callable[..., subprocess.CompletedProcess[str]]

BUILT_DAYS = 10
MEMORY = Path("/dev/shm")
LONG = {"benchmarks", "crashes", "orchestration", "scale"}
"""Folders whose tests build homes: a file of theirs takes up to a minute, others a few seconds."""
FOLDERS_GB, SPARE_GB = 4, 4
"""Space that the tests' folders may take, and memory that must be left beside them."""


def pytest_configure(config: pytest.Config) -> None:
    """Put the tests' folders into memory, where that is large: then an fsync costs nothing, and they have thousands."""
    if config.option.basetemp is None and MEMORY.is_dir():
        space, memory = shutil.disk_usage(MEMORY).free, psutil.virtual_memory().available
        if min(space, memory - SPARE_GB * 2**30) > FOLDERS_GB * 2**30:
            os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
    if hasattr(config.option, "loadscopereorder"):
        # xdist would begin with the files of most tests, which take least
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that waits for the built home may be the one that builds it, on a busy machine.

    Of several processes none waits at the end for one that has just begun a long file: those come first.
    """
    for item in items:
        if "built_home" in getattr(item, "fixturenames", ()) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(1200))
    if "PYTEST_XDIST_WORKER" in os.environ:
        tests = Counter(item.path for item in items)
        items.sort(key=lambda item: (LONG.isdisjoint(item.path.parts), -tests[item.path], item.path))


@pytest.fixture(scope="session")
def recsys() -> Recsys:
    """Run `recsys ARGUMENTS` in a new process; `home=` goes in as RECSYS_HOME."""

    def run(*arguments: str | Path, home: Path, timeout: float = 900) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "recsys_assets", *map(str, arguments)],
            env=environment(home), capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip

    return run


def environment(home: Path) -> dict[str, str]:
    """Variables for a process that works in `home`."""
    return {**os.environ, "RECSYS_HOME": str(home), "DAGSTER_HOME": str(home / "dagster"), "NO_COLOR": "1"}


@pytest.fixture(scope="session")
def built_home(recsys, tmp_path_factory) -> Path:
    """The default's first days, built whole by the first of the test processes that needs them, with one model.

    Tests that change it take a copy, and may write more lines of `[training]` at the end of its settings.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # the workers' folders lie side by side
    home = folder / "built" / "home"
    with locked(folder / "built.lock"):
        if not (folder / "built" / "complete").exists():
            home.mkdir(parents=True)
            init = recsys("init", "--days", str(BUILT_DAYS), home=home)
            assert init.returncode == 0, init.stderr
            with (home / "recsys.toml").open("a") as settings:
                settings.write('\n[report]\ndays = 1\n\n[training]\nmodel = "ials"\n')
            build = recsys("build", home=home)
            assert build.returncode == 0, build.stdout + build.stderr
            (folder / "built" / "complete").touch()
    return home


@pytest.fixture
def machines(tmp_path) -> Machines:
    """Machines that share an object store of their own."""
    return Machines(tmp_path)


@pytest.fixture(scope="session")
def object_server(tmp_path_factory) -> Iterator[ObjectServer]:
    """A real S3 server for tests that leave it running; each takes a prefix of its own."""
    with running_seaweed(tmp_path_factory.mktemp("objects")) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_events() -> Iterator[EventServer]:
    """A Postgres server of events; a test that kills it starts it again."""
    with event_server("postgres") as server:
        yield server


@pytest.fixture(scope="session")
def nats_events() -> Iterator[EventServer]:
    """A NATS server of events, as above."""
    with event_server("nats") as server:
        yield server
