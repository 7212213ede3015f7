"""A home's event log by its settings: landing, pruning, forgetting and waiting, with a server or without."""

import threading
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from recsys_assets.commands.doctor import examine
from recsys_assets.errors import EventsUnavailableError
from recsys_assets.event_settings import EventsSettings
from recsys_assets.intake.event_meaning import EventOptions
from recsys_assets.intake.event_store import Intake
from recsys_assets.intake.events_database import microseconds
from recsys_assets.intake.events_of_home import bring_events, event_log_of, opened_events, wait_for_events
from recsys_assets.intake.rows import EventRow
from recsys_assets.intake.stored_events import read_events
from recsys_assets.lake.event_days import event_store, prune_events, take_events
from recsys_assets.orchestration.forgetting.other_steps import forget_in_intake
from recsys_assets.storage.home import Home
from recsys_assets_tests.event_servers import EventServer

NOW = datetime(2024, 4, 2, 12, tzinfo=UTC)
DAY = date(2024, 4, 2)
SOURCE = """
[source]
spec = "completejourney"
first_day = 2017-01-01
last_day = 2017-01-10
"""


@pytest.fixture(params=["postgres", "nats"])
def server(request: pytest.FixtureRequest) -> EventServer:
    found: EventServer = request.getfixturevalue(f"{request.param}_events")
    return found


@pytest.fixture
def homes(server: EventServer, tmp_path: Path) -> list[Home]:
    """Two machines with the same settings."""
    events = server.settings()
    lines = [
        f'{name} = "{getattr(events, name)}"'
        for name in ("backend", "url", "log_name", "monitor")
        if getattr(events, name)
    ]
    homes = [Home(tmp_path / name) for name in ("one", "two")]
    for home in homes:
        home.root.mkdir()
        home.settings_file.write_text("\n".join([SOURCE, "[events]", *lines]))
    return homes


def send(home: Home, *event_ids: str, user: str = "a") -> None:
    options = EventOptions.of(home)
    intake = Intake(home.events_db, options.events, now=lambda: NOW, log=event_log_of(home, options))
    at = microseconds(NOW)
    intake.submit([EventRow(one, user, "x", "view", at, at) for one in event_ids]).result(30)
    intake.close()


def ids(home: Home) -> list[str]:
    return [event.event_id for _, event in read_events(home.events_db)]


def test_a_home_without_a_server_has_no_shared_log(tmp_path: Path) -> None:
    with opened_events(Home(tmp_path)) as shared:
        assert shared is None
    bring_events(Home(tmp_path))
    assert not list(tmp_path.iterdir())


def test_variables_name_the_server_where_there_is_no_settings_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECSYS_EVENTS__BACKEND", "postgres")
    monkeypatch.setenv("RECSYS_EVENTS__URL", "postgresql://u@127.0.0.1:1/d")
    assert EventOptions.of(Home(tmp_path)).events == EventsSettings(
        backend="postgres", url="postgresql://u@127.0.0.1:1/d"
    )


def test_what_any_machine_took_lands_and_is_pruned_once_both_lakes_have_it(homes: list[Home]) -> None:
    one, two = homes
    send(one, "e1", "e2")
    send(two, "e3")
    old = NOW + timedelta(days=40)
    for home in homes:
        bring_events(home)
        assert take_events(home, through=DAY).rows == 3
        assert event_store(home).read(DAY)["event_id"].sort().to_list() == ["e1", "e2", "e3"]
    assert prune_events(two, landed=lambda _: True, received_before=NOW - timedelta(days=1)) == 0
    assert prune_events(one, landed=lambda _: True, received_before=old) == 3
    bring_events(two)
    assert ids(one) == ids(two) == []
    assert take_events(two, through=DAY).rows == 0


def test_a_forget_takes_the_user_out_of_the_server_and_of_the_other_machine(homes: list[Home]) -> None:
    one, two = homes
    send(one, "e1", user="secret")
    send(two, "e2")
    assert forget_in_intake(two, frozenset({"secret"}), number=1).changed == 1
    bring_events(one)
    assert ids(one) == ids(two) == ["e2"]


def test_without_its_server_a_build_waits_and_says_so_and_a_forget_does_not_end(
    homes: list[Home], server: EventServer
) -> None:
    one, two = homes
    send(two, "e1")
    server.kill()
    said, is_said = list[str](), threading.Event()

    def say(line: str) -> None:
        said.append(line)
        is_said.set()

    waiting = threading.Thread(target=wait_for_events, args=(one, say))
    try:
        waiting.start()
        assert is_said.wait(60)
        assert forget_in_intake(two, frozenset({"a"}), number=1).unfinished
        with pytest.raises(EventsUnavailableError, match="no answer"):
            bring_events(two)
        assert waiting.is_alive()
    finally:
        server.start()
        waiting.join(60)
    assert not waiting.is_alive()
    assert said[0].endswith("waiting")
    assert "no answer for 2 s" in said[0]
    assert "back after" in said[-1]
    assert ids(one) == ["e1"]


def test_doctor_names_the_server_and_what_waits_there(homes: list[Home]) -> None:
    one, two = homes
    send(one, "e1")
    facts = dict(examine(two).facts)
    assert "answers; 1 entries are not copied yet" in facts["event server"]
    assert "127.0.0.1" in facts["event server"]
