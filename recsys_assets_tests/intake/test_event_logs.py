"""Every form of the event log keeps the same promises: the file alone, Postgres, and NATS."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path

import pytest

from recsys_assets.errors import EventConflictError, RecsysError
from recsys_assets.event_settings import EventsSettings
from recsys_assets.intake.event_copy import EventCopy
from recsys_assets.intake.event_logs import EventLog, LocalEvents
from recsys_assets.intake.group import IntakeRow, Receipt, Submission
from recsys_assets.intake.rows import EventRow, ImpressionRow
from recsys_assets.intake.server_log import open_server_log
from recsys_assets.intake.shared_events import SharedEvents
from recsys_assets.intake.stored_events import read_impressions

NOW = datetime(2024, 4, 2, tzinfo=UTC)
AT = 1_712_016_000_000_000
"""`NOW`, us since 1970."""


class Machines:
    """Logs of one kind: of one machine, or of several that share one."""

    def __init__(self, root: Path, settings: EventsSettings) -> None:
        self.settings, self._root = settings, root
        self._logs: list[EventLog] = []

    def log(self, name: str = "one") -> EventLog:
        server = open_server_log(self.settings)
        path = self.path(name)
        log: EventLog = (
            LocalEvents(path, now=lambda: NOW)
            if server is None
            else SharedEvents(EventCopy(path, server, lock=path.with_name(".copy.lock")))
        )
        self._logs.append(log)
        return log

    def path(self, name: str = "one") -> Path:
        return self._root / name / "events.sqlite"

    def close(self) -> None:
        for log in self._logs:
            log.close()


@pytest.fixture(params=["sqlite", "postgres", "nats"])
def machines(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machines]:
    settings = EventsSettings()
    if request.param != "sqlite":
        settings = request.getfixturevalue(f"{request.param}_events").settings()
    machines = Machines(tmp_path, settings)
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    yield machines
    machines.close()


@pytest.fixture(params=["postgres", "nats"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machines]:
    machines = Machines(tmp_path, request.getfixturevalue(f"{request.param}_events").settings())
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    yield machines
    machines.close()


def row(event_id: str, user_id: str = "a", item_id: str = "x", *, at: int = AT) -> EventRow:
    return EventRow(event_id, user_id, item_id, "view", at, AT + 1)


def appended(log: EventLog, *batches: Sequence[IntakeRow]) -> Sequence[Receipt | RecsysError]:
    return log.append([Submission(tuple(batch), Future()) for batch in batches])


def ids(log: EventLog) -> list[str]:
    return [event.event_id for _, event in log.read(0)]


def test_what_was_accepted_is_read_again_in_its_order(machines: Machines) -> None:
    whole = EventRow("e2", "a\0b", "é", "purchase", AT, AT + 1, 4.5, 2.0, 9.99, "answer")
    log = machines.log()
    assert appended(log, [row("e1"), whole]) == [Receipt(2, 0)]
    assert [event for _, event in log.read(0)] == [row("e1"), whole]


def test_rows_after_a_number_are_those_that_came_later(machines: Machines) -> None:
    log = machines.log()
    appended(log, [row("e1"), row("e2")])
    ((first, _), (second, _)) = log.read(0)
    assert first < second
    assert [event.event_id for _, event in log.read(first)] == ["e2"]
    assert list(log.read(second)) == []


def test_the_same_event_again_is_a_duplicate(machines: Machines) -> None:
    log = machines.log()
    appended(log, [row("e1")])
    later = row("e1")._replace(received_at=AT + 999)
    assert appended(log, [later, row("e2"), row("e2")]) == [Receipt(1, 2)]
    assert ids(log) == ["e1", "e2"]


def test_another_content_rejects_its_batch_and_no_other_one(machines: Machines) -> None:
    log = machines.log()
    outcomes = appended(log, [row("e1")], [row("e2"), row("e1", item_id="y")], [row("e3")])
    assert [type(one) for one in outcomes] == [Receipt, EventConflictError, Receipt]
    assert ids(log) == ["e1", "e3"]
    assert isinstance(outcomes[1], EventConflictError)
    assert list(outcomes[1].event_ids) == ["e1"]


def test_an_impression_counts_once(machines: Machines) -> None:
    log, shown = machines.log(), ImpressionRow("answer", "x", 1, "a", AT, AT)
    assert appended(log, [shown, shown._replace(received_at=AT + 5)]) == [Receipt(1, 1)]
    assert appended(log, [shown]) == [Receipt(0, 1)]
    assert [found for _, found in read_impressions(machines.path())] == [shown]


def test_a_log_that_was_closed_goes_on(machines: Machines) -> None:
    log = machines.log()
    appended(log, [row("e1")])
    log.close()
    assert appended(log, [row("e2")], [row("e1")]) == [Receipt(1, 0), Receipt(0, 1)]
    assert ids(log) == ["e1", "e2"]


def test_a_text_that_no_log_can_hold_stores_nothing(machines: Machines) -> None:
    log = machines.log()
    with pytest.raises(UnicodeEncodeError):
        appended(log, [row("e1"), row("e2", item_id="\udc80")])
    assert appended(log, [row("e3")]) == [Receipt(1, 0)]
    assert ids(log) == ["e3"]


def test_all_machines_have_the_same_rows_under_the_same_numbers(shared: Machines) -> None:
    one, two = shared.log("one"), shared.log("two")
    for number in range(5):
        appended(one, [row(f"a{number}"), row(f"b{number}")])
        appended(two, [row(f"c{number}")])
    assert list(one.read(0)) == list(two.read(0))
    assert len(ids(one)) == 15


def test_of_two_machines_the_first_content_wins_and_the_other_is_rejected(shared: Machines) -> None:
    one, two = shared.log("one"), shared.log("two")
    ids(two)
    assert appended(one, [row("e1")]) == [Receipt(1, 0)]
    (outcome,) = appended(two, [row("e0"), row("e1", item_id="y")])  # its copy does not know `e1` yet
    assert isinstance(outcome, EventConflictError)
    assert appended(two, [row("e1"), row("e2")]) == [Receipt(1, 1)]
    assert list(one.read(0)) == list(two.read(0))
    assert ids(one) == ["e1", "e2"]


def test_doubles_and_rejected_batches_leave_nothing_on_the_server(shared: Machines) -> None:
    one, two = shared.log("one"), shared.log("two")
    ids(two)
    appended(one, [row("e1")])
    appended(two, [row("e1"), row("e2")])
    ids(one)
    appended(two, [row("e3")])
    appended(one, [row("e4"), row("e3", item_id="secret")])
    three = shared.log("three")
    assert ids(three) == ["e1", "e2", "e3"]
    assert list(three.read(0)) == list(one.read(0))
