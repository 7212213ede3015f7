"""A home with ledger and Dagster on a Postgres server: built as one without, through kills of the server."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest

from recsys_assets.benchmarks.scale_servers import PostgresServer
from recsys_assets.errors import DatabaseUnavailableError
from recsys_assets.lake.initialise import initialise
from recsys_assets.orchestration.build import build
from recsys_assets.orchestration.fingerprints import Inputs
from recsys_assets.orchestration.instance import open_instance
from recsys_assets.quality.open_ledger import open_ledger
from recsys_assets.quality.pending_writes import TABLES
from recsys_assets.release.current import read_current
from recsys_assets.settings import load_settings
from recsys_assets.storage.home import Home
from recsys_assets_tests.database_servers import postgres_server
from recsys_assets_tests.orchestration.homes import SilentWatcher, recorded_days, small_home

FIRST = date(2024, 1, 1)
pytestmark = [pytest.mark.scale, pytest.mark.timeout(900)]


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with postgres_server() as found:
        yield found


def homes_of_one_shop(folder: Path, url: str, *, days: int) -> tuple[Home, Home]:
    """A home without a server, and one with it, of the same source."""
    plain, _ = small_home(folder / "plain", first=FIRST, days=days)
    served = Home(folder / "served" / "home")
    initialise(served, f"tabular:{folder / 'plain' / 'events.csv'}")
    for home in (plain, served):
        with home.settings_file.open("a") as settings:
            settings.write("\n[report]\ndays = 0\n")
    with served.settings_file.open("a") as settings:
        settings.write(f'\n[dagster]\npostgres = "{url}"\n\n[ledger]\npostgres = "{url}"\n')
    return plain, served


def content(home: Home, folder: Path) -> dict[str, object]:
    """Release, days and ledger of a build, without the times."""
    with open_ledger(home) as ledger:
        ledger.copy_to(folder / f"{home.root.parent.name}.sqlite")
    with closing(sqlite3.connect(folder / f"{home.root.parent.name}.sqlite")) as copy:
        tables = {}
        for table, names in TABLES.items():
            shown = ", ".join(name for name in names if name != "checked_at")
            tables[table] = copy.execute(f"SELECT {shown} FROM {table} ORDER BY 1, 2").fetchall()
    inputs = Inputs(home, load_settings(home))
    checksums = [
        {day: file.checksum for day, file in store.files().items()}
        for store in (inputs.raw_store, inputs.interaction_store)
    ]
    return {"release": read_current(home.releases), "days": checksums, **tables}


@pytest.mark.slow
def test_sixty_days_are_the_same_on_a_server_as_in_files(tmp_path, server):
    plain, served = homes_of_one_shop(tmp_path, server.url, days=60)
    for home in (plain, served):
        assert not build(home, load_settings(home), SilentWatcher()).failed
    assert content(served, tmp_path) == content(plain, tmp_path)
    assert not served.quality_db.exists()
    assert not (served.dagster / "history").exists()
    with open_instance(served) as instance:
        assert len(recorded_days(instance)["days"]) == 60


class Killing(SilentWatcher):
    """Kills the server when a stage begins, and starts it again after some seconds; never for None."""

    def __init__(self, server: PostgresServer, stages: set[str], *, seconds: float | None) -> None:
        self.server, self.stages, self.seconds = server, stages, seconds
        self.killed: list[str] = []

    def report(self, stage: str, *_: object) -> None:
        if stage in self.stages and stage not in self.killed:
            self.killed.append(stage)
            self.server.kill()
            if self.seconds is not None:
                threading.Timer(self.seconds, self.server.start).start()


def test_a_build_goes_on_through_kills_of_the_server(tmp_path, server, caplog):
    plain, home = homes_of_one_shop(tmp_path, server.url, days=20)
    watcher = Killing(server, {"raw_interactions", "interactions"}, seconds=3)
    outcome = build(home, load_settings(home), watcher)
    assert (outcome.failed, watcher.killed) == (False, ["raw_interactions", "interactions"])
    waits = [record.getMessage() for record in caplog.records if record.name == "recsys.waiting"]
    assert any("no answer for" in line and line.endswith("; waiting") for line in waits)
    assert any(": back after " in line for line in waits)
    with open_instance(home) as instance:
        assert len(recorded_days(instance)["days"]) == 20
    assert not build(home, load_settings(home), SilentWatcher()).built
    assert not build(plain, load_settings(plain), SilentWatcher()).failed
    assert content(home, tmp_path) == content(plain, tmp_path)


@pytest.mark.slow
def test_a_build_whose_server_stays_away_ends_and_the_next_one_goes_on(tmp_path, server):
    plain, home = homes_of_one_shop(tmp_path, server.url, days=20)
    with pytest.raises(DatabaseUnavailableError, match=r"no answer for 60 s .*; start the server"):
        build(home, load_settings(home), Killing(server, {"raw_interactions"}, seconds=None))
    server.start()
    assert not build(home, load_settings(home), SilentWatcher()).failed
    assert not build(plain, load_settings(plain), SilentWatcher()).failed
    assert content(home, tmp_path) == content(plain, tmp_path)
