"""Commands under which the disk fails: each with a place prepared for it, and the state that must not be lost."""

import hashlib
import pkgutil
import sqlite3
import traceback
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl
from click.testing import CliRunner

from recsys_assets.api.http.auth import add_key, list_keys
from recsys_assets.intake.event_store import store_rows
from recsys_assets.intake.rows import EventRow
from recsys_assets.intake.stored_events import read_events
from recsys_assets.lake.initialise import initialise
from recsys_assets.lake.landing import iter_days
from recsys_assets.lake.raw_audit import RawAudit
from recsys_assets.lake.sources.registry import source_of
from recsys_assets.orchestration.fingerprints import Inputs
from recsys_assets.quality.audit_and_publish import prepared, publish_days
from recsys_assets.quality.ledger import Ledger
from recsys_assets.quality.quarantine import rejected_days
from recsys_assets.settings import load_settings
from recsys_assets.storage.home import Home

if TYPE_CHECKING:
    import click

HomeState = dict[str, Any]
"""Name -> content; the content is that before a command or that after it, whenever it is looked at."""
DAMAGED: Final = "damaged"
"""Content of a file that cannot be read: a cut within a landing may leave it of a new day."""
FIRST_DAY: Final = date(2024, 5, 1)
_DAYS: Final = 4
_LANDED: Final = 2
"""Days that landed before: they land again, with more rows."""
_USERS: Final = 20
_ITEMS: Final = 30
_AT: Final = 1_712_016_000_000_000
"""2024-04-02, us since 1970."""
_EVENTS: Final = 6


@dataclass(frozen=True, kw_only=True)
class CommandEnd:
    """The end of a command: nothing, a message for people, or an error that nobody expected."""

    failed: bool = False
    """The exit code is not 0."""
    text: str = ""
    """The message."""
    traceback: str = ""
    """The traceback of an error that is no message."""


@dataclass(frozen=True, kw_only=True)
class FaultScenario:
    """A command that writes; run again after its end it changes nothing, run again after a fault it goes on."""

    name: str
    """Its name."""
    prepare: Callable[[Path], None]
    """Fills an empty folder, the place."""
    run: Callable[[Path], CommandEnd]
    """Runs the command in the place."""
    state: Callable[[Path], HomeState]
    """Reads the content of the place."""


