"""The intake: each row is stored once, all of a batch or none, and its sender learns which."""

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from recsys_assets.errors import EventConflictError, EventsUnavailableError, IntakeFullError
from recsys_assets.event_settings import EventsSettings
from recsys_assets.intake.event_logs import LocalEvents
from recsys_assets.intake.event_store import Intake
from recsys_assets.intake.group import IntakeRow, Receipt
from recsys_assets.intake.merged_users import stored_merges
from recsys_assets.intake.rows import EventRow, ImpressionRow, MergeRow
from recsys_assets.intake.stored_events import prune, read_events, read_impressions

NOW = datetime(2024, 4, 2, tzinfo=UTC)
AT = 1_712_016_000_000_000
"""`NOW`, us since 1970."""


def row(
    event_id: str, user_id: str = "a", item_id: str = "x", *, kind: str = "view", at: int = AT
) -> EventRow:
    return EventRow(event_id, user_id, item_id, kind, at, AT + 1)


def opened(path: Path, **settings: float) -> Intake:
    return Intake(path, EventsSettings(group_ms=1.0, **settings), now=lambda: NOW)  # type: ignore[arg-type]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.sqlite"


@pytest.fixture
def intake(path: Path) -> Iterator[Intake]:
    intake = opened(path)
    yield intake
    intake.close()


def stored(intake: Intake, rows: Sequence[IntakeRow]) -> Receipt:
    return intake.submit(rows).result(10)


def ids(path: Path) -> list[str]:
    return [event.event_id for _, event in read_events(path)]


def test_what_was_accepted_is_there(intake: Intake, path: Path) -> None:
    whole = EventRow("e2", "a", "y", "purchase", AT, AT + 1, 4.5, 2.0, 9.99, "answer")
    assert stored(intake, [row("e1"), whole]) == Receipt(2, 0)
    assert [event for _, event in read_events(path)] == [row("e1"), whole]


def test_the_same_event_again_is_a_duplicate(intake: Intake, path: Path) -> None:
    stored(intake, [row("e1")])
    later = row("e1")._replace(received_at=AT + 999)
    assert stored(intake, [later, row("e2"), row("e2")]) == Receipt(1, 2)
    assert ids(path) == ["e1", "e2"]


def test_an_event_stamped_at_its_arrival_is_the_same_one_when_it_arrives_again(intake: Intake) -> None:
    stored(intake, [row("e1")._replace(timestamp=AT, received_at=AT)])
    assert stored(intake, [row("e1")._replace(timestamp=AT + 5, received_at=AT + 5)]) == Receipt(0, 1)


def test_another_content_under_the_same_id_rejects_the_batch_and_names_it(intake: Intake, path: Path) -> None:
    stored(intake, [row("e1")])
    with pytest.raises(EventConflictError, match="'e1'") as caught:
        stored(intake, [row("e2"), row("e1", item_id="y")])
    assert list(caught.value.event_ids) == ["e1"]
    assert ids(path) == ["e1"]
    assert intake.counts().conflicts == 1


def test_two_contents_under_one_id_in_one_batch_are_rejected(intake: Intake, path: Path) -> None:
    with pytest.raises(EventConflictError):
        stored(intake, [row("e1"), row("e1", item_id="y")])
    assert ids(path) == []


def test_a_conflict_of_one_sender_leaves_the_batches_of_others(path: Path) -> None:
    intake = opened(path, queue_rows=100)
    futures = [intake.submit([row("e1", item_id=f"i{n % 2}"), row(f"n{n}")]) for n in range(4)]
    outcomes = [one.exception(10) is None for one in futures]
    intake.close()
    assert outcomes == [True, False, True, False]
    assert ids(path) == ["e1", "n0", "n2"]


def test_more_rows_than_may_wait_are_rejected_and_none_is_lost(path: Path) -> None:
    intake = Intake(path, EventsSettings(group_ms=1_000, queue_rows=3), now=lambda: NOW)
    accepted = intake.submit([row("e1"), row("e2")])
    with pytest.raises(IntakeFullError, match="queue_rows"):
        intake.submit([row("e3"), row("e4")])
    intake.close()
    assert accepted.result(0) == Receipt(2, 0)
    assert ids(path) == ["e1", "e2"]


def test_a_batch_beyond_the_queue_is_stored_where_nothing_waits(path: Path) -> None:
    intake = opened(path, queue_rows=1)
    assert stored(intake, [row(f"e{n}") for n in range(50)]) == Receipt(50, 0)
    intake.close()


