"""Merges as they are stored, followed and resolved."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.errors import EventsUnavailableError, MergeConflictError
from recsys_assets.intake.merged_users import (
    MergedUsers,
    check_merge,
    last_users,
    stored_merges,
    with_merged,
)
from recsys_assets.intake.rows import MergeRow

USERS = st.sampled_from("abcdef")


def row(before: str, after: str) -> MergeRow:
    return MergeRow(before, after, 1)


@pytest.fixture
def merged(tmp_path: Path) -> MergedUsers:
    return MergedUsers(tmp_path / "events.sqlite")


def test_a_merge_is_there_for_those_who_open_the_file_later(merged, tmp_path):
    assert merged.add(row("a", "b"))
    assert merged.add(row("b", "c"))
    other = MergedUsers(tmp_path / "events.sqlite")
    other.refresh()
    assert [other.of(user) for user in "abcd"] == ["c", "c", "c", "d"]
    assert set(other.merged_into("c")) == {"a", "b"}
    assert stored_merges(tmp_path / "events.sqlite") == (row("a", "b"), row("b", "c"))


def test_reading_makes_no_file(merged, tmp_path):
    merged.refresh()
    assert not (tmp_path / "events.sqlite").exists()
    assert stored_merges(tmp_path / "events.sqlite") == ()


def test_a_merge_that_was_taken_out_is_let_go(merged, tmp_path):
    merged.add(row("a", "b"))
    with closing(sqlite3.connect(tmp_path / "events.sqlite")) as events, events:
        events.execute("DELETE FROM merges")
    merged.refresh()
    assert merged.of("a") == "a"


def test_of_merges_at_the_same_time_that_make_a_circle_one_is_rejected(tmp_path):
    path = tmp_path / "events.sqlite"
    pairs = [("a", "b"), ("b", "c"), ("c", "a")]

    def add(pair: tuple[str, str]) -> bool:
        try:
            return MergedUsers(path).add(row(*pair))
        except MergeConflictError:
            return False

    with ThreadPoolExecutor(3) as pool:
        assert sorted(pool.map(add, pairs)) == [False, True, True]


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "events.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(EventsUnavailableError, match=r"events\.sqlite"):
        MergedUsers(tmp_path / "events.sqlite").add(row("a", "b"))


@given(pairs=st.lists(st.tuples(USERS, USERS), max_size=12))
def test_accepted_merges_never_make_a_circle_and_the_same_users_are_forgotten_together(pairs):
    rows = []
    for before, after in pairs:
        try:
            if before != after and check_merge(row(before, after), rows):
                rows.append(row(before, after))
        except MergeConflictError:
            continue
    last = last_users(rows)
    assert set(last) == {one.from_user for one in rows}
    assert not set(last) & set(last.values())
    for user in "abcdef":
        group = with_merged(rows, [user])
        now = last.get(user, user)
        assert group == {user, now} | {one for one, to in last.items() if to == now}
