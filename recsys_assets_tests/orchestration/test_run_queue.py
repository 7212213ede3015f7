"""Runs of one home never overlap: they wait in the queue of Dagster's daemon, on a real Postgres server."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from recsys_assets.orchestration.build import build
from recsys_assets.orchestration.instance import child_environment, open_instance
from recsys_assets.orchestration.run_queue import HOME_TAG, LIMITS, HomeQueue
from recsys_assets.settings import load_settings
from recsys_assets.storage.home import Home
from recsys_assets_tests.database_servers import free_port, running_postgres
from recsys_assets_tests.orchestration.homes import SilentWatcher, small_home

FIRST = date(2024, 1, 1)
_SECONDS = 240


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with running_postgres() as url:
        yield url


def home_on(folder: Path, url: str) -> Home:
    home, _ = small_home(folder, first=FIRST)
    with home.settings_file.open("a") as settings:
        settings.write(f'\n[report]\ndays = 0\n\n[dagster]\npostgres = "{url}"\n')
    return home


def test_a_home_on_a_server_has_a_queue_with_one_run_at_a_time(tmp_path, postgres):
    home = home_on(tmp_path / "shop", postgres)
    with open_instance(home) as instance:
        assert isinstance(instance.run_coordinator, HomeQueue)
        assert instance.run_coordinator.get_run_queue_config().tag_concurrency_limits == LIMITS


def test_a_queue_of_the_users_own_stays(tmp_path, postgres):
    home = home_on(tmp_path / "shop", postgres)
    home.dagster.mkdir()
    own = "run_coordinator:\n  module: dagster.core.run_coordinator\n  class: DefaultRunCoordinator\n"
    home.dagster_yaml.write_text(own)
    with open_instance(home) as instance:
        assert not isinstance(instance.run_coordinator, HomeQueue)
    assert home.dagster_yaml.read_text().startswith(own)


@contextmanager
def process(command: list[str], environment: dict[str, str], log: Path) -> Iterator[None]:
    with log.open("wb") as file:
        started = subprocess.Popen(command, env=environment, stdout=file, stderr=subprocess.STDOUT)
        try:
            yield
        finally:
            started.terminate()
            started.wait(timeout=60)


def wait_until(true: Callable[[], bool], *, what: str) -> None:
    end = time.monotonic() + _SECONDS
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.5)


def dagster(*words: str) -> list[str]:
    return [sys.executable, "-m", "dagster", *words]


@pytest.mark.scale
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_runs_of_one_home_do_not_overlap(tmp_path, postgres):
    home = home_on(tmp_path / "shop", postgres)
    assert not build(home, load_settings(home), SilentWatcher()).failed
    port, environment = str(free_port()), child_environment(home)
    workspace = tmp_path / "workspace.yaml"
    workspace.write_text(
        f"load_from:\n  - grpc_server:\n      host: 127.0.0.1\n      port: {port}\n      location_name: shop\n"
    )
    code = dagster("api", "grpc", "-m", "recsys_assets.definitions", "--host", "127.0.0.1", "--port", port)
    daemon = [str(Path(sys.executable).with_name("dagster-daemon")), "run", "-w", str(workspace)]
    check = dagster("api", "grpc-health-check", "--port", port)
    queue = dg.RunsFilter(tags={HOME_TAG: "shop"})
    with ExitStack() as running, open_instance(home) as instance:
        running.enter_context(process(code, environment, tmp_path / "code.log"))
        wait_until(
            lambda: not subprocess.run(check, env=environment, check=False, capture_output=True).returncode,
            what="the code location does not answer",
        )
        for day in ("2024-01-02", "2024-01-03"):
            tags = json.dumps({"dagster/partition": day})
            launch = dagster("job", "launch", "-w", str(workspace), "-j", "daily_increment", "--tags", tags)
            subprocess.run(launch, env=environment, check=True, capture_output=True, timeout=_SECONDS)
        queued = instance.get_runs(queue)
        assert [run.status for run in queued] == [dg.DagsterRunStatus.QUEUED] * 2
        running.enter_context(process(daemon, environment, tmp_path / "daemon.log"))

        def ended() -> bool:
            return all(run.is_finished for run in instance.get_runs(queue))

        wait_until(ended, what="the daemon ends no run")
        records = instance.get_run_records(queue)
    assert [record.dagster_run.status for record in records] == [dg.DagsterRunStatus.SUCCESS] * 2
    first, second = sorted(records, key=lambda record: record.start_time or 0)
    assert (first.end_time or 0) <= (second.start_time or 0)
