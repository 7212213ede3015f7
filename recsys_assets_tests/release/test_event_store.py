"""Events after the release: durable, shared between processes, and rejected with a reason."""

from pathlib import Path

import pytest

from recsys_assets.errors import EventsUnavailableError
from recsys_assets.release.event_store import EventRow, EventStore

AT = "2024-04-02T00:00:00.000000+00:00"


def row(user_id: str, item_id: str) -> EventRow:
    return EventRow(user_id, item_id, AT, AT)


def test_events_are_there_after_a_restart(tmp_path: Path) -> None:
    EventStore(tmp_path / "events.sqlite").add([row("a", "x"), row("a", "y"), row("a", "x")])
    again = EventStore(tmp_path / "events.sqlite")
    again.refresh()
    assert list(again.items_of("a")) == ["x", "y"]
    assert again.count_of("a") == 3


def test_events_of_another_process_are_read(tmp_path: Path) -> None:
    one, other = EventStore(tmp_path / "events.sqlite"), EventStore(tmp_path / "events.sqlite")
    one.add([row("a", "x")])
    other.refresh()
    assert list(other.items_of("a")) == ["x"]
    other.add([row("a", "y")])
    one.refresh()
    one.refresh()
    assert list(one.items_of("a")) == ["x", "y"]
    assert one.count_of("a") == 2


def test_reading_creates_no_file(tmp_path: Path) -> None:
    store = EventStore(tmp_path / "events.sqlite")
    store.refresh()
    assert list(tmp_path.iterdir()) == []
    assert list(store.items_of("a")) == []


def test_a_file_that_is_no_database_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "events.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(EventsUnavailableError, match=r"events\.sqlite"):
        EventStore(tmp_path / "events.sqlite").add([row("a", "x")])


def test_none_of_a_batch_is_kept_where_one_row_fails(tmp_path: Path) -> None:
    store = EventStore(tmp_path / "events.sqlite")
    with pytest.raises(EventsUnavailableError):
        store.add([row("a", "x"), EventRow("a", None, AT, AT)])  # type: ignore[arg-type]
    store.refresh()
    assert store.count_of("a") == 0
