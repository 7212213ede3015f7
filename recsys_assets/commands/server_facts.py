"""The servers that a home's settings name, in the words of `recsys doctor`: whether each answers, looked at together.

The object store has its own facts (`store_facts.py`), since everything else is read from it.
"""

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

from recsys_assets.errors import RecsysError
from recsys_assets.intake.copied_entries import landings
from recsys_assets.intake.events_of_home import opened_events
from recsys_assets.orchestration.dagster_yaml import event_log_in_use, require_extra, require_server
from recsys_assets.quality.ledger_place import PostgresPlace, place_by_settings
from recsys_assets.quality.read_results import server_in_words
from recsys_assets.settings import Settings
from recsys_assets.storage.home import Home
from recsys_assets.storage.postgres_outage import shown_server

_WAYS: Final = {
    "ledger": "start the server of the ledger, or mend [ledger] postgres",
    "dagster": "start the server of Dagster's storage, or mend [dagster] postgres",
    "events": "start the server of events, or mend [events] url",
}
Facts = list[tuple[str, str]]
"""Name and state."""


class ServerFacts(NamedTuple):
    """The facts about all servers."""

    facts: Facts
    """In order."""
    ledger_answers: bool
    """False where the ledger is on a server that cannot be used."""
    next_step: str
    """The way to mend the first server that cannot be used; empty where all can."""


class _Examined(NamedTuple):
    facts: Facts
    answers: bool


def facts_of_servers(home: Home, settings: Settings) -> ServerFacts:
    """Look at every server at the same time, so that those which do not answer are waited for once, some seconds."""
    with ThreadPoolExecutor(3) as pool:
        dagster = pool.submit(_examined, "Dagster's storage", lambda: _of_dagster(home, settings))
        ledger = pool.submit(_examined, "ledger", lambda: _of_ledger(home, settings))
        events = pool.submit(_examined, "event server", lambda: _of_events(home, settings))
    looked = {"ledger": ledger.result(), "dagster": dagster.result(), "events": events.result()}
    away = [name for name, one in looked.items() if not one.answers]
    facts = [*looked["dagster"].facts, *looked["ledger"].facts, *looked["events"].facts]
    return ServerFacts(facts, looked["ledger"].answers, _WAYS[away[0]] if away else "")


def _examined(name: str, look: Callable[[], Facts]) -> _Examined:
    """Return the facts, or the error as one."""
    try:
        return _Examined(look(), answers=True)
    except (RecsysError, OSError, sqlite3.Error) as error:
        return _Examined([(name, f"cannot be used: {error}")], answers=False)


def _of_dagster(home: Home, settings: Settings) -> Facts:
    """Return the place of Dagster's runs and its log of them, which are no events of users."""
    url = settings.dagster.postgres
    if url is None:
        return [("Dagster's storage", event_log_in_use(home))]
    require_extra()
    require_server(url, seconds=0)
    return [("Dagster's storage", f"{event_log_in_use(home)}; {shown_server(url)} answers")]


def _of_ledger(home: Home, settings: Settings) -> Facts:
    """Return the server of the ledger, where there is one."""
    place = place_by_settings(home, settings)
    return [("ledger", server_in_words(place))] if isinstance(place, PostgresPlace) else []


def _of_events(home: Home, settings: Settings) -> Facts:
    """Return the server of events, where there is one, and what is not copied from it yet."""
    with opened_events(home) as shared:
        if shared is None:
            return []
        waiting = shared.copy.waiting()
        lakes = {one.lake for one in shared.copy.using(landings)}
        facts = [
            ("event server", f"{shared.copy.log.shown} answers; {waiting:,} entries are not copied yet"),
            ("", f"{len(lakes)} lakes land from it; events stay there until each of them has them"),
        ]
    if settings.events.backend == "nats" and settings.events.acknowledge == "written":
        facts.append(("", 'acknowledge = "written": a power cut of the server may lose the last 2 minutes'))
    return facts
