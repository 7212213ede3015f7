"""Damage to the SQLite files of a home and to Dagster's configuration, and the way back.

A damaged file is moved away, and a line says what is lost. Decisions and events that can still be read are taken over;
days are audited again, and Dagster records again what is whole.
"""

import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, date, datetime
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from recsys_assets.errors import DatabaseUnavailableError
from recsys_assets.intake.event_meaning import EventOptions
from recsys_assets.intake.event_store import store_rows
from recsys_assets.intake.events_database import stored_event
from recsys_assets.intake.rows import ImpressionRow, MergeRow
from recsys_assets.orchestration.dagster_yaml import fault_of_yaml, has_sqlite_log
from recsys_assets.orchestration.repair.recorded_again import record_made
from recsys_assets.quality.check_ledger import Acceptance
from recsys_assets.quality.ledger_place import place_by_settings
from recsys_assets.quality.ledger_server import LedgerServer
from recsys_assets.quality.open_ledger import open_ledger
from recsys_assets.release.answer_counts import HourlyAnswers, add_answers
from recsys_assets.release.answer_series import AnswerSeries
from recsys_assets.settings import Settings
from recsys_assets.storage.home import Home
from recsys_assets.storage.store_place import place_of
from recsys_assets.storage.table_copy import days_of_table

if TYPE_CHECKING:
    from recsys_assets.intake.group import IntakeRow

DAMAGED: Final = ".damaged-"
"""In the name of what was moved away, before the time of that."""
_AGAIN: Final = "again, after Dagster's history was lost"
_INDEX: Final = "index.db"
_SUFFIXES: Final = ("", "-wal", "-shm", "-journal")
_LOST_EVENTS: Final = "lost are the events in it that cannot be read"


def damaged_databases(home: Home, settings: Settings) -> Iterator[tuple[Path, str, str]]:
    """Yield each file that is missing or damaged, its fault, and the loss with what a build does about it."""
    landed = bool(days_of_table(home.raw))
    history = home.dagster / "history"
    ran_here = landed and (place_of(home.root) is None or history.exists())  # days may be another machine's
    if history.exists() and (fault := fault_of_yaml(home)):
        yield home.dagster_yaml, fault, "it is written again, without lines of your own"
    index = history / "runs" / _INDEX
    if settings.dagster.postgres is None and has_sqlite_log(home):
        logs = sorted(set((history / "runs").glob("*.db")) - {index})
        for file, loss in (
            (index, "lost is the history of assets; what is whole is recorded again"),
            (history / "runs.db", "lost is the list of Dagster's runs"),
            (home.dagster / "schedules" / "schedules.db", "lost is when schedules ran last"),
            *((log, "lost is the log of one run") for log in logs),
        ):
            if fault := _fault(file, expected=ran_here):
                yield file, fault, loss
    if fault := _fault_of_ledger(home, settings, expected=landed):
        yield home.quality_db, fault, "lost are check results and accepted days; every day is audited again"
    if fault := _fault(home.events_db, expected=False):
        yield home.events_db, fault, _LOST_EVENTS
    if fault := _fault(home.item_states_db, expected=False):
        loss = "lost are the states of items and their log: hide again what must not be shown"
        yield home.item_states_db, fault, loss
    if fault := _fault(home.answers_db, expected=False):
        yield home.answers_db, fault, "lost are the counts of answers in it that cannot be read"
    if fault := _fault(home.notices_db, expected=False):
        yield home.notices_db, fault, "lost are the notices in it; causes that go on are noticed again"


def mend_databases(home: Home, settings: Settings, say: Callable[[str], None]) -> None:
    """Move damaged files away, take over what can be read, and say a line on each; under the build lock."""
    found = list(damaged_databases(home, settings))
    for file, fault, loss in found:
        if file == home.quality_db:
            _forget_days(home)  # before the file moves: after a kill this is done again
        moved = moved_away(file) if file.exists() else None
        kept = ""
        if file == home.quality_db:
            kept = _keep_acceptances(home, moved)
        elif file == home.events_db and moved is not None:
            kept = _keep_events(home, moved)
        elif file == home.answers_db and moved is not None:
            kept = _keep_answers(home, moved)
        place = f"moved to {moved.name}; " if moved else ""
        say(f"Damaged: {file}: {fault}; {place}{loss}{kept}.")
    if any(file.name == _INDEX for file, _, _ in found):
        record_made(home, settings, why=_AGAIN)


def mend_intake(home: Home, say: Callable[[str], None]) -> None:
    """Move a damaged intake away before its events are read, keep those that can be, and say a line; under the lock."""
    fault = _fault(home.events_db, expected=False)
    if fault:
        moved = moved_away(home.events_db)
        kept = _keep_events(home, moved)
        say(f"Damaged: {home.events_db}: {fault}; moved to {moved.name}; {_LOST_EVENTS}{kept}.")


def moved_away(path: Path) -> Path:
    """Rename a damaged file, or folder, with the files that SQLite keeps beside it; return its path now."""
    ending = f"{DAMAGED}{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
    for suffix in _SUFFIXES:
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.rename(path.with_name(path.name + ending + suffix))
    return path.with_name(path.name + ending)


