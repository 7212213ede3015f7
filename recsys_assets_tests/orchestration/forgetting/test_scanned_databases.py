"""Databases of other shapes than the product's own, read for users' ids."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from recsys_assets.orchestration.forgetting.scanned_databases import places_in_database
from recsys_assets.orchestration.forgetting.taken_out_databases import take_out_of_database
from recsys_assets.orchestration.forgetting.wanted_ids import WantedIds

TABLE, COLUMN = "of a.shop", "user.id"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """One table whose own name and columns have dots, as the features of a log with several kinds of events."""
    path = tmp_path / "some.sqlite"
    counts = ", ".join(f'"events_{place}d.purchase" INTEGER' for place in range(200))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f'CREATE TABLE "{TABLE}" ("{COLUMN}" TEXT, "note.text" TEXT, {counts})')
        connection.execute(
            f'INSERT INTO "{TABLE}" ("{COLUMN}", "note.text") VALUES (?, ?)',
            ("anna1@shop.org", "of user anna1@shop.org"),
        )
    return path


def test_names_with_dots_are_read_and_rewritten(database):
    wanted = WantedIds(["anna1@shop.org"])
    assert dict(places_in_database(database, wanted)) == {
        f"table {TABLE}, column {COLUMN}": 1,
        f"table {TABLE}, column note.text": 1,
    }
    take_out_of_database(database, wanted)
    assert list(places_in_database(database, wanted)) == []


def test_a_thousand_users_are_looked_for_at_once(database):
    wanted = WantedIds(["anna1@shop.org", *(f"visitor-{place}" for place in range(1_000))])
    assert [where for where, _ in places_in_database(database, wanted)] == [
        f"table {TABLE}, column {COLUMN}",
        f"table {TABLE}, column note.text",
    ]