def recsys(*arguments: str | Path) -> CommandEnd:
    """Run a `recsys` command in this process."""
    command: click.Group = pkgutil.resolve_name("recsys_assets.cli:main")  # of a layer above this one
    done = CliRunner().invoke(command, [str(argument) for argument in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        return CommandEnd(failed=True, traceback="".join(traceback.format_exception(done.exception)[-6:]))
    said = (
        done.stderr or done.stdout.rstrip().rpartition("\n\n")[2]
    )  # the message of a failed stage, after an empty line
    return CommandEnd(failed=done.exit_code != 0, text=said if done.exit_code else "")


def spoken(action: Callable[[], object]) -> CommandEnd:
    """Run a function as a `recsys` command would run it."""
    group: click.Group = type(pkgutil.resolve_name("recsys_assets.cli:main"))("recsys")
    group.command("act")(lambda: action() and None)
    done = CliRunner().invoke(group, ["act"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        return CommandEnd(failed=True, traceback="".join(traceback.format_exception(done.exception)[-6:]))
    return CommandEnd(failed=done.exit_code != 0, text=done.stderr)


def in_turn(steps: Iterable[Callable[[], CommandEnd]]) -> CommandEnd:
    """Run commands one after the other, until one fails."""
    return next((end for step in steps if (end := step()).failed), CommandEnd())


def home_of(place: Path) -> Home:
    """Return the home in a place."""
    return Home(place / "home")


# --- days --------------------------------------------------------------------------------------------------------


def prepare_days(place: Path) -> None:
    """Set up a home for four days of a made-up shop, land two of them, and add rows to these two in the source."""
    home, source = home_of(place), place / "events.csv"
    lines = [
        f"u{n % _USERS},i{(n * 7 + day) % _ITEMS},{FIRST_DAY + timedelta(days=day)}T10:00:{n % 60:02d}Z"
        for day in range(_DAYS)
        for n in range(60)
    ]
    source.write_text("\n".join(["user_id,item_id,timestamp", *lines]) + "\n", encoding="utf-8")
    initialise(home, f"tabular:{source}")
    with home.settings_file.open("a", encoding="utf-8") as settings:
        settings.write("\n[report]\ndays = 0\n")
    home.dagster.mkdir()
    home.dagster_yaml.write_text(_QUIET_DAGSTER, encoding="utf-8")
    _must(_land(place, _LANDED))
    _append(
        source,
        [f"u{n % _USERS},i{n % _ITEMS},{FIRST_DAY + timedelta(days=n % 2)}T11:00:00Z" for n in range(20)],
    )


_QUIET_DAGSTER: Final = """\
telemetry: {enabled: false}
compute_logs: {module: dagster._core.storage.noop_compute_log_manager, class: NoOpComputeLogManager}
"""
"""Without the output of each step in a file: it costs two processes a step."""


def _append(file: Path, lines: Iterable[str]) -> None:
    with file.open("a", encoding="utf-8") as opened:
        opened.writelines(f"{line}\n" for line in lines)


def _must(end: CommandEnd) -> None:
    if end.failed:
        raise RuntimeError(f"{end.text}{end.traceback}")


def _land(place: Path, days: int = _DAYS) -> CommandEnd:
    last = FIRST_DAY + timedelta(days=days - 1)
    return recsys("land", "--home", home_of(place).root, "--from", f"{FIRST_DAY}", "--to", f"{last}")


def publish_source(place: Path) -> CommandEnd:
    """Land all days by the functions that the assets call, without Dagster."""

    def act() -> None:
        home = home_of(place)
        settings = load_settings(home)
        inputs, source = Inputs(home, settings), source_of(settings.source)
        audit = RawAudit(source.contract)
        with Ledger(home.quality_db) as ledger:
            publish_days(
                prepared(iter_days(source, settings.source.days(), scratch=home.scratch), audit),
                store=inputs.raw_store,
                audit=audit,
                quarantine=home.quarantine,
                ledger=ledger,
            )

    return spoken(act)


def days_state(place: Path) -> HomeState:
    """Return the rows of each day, the results of its checks, and the decisions about it."""
    home, state = home_of(place), HomeState()
    inputs = Inputs(home, load_settings(home))
    for table, store in (("raw", inputs.raw_store), ("interactions", inputs.interaction_store)):
        for day in store.days():
            try:
                state[f"{table} {day}"] = digest(store.read(day).rows())
            except pl.exceptions.PolarsError:
                state[f"{table} {day}"] = DAMAGED
    with Ledger(home.quality_db) as ledger:
        for result in ledger.results():
            state[f"result {result.table} {result.day} {result.check}"] = result.verdict
        for one in ledger.acceptances():
            state[f"acceptance {one.table} {one.day}"] = f"{one.who}: {one.why}"
    for rejected in rejected_days(home.quarantine):
        state[f"rejected {rejected.table} {rejected.day}"] = rejected.rows
    return state


def digest(rows: object) -> str:
    """Return a short checksum of rows."""
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:12]


def prepare_rejected(place: Path) -> None:
    """Deliver so many rows without a user that two cleaned days are rejected."""
    prepare_days(place)
    _append(place / "events.csv", (f",i1,{FIRST_DAY + timedelta(days=n % 2)}T12:00:00Z" for n in range(900)))
    end = _land(place, _LANDED)
    if not rejected_days(home_of(place).quarantine):
        raise RuntimeError(f"no day was rejected: {end.text}{end.traceback}")


def _accept(place: Path) -> CommandEnd:
    home = home_of(place)
    days = sorted({f"{one.day}" for one in rejected_days(home.quarantine)})
    if not days:
        return CommandEnd()
    return recsys("quarantine", "accept", "--home", home.root, *days, "--why", "it is so", "--who", "ada")


# --- events and keys ---------------------------------------------------------------------------------------


def _events(place: Path) -> CommandEnd:
    """Store events, those that are not there yet, a transaction each."""

    def act() -> None:
        file = home_of(place).events_db
        for number in range(sum(event.user_id == "a" for _, event in read_events(file)), _EVENTS):
            store_rows(
                file,
                [EventRow(f"{user}{number}", user, f"x{number}", "view", _AT, _AT) for user in ("a", "b")],
            )

    return spoken(act)


def events_state(place: Path) -> HomeState:
    """Return the number of times that each event is stored."""
    file = home_of(place).events_db
    if not file.exists():
        return {}
    with closing(sqlite3.connect(file)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'events'").fetchone():
            return {}
        rows = connection.execute("SELECT user_id, item_id, count(*) FROM events GROUP BY 1, 2").fetchall()
    return {f"event {user} {item}": count for user, item, count in rows}


def _prepare_keys(place: Path) -> None:
    home_of(place).root.mkdir()
    for name in ("shop", "old"):
        add_key(home_of(place), name=name, scopes=["read"], now=datetime(2024, 1, 1, tzinfo=UTC))


def _keys(place: Path) -> CommandEnd:
    """Add a key and revoke another."""
    home = home_of(place)
    ids = {key.name: key.id for key in list_keys(home)}
    steps: list[Callable[[], CommandEnd]] = []
    if "new" not in ids:
        steps.append(lambda: recsys("keys", "add", "--home", home.root, "new"))
    if "old" in ids:
        steps.append(lambda: recsys("keys", "revoke", "--home", home.root, ids["old"]))
    return in_turn(steps)


def keys_state(place: Path) -> HomeState:
    """Return the scopes of each key."""
    return {f"key {key.name}": key.scopes for key in list_keys(home_of(place))}


SCENARIOS: Final = (
    FaultScenario(name="days", prepare=prepare_days, run=publish_source, state=days_state),
    FaultScenario(name="land", prepare=prepare_days, run=_land, state=days_state),
    FaultScenario(name="accept", prepare=prepare_rejected, run=_accept, state=days_state),
    FaultScenario(
        name="events", prepare=lambda place: home_of(place).root.mkdir(), run=_events, state=events_state
    ),
    FaultScenario(name="keys", prepare=_prepare_keys, run=_keys, state=keys_state),
)