def _fault(file: Path, *, expected: bool) -> str:
    """Return why a database cannot be used; empty where it is whole, or is not there and need not be."""
    if not file.exists():
        return "missing" if expected else ""
    if not file.is_file():
        return "not a file"
    if file.stat().st_size == 0 and not file.with_name(f"{file.name}-wal").exists():
        return "empty"
    try:
        with closing(_open(file, unwritable=not os.access(file.parent, os.W_OK))) as connection:
            ((answer,),) = connection.execute("PRAGMA quick_check(1)").fetchall()
    except sqlite3.OperationalError as error:
        for part in (file.with_name(file.name + suffix) for suffix in _SUFFIXES):
            if part.exists() and not os.access(
                part, os.R_OK
            ):  # it may be whole: nothing is to be lost for it
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(part)) from error
        if "readonly" in str(error) and file.with_name(f"{file.name}-journal").exists():
            fault = _fault_taken_back(file)
        else:
            fault = "" if "locked" in str(error) else str(error)
        return fault
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if answer == "ok" else str(answer).replace("\n", " ")


def _fault_of_ledger(home: Home, settings: Settings, *, expected: bool) -> str:
    """Return why the ledger cannot be used, as `_fault`; of a server that does not answer nothing is known."""
    place = place_by_settings(home, settings)
    if isinstance(place, Path):
        return _fault(place, expected=expected)
    if not expected or place.former.is_file():  # the tables are made from it
        return ""
    with suppress(DatabaseUnavailableError), LedgerServer(place, seconds=0) as server:
        if not server.has_tables():
            return f"its tables are missing on {place.shown}"
    return ""


def _fault_taken_back(file: Path) -> str:
    """Return the fault of a database once SQLite has taken back what a killed writer left; it does so in a copy."""
    with TemporaryDirectory() as folder:
        copied = Path(folder, file.name)
        for suffix in _SUFFIXES:
            if (part := file.with_name(file.name + suffix)).exists():
                copyfile(part, copied.with_name(copied.name + suffix))
        try:
            with closing(sqlite3.connect(copied)) as connection:
                ((answer,),) = connection.execute("PRAGMA quick_check(1)").fetchall()
        except sqlite3.DatabaseError as error:
            return str(error)
    return "" if answer == "ok" else str(answer).replace("\n", " ")


def _open(file: Path, *, unwritable: bool = False) -> sqlite3.Connection:
    """Open a database to read; where not even SQLite's own files can be written beside it, as one that rests."""
    options = "mode=ro&immutable=1" if unwritable else "mode=ro"
    return sqlite3.connect(f"file:{quote(str(file))}?{options}", uri=True, timeout=5)


def _keep_acceptances(home: Home, damaged: Path | None) -> str:
    """Begin another ledger, with the acceptances of a damaged one up to the first that cannot be read."""
    kept = []
    with suppress(sqlite3.Error, ValueError, TypeError):
        for table, day, fingerprint, who, why, at, *as_normal in _rows(damaged, "acceptances"):
            accepted_at = datetime.fromisoformat(at)
            found = Acceptance(
                table=table,
                day=date.fromisoformat(day),
                fingerprint=fingerprint,
                who=who,
                why=why,
                accepted_at=accepted_at,
                as_normal=all(as_normal),  # an earlier version had no such column
            )
            kept.append(found)
    with open_ledger(home) as ledger:
        for acceptance in kept:
            ledger.accept(acceptance)
    return f"; {len(kept):,} accepted days were kept" if kept else ""


def _keep_events(home: Home, damaged: Path) -> str:
    """Take over the rows of a damaged file, of each table up to the first that cannot be read.

    Those of a shared log are on its server, and are copied from there.
    """
    if EventOptions.of(home).events.backend != "sqlite":
        return "; the server has them"
    kept: list[IntakeRow] = []
    with suppress(sqlite3.Error, ValueError, TypeError):
        for number, *values in _rows(damaged, "events"):
            kept.append(stored_event(number, values))
    for kind, table in ((ImpressionRow, "impressions"), (MergeRow, "merges")):
        with suppress(sqlite3.Error, ValueError, TypeError):
            for _, *values in _rows(damaged, table):
                kept.append(kind(*values))
    if kept:
        store_rows(home.events_db, kept)
    return f"; {len(kept):,} were kept"


def _keep_answers(home: Home, damaged: Path) -> str:
    """Take over the counts of answers of a damaged file up to the first that cannot be read."""
    kept, series = [], list[AnswerSeries]()
    with suppress(sqlite3.Error, ValueError, TypeError):
        for release, kind, hour, answers in _rows(damaged, "answers"):
            kept.append(HourlyAnswers(str(release), str(kind), str(hour), int(answers)))
    with suppress(sqlite3.Error, TypeError):
        series += [AnswerSeries(*row) for row in _rows(damaged, "series")]
    add_answers(home.answers_db, kept, series=series)
    return f"; {sum(one.answers for one in kept):,} answers were kept" if kept else ""


def _rows(file: Path | None, table: str) -> Iterator[tuple[Any, ...]]:
    if file is not None:
        with closing(_open(file)) as connection:
            yield from connection.execute(f"SELECT * FROM {table}")  # noqa: S608  a constant of the callers


def _forget_days(home: Home) -> None:
    """Have every day audited again: Dagster forgets that it was."""
    import dagster as dg  # noqa: PLC0415  a second, which `recsys doctor` need not wait

    from recsys_assets.orchestration.instance import open_instance  # noqa: PLC0415

    with open_instance(home) as instance:
        instance.wipe_assets([dg.AssetKey(table) for table in ("raw_interactions", "interactions")])
