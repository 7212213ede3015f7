"""A database that a killed process was writing is whole: SQLite takes back what was unfinished."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import date

import pytest

from recsys_assets.orchestration.repair.damaged_databases import damaged_databases
from recsys_assets.settings import Settings
from recsys_assets.source_settings import SourceSettings
from recsys_assets.storage.home import Home

DAY = date(2024, 5, 1)
WRITER = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("PRAGMA cache_size = 1")
connection.execute("CREATE TABLE events (event TEXT)")
connection.execute("INSERT INTO events VALUES ('before')")
connection.commit()
connection.executemany("INSERT INTO events VALUES (?)", [("x" * 1000,)] * 500)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def home(tmp_path):
    """A home whose events were being written when the process was killed."""
    home = Home(tmp_path)
    killed = subprocess.run([sys.executable, "-c", WRITER, str(home.events_db)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert home.events_db.with_name(f"{home.events_db.name}-journal").stat().st_size > 0
    return home


def found(home):
    settings = Settings(source=SourceSettings(spec="tabular:x.csv", first_day=DAY, last_day=DAY))
    return [(path, fault) for path, fault, _ in damaged_databases(home, settings)]


def test_what_a_killed_process_left_unfinished_is_no_damage(home):
    before = {path.name: path.read_bytes() for path in home.root.iterdir()}
    assert found(home) == []
    assert {path.name: path.read_bytes() for path in home.root.iterdir()} == before
    with closing(sqlite3.connect(home.events_db)) as connection:
        assert connection.execute("SELECT event FROM events").fetchall() == [("before",)]


def test_a_database_that_is_damaged_beside_its_journal_is_found(home):
    with home.events_db.open("r+b") as file:
        file.write(bytes(4096))
    journal = home.events_db.with_name(f"{home.events_db.name}-journal")
    os.truncate(journal, 28)
    assert [path for path, _ in found(home)] == [home.events_db]
