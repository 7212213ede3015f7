"""Rows leave a shared log for good: those that every lake has, users who were forgotten, and those of lost copies."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recsys_assets.errors import EventsUnavailableError
from recsys_assets.event_settings import EventsSettings
from recsys_assets.intake.event_copy import EventCopy
from recsys_assets.intake.events_database import microseconds
from recsys_assets.intake.group import IntakeRow, Submission
from recsys_assets.intake.log_entries import Landing, Prune
from recsys_assets.intake.recent_events import RecentEvents
from recsys_assets.intake.rows import EventRow, ImpressionRow, MergeRow
from recsys_assets.intake.server_log import open_server_log
from recsys_assets.intake.shared_events import SharedEvents
from recsys_assets.intake.shared_upkeep import forget_shared, prune_shared, say_landed
from recsys_assets_tests.event_servers import EventServer
from recsys_assets_tests.intake.stored_rows import store

NOW = datetime(2024, 4, 2, tzinfo=UTC)
AT = microseconds(NOW)
LATER = microseconds(NOW + timedelta(days=1))
SECRET = "the-user-who-is-forgotten"


@pytest.fixture(params=["postgres", "nats"])
def server(request: pytest.FixtureRequest) -> EventServer:
    found: EventServer = request.getfixturevalue(f"{request.param}_events")
    return found


class Machines:
    """Machines by name, which share one log."""

    def __init__(self, root: Path, settings: EventsSettings) -> None:
        self.root, self.settings = root, settings
        self.opened = dict[str, SharedEvents]()

    def __getitem__(self, name: str) -> SharedEvents:
        if name not in self.opened:
            log = open_server_log(self.settings)
            assert log is not None
            path = self.path(name)
            self.opened[name] = SharedEvents(EventCopy(path, log, lock=path.with_name(".copy.lock")))
        return self.opened[name]

    def path(self, name: str) -> Path:
        return self.root / name / "events.sqlite"


@pytest.fixture
def machines(server: EventServer, tmp_path: Path) -> Iterator[Machines]:
    machines = Machines(tmp_path, server.settings())
    yield machines
    for one in machines.opened.values():
        one.close()


def row(event_id: str, user_id: str = "a", *, kind: str = "view", at: int = AT) -> EventRow:
    return EventRow(event_id, user_id, "x", kind, at, at)


def append(log: SharedEvents, *batches: Sequence[IntakeRow]) -> None:
    log.append([Submission(tuple(batch), Future()) for batch in batches])


def ids(log: SharedEvents) -> list[str]:
    return [event.event_id for _, event in log.read(0)]


def numbers(log: SharedEvents) -> dict[str, int]:
    return {event.event_id: number for number, event in log.read(0)}


def on_server(machines: Machines) -> bytes:
    """The content of all entries that the server has."""
    log = open_server_log(machines.settings)
    assert log is not None
    entries = log.read(log.identity(after=0)[1], 1000)
    log.close()
    return b"".join(content for _, content in entries)


def test_rows_go_once_they_are_old_and_every_lake_has_them(machines: Machines) -> None:
    one, two = machines["one"], machines["two"]
    append(one, [row("e1"), row("h1", kind="hide"), row("e2", at=LATER)], [row("e3")], [row("e4")])
    found = numbers(two)
    prune = Prune("events", found["e4"], LATER, None)
    say_landed(two, Landing("other lake", "events", found["e1"]))
    say_landed(one, Landing("lake", "events", found["e4"]))
    assert prune_shared(one, prune) == 1
    assert ids(one) == ids(two) == ["h1", "e2", "e3", "e4"]
    say_landed(two, Landing("other lake", "events", found["e3"]))
    assert prune_shared(one, prune) == 1
    left = ["h1", "e2", "e4"]  # what hides an item stays, and so does what is new
    assert ids(one) == ids(two) == ids(machines["new"]) == left
    assert numbers(machines["new"]) == {name: found[name] for name in left}
    assert b"e1" not in on_server(machines)
    assert b"e3" not in on_server(machines)


def test_nothing_is_pruned_twice_and_a_landing_is_said_once(machines: Machines) -> None:
    one = machines["one"]
    append(one, [row("e1")], [row("e2")])
    landing = Landing("lake", "events", numbers(one)["e1"])
    say_landed(one, landing)
    size = len(on_server(machines))
    say_landed(one, landing)
    assert len(on_server(machines)) == size
    prune = Prune("events", landing.through, LATER, None)
    assert [prune_shared(one, prune) for _ in range(2)] == [1, 0]


def test_a_forgotten_user_leaves_the_server_and_every_copy(machines: Machines) -> None:
    one, two = machines["one"], machines["two"]
    append(
        one, [row("e1", SECRET), row("e2")], [row("e3", SECRET), ImpressionRow("n", "x", 1, SECRET, AT, AT)]
    )
    append(two, [row("e4")])
    assert two.add_merge(MergeRow("anonymous", SECRET, AT))
    found = numbers(one)
    assert SECRET.encode() in on_server(machines)
    assert forget_shared(one, [SECRET]) == 4
    assert SECRET.encode() not in on_server(machines)
    assert ids(one) == ids(two) == ids(machines["new"]) == ["e2", "e4"]
    assert numbers(machines["new"]) == {name: found[name] for name in ("e2", "e4")}
    for name in ("one", "two", "new"):
        assert not [file for file in (machines.root / name).iterdir() if SECRET.encode() in file.read_bytes()]
    assert forget_shared(two, [SECRET]) == 0
    append(two, [row("e5")])
    assert ids(one) == ["e2", "e4", "e5"]


def test_a_server_that_follows_the_file_forgets_the_user_too(machines: Machines) -> None:
    class Items:
        def num_of(self, _: str) -> int:
            return 0

    one, two = machines["one"], machines["two"]
    append(one, [row("e1", SECRET), row("e2")])
    ids(two)
    from recsys_assets.intake.event_meaning import EventMeaning

    recent = RecentEvents(machines.path("two"), Items(), meaning=EventMeaning())  # type: ignore[arg-type]
    recent.refresh()
    assert recent.since(SECRET).wishes
    forget_shared(one, [SECRET])
    two.copy.catch_up()
    recent.refresh()
    assert not recent.since(SECRET).wishes
    assert recent.since("a").wishes
    recent.close()


def test_a_copy_that_was_lost_is_copied_again_with_the_same_numbers(machines: Machines) -> None:
    one = machines["one"]
    append(one, [row("e1")], [row("e2")])
    before = numbers(one)
    machines.path("one").rename(machines.path("one").with_name("events.sqlite.damaged"))
    assert numbers(one) == before


def test_rows_from_before_the_server_stay_before_those_of_the_log(machines: Machines) -> None:
    path = machines.path("one")
    store(path, [row("old")])
    one = machines["one"]
    append(one, [row("e1")])
    assert ids(one) == ["old", "e1"]
    assert ids(machines["two"]) == ["e1"]


def test_rows_numbered_among_those_of_the_log_are_no_copy_of_it(machines: Machines) -> None:
    append(machines["one"], [row("e1")])
    store(machines.path("late"), [row("mine")], now=lambda: datetime.now(UTC) + timedelta(minutes=1))
    with pytest.raises(EventsUnavailableError, match="recsys land --events"):
        machines["late"].copy.catch_up()


def test_a_server_that_lost_its_log_begins_another_one_after_the_rows_of_the_copies(
    machines: Machines,
) -> None:
    one = machines["one"]
    append(one, [row("e1")], [row("e2")])
    before = numbers(one)
    machines.settings = EventsSettings(
        **{name: getattr(machines.settings, name) for name in ("backend", "url", "monitor")},
        log_name=f"{machines.settings.log_name}_again",
    )
    machines.opened.pop("one").close()
    again = machines["one"]
    append(again, [row("e3"), row("e1")])
    assert ids(again) == ["e1", "e2", "e3"]
    assert numbers(again)["e3"] > max(before.values())


def test_a_server_that_was_set_back_to_an_earlier_state_acknowledges_nothing(
    postgres_events: EventServer, tmp_path: Path
) -> None:
    import psycopg2

    machines = Machines(tmp_path, postgres_events.settings())
    one, name = machines["one"], machines.settings.log_name
    for number in range(3):
        append(one, [row(f"e{number}")])
    connection = psycopg2.connect(machines.settings.url)
    with connection, connection.cursor() as cursor:  # as its backup of after the first one
        cursor.execute(f"SELECT min(number) FROM {name}.entries")
        (first,) = cursor.fetchone()
        cursor.execute(f"DELETE FROM {name}.entries WHERE number > %s", (first,))
        cursor.execute(f"ALTER SEQUENCE {name}.numbers RESTART WITH {first + 1}")
    connection.close()
    with pytest.raises(EventsUnavailableError, match="set back to an earlier state"):
        append(one, [row("e4")])
    one.close()