def test_closing_stores_what_waits_and_rejects_what_comes_after(path: Path) -> None:
    intake = Intake(path, EventsSettings(group_ms=1_000), now=lambda: NOW)
    future = intake.submit([row("e1")])
    intake.close()
    assert future.result(0) == Receipt(1, 0)
    with pytest.raises(EventsUnavailableError, match="the server ends"):
        intake.submit([row("e2")])
    intake.open()
    assert stored(intake, [row("e2")]) == Receipt(1, 0)
    intake.close()


def test_a_file_that_is_no_database_is_an_error_that_names_it(path: Path, intake: Intake) -> None:
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(EventsUnavailableError, match=r"events\.sqlite"):
        stored(intake, [row("e1")])
    path.unlink()
    assert stored(intake, [row("e1")]) == Receipt(1, 0)


def test_one_batch_that_cannot_be_stored_leaves_the_others_of_its_group(path: Path) -> None:
    intake = Intake(path, EventsSettings(group_ms=200), now=lambda: NOW)
    futures = [
        intake.submit([row("e1")]),
        intake.submit([row("e2", item_id="\udc80")]),
        intake.submit([row("e3")]),
    ]
    assert [one.exception(10) is None for one in futures] == [True, False, True]
    intake.close()
    assert ids(path) == ["e1", "e3"]


def test_a_full_disk_is_an_error_and_the_intake_goes_on_once_there_is_room(
    path: Path, intake: Intake
) -> None:
    stored(intake, [row("e1")])
    assert isinstance(intake._log, LocalEvents)
    connection = intake._log._connection
    assert connection is not None
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")  # SQLite answers as for a full disk
    with pytest.raises(EventsUnavailableError, match="full"):
        stored(intake, [row(f"f{n}", item_id="x" * 900) for n in range(500)])
    assert ids(path) == ["e1"]
    assert stored(intake, [row("e2")]) == Receipt(1, 0)


def test_an_impression_that_client_and_server_report_is_one(intake: Intake, path: Path) -> None:
    shown = ImpressionRow("answer", "x", 1, "a", AT, AT)
    assert stored(intake, [shown, shown._replace(received_at=AT + 5)]) == Receipt(1, 1)
    assert [found for _, found in read_impressions(path)] == [shown]


def test_merges_are_stored_once(intake: Intake, path: Path) -> None:
    assert stored(intake, [MergeRow("anonymous", "a", AT), MergeRow("anonymous", "a", AT + 1)]) == Receipt(
        1, 1
    )
    assert list(stored_merges(path)) == [MergeRow("anonymous", "a", AT)]


def test_events_are_read_by_number_and_by_time(intake: Intake, path: Path) -> None:
    stored(intake, [row("e1", at=AT - 10), row("e2", at=AT), row("e3", at=AT + 10)])
    seqs = [seq for seq, _ in read_events(path)]
    assert seqs == [AT + 1, AT + 2, AT + 3]
    assert [event.event_id for _, event in read_events(path, after_seq=seqs[0])] == ["e2", "e3"]
    assert [event.event_id for _, event in read_events(path, since=AT, before=AT + 10)] == ["e2"]


def test_landed_events_are_removed_but_for_those_that_hide(intake: Intake, path: Path) -> None:
    stored(intake, [row("e1"), row("e2", kind="hide"), row("e3")])
    second = [seq for seq, _ in read_events(path)][1]
    assert prune(path, "events", landed_through=second, received_before=AT) == 0
    assert prune(path, "events", landed_through=second, received_before=AT + 2) == 1
    assert ids(path) == ["e2", "e3"]


def test_nothing_is_read_and_no_file_made_where_there_is_none(path: Path) -> None:
    assert [*read_events(path), *read_impressions(path), *stored_merges(path)] == []
    assert prune(path, "events", landed_through=9, received_before=AT) == 0
    assert not path.exists()


def test_events_of_an_earlier_version_are_carried_over(path: Path) -> None:
    earlier = (
        "CREATE TABLE events (id INTEGER PRIMARY KEY, user_id TEXT NOT NULL, item_id TEXT NOT NULL,"
        " timestamp TEXT NOT NULL, received_at TEXT NOT NULL)"
    )
    at = "2024-04-02T00:00:00.000000+00:00"
    with sqlite3.connect(path) as connection:
        connection.execute(earlier)
        connection.executemany("INSERT INTO events VALUES (?, 'a', 'x', ?, ?)", [(1, at, at), (7, at, at)])
    connection.close()
    expected = [EventRow(f"earlier-{n}", "a", "x", "view", AT, AT) for n in (1, 7)]
    assert [event for _, event in read_events(path)] == expected
    intake = opened(path)
    assert stored(intake, [row("e1")]) == Receipt(1, 0)
    intake.close()
    assert len(ids(path)) == 3
