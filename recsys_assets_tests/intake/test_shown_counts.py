"""Showings of items to a user, read from `events.sqlite`."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from recsys_assets.errors import EventsUnavailableError
from recsys_assets.intake.rows import ImpressionRow
from recsys_assets.intake.shown_counts import MOST_ROWS, Shown, ShownCounts
from recsys_assets_tests.intake.stored_rows import store


def row(answer: int, item: str, at: int, user: str | None = "u1") -> ImpressionRow:
    """One impression at the first place."""
    return ImpressionRow(f"a{answer}", item, 1, user, at, at)


def test_an_item_is_counted_once_an_answer_from_the_time_on(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    store(path, [row(1, "x", 5), row(2, "x", 10), row(3, "x", 20), row(3, "y", 20), row(4, "x", 30, "u2")])
    counts = ShownCounts(path)
    assert counts.of(["u1"], since=10) == {"x": Shown(2, 10), "y": Shown(1, 20)}
    counts.close()


def test_showings_to_merged_users_are_added_up(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    store(path, [row(1, "x", 5), row(2, "x", 3, "u2"), row(3, "y", 4, "u2")])
    counts = ShownCounts(path)
    assert counts.of(["u1", "u2"], since=0) == {"x": Shown(2, 3), "y": Shown(1, 4)}
    counts.close()


def test_new_impressions_of_another_process_count_at_once(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    store(path, [row(1, "x", 5)])
    counts = ShownCounts(path)
    assert counts.of(["u1"], since=0) == {"x": Shown(1, 5)}
    store(path, [row(2, "x", 6)])
    assert counts.of(["u1"], since=0) == {"x": Shown(2, 5)}
    counts.close()


def test_without_a_file_or_a_table_nothing_was_shown(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    counts = ShownCounts(path)
    assert counts.of(["u1"], since=0) == {}
    assert not path.exists()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE events (id INTEGER PRIMARY KEY)")
    assert counts.of(["u1"], since=0) == {}
    counts.close()


def test_no_more_than_the_newest_rows_of_a_user_are_read(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    store(path, [row(at, "old" if at < 3 else "new", at) for at in range(MOST_ROWS + 3)])
    counts = ShownCounts(path)
    assert counts.of(["u1"], since=0) == {"new": Shown(MOST_ROWS, 3)}
    counts.close()


def test_a_damaged_file_is_an_error_that_names_it_and_a_new_one_is_read(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    path.write_bytes(b"no database " * 100)
    counts = ShownCounts(path)
    with pytest.raises(EventsUnavailableError, match=r"events\.sqlite: impressions cannot be read"):
        counts.of(["u1"], since=0)
    path.unlink()
    store(path, [row(1, "x", 5)])
    assert counts.of(["u1"], since=0) == {"x": Shown(1, 5)}
    counts.close()
