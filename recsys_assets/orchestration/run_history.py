"""The history of Dagster's runs, cut to what is still of use. Only tables and files of old runs are touched.

Dagster deletes a run with everything that it recorded: `DagsterInstance.delete_run` removes the materialisations too
(`SqlEventLogStorage.delete_events_for_run`), so that its days count as missing and are built again. Here the newest
record of each asset and day, and the answers of the checks that cover it, stay: a build takes a day for fresh by
them, and the UI shows a partition by them. Of a run that they came from the row stays, too, and its log goes.

Killed at any moment it leaves a working home: what refers to a log goes before the log, and the row of the run,
by which the next time finds what is left, goes last.
"""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import dagster as dg
import sqlalchemy as db
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetEventTagsTable,
    AssetKeyTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.runs.schema import RunsTable, RunTagsTable
from dagster._core.storage.runs.sql_run_storage import SqlRunStorage
from sqlalchemy.engine import Connection

from recsys_assets.storage.home import Home

_CHUNK: Final = 500
"""Runs in one statement: SQLite binds at most 32,766 variables."""
_ENDED: Final = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
_EVENTS, _CHECKS = SqlEventLogStorageTable.c, AssetCheckExecutionsTable.c
_RECORDS: Final = ("ASSET_MATERIALIZATION", "ASSET_OBSERVATION")
_PLANNED: Final = "PLANNED"
_SUFFIXES: Final = (".db", ".db-wal", ".db-shm", ".db-journal")


@dataclass(frozen=True, kw_only=True)
class CutHistory:
    """The amount that was removed, or would be in a dry run."""

    runs: int
    """Runs whose log was removed."""
    freed: int
    """Bytes in the home, about; the databases become smaller when they are compacted."""


def cut_history(home: Home, instance: dg.DagsterInstance, *, before: datetime, dry_run: bool) -> CutHistory:
    """Remove the logs and superseded records of the runs that ended before a time.

    Args:
        home: the home of the instance.
        instance: its Dagster, on SQLite or Postgres; nothing may be building.
        before: the time, aware.
        dry_run: count only.
    """
    events, runs = instance.event_log_storage, instance.run_storage
    assert isinstance(events, SqlEventLogStorage)  # noqa: S101  both of ours are
    assert isinstance(runs, SqlRunStorage)  # noqa: S101
    with runs.connect() as connection:
        old = _ended_before(connection, before)
    if not old:
        return CutHistory(runs=0, freed=0)
    with events.index_transaction() as connection, _rolled_back(connection, when=dry_run):
        freed = _remove_records(connection, old)
        recorded = set(connection.execute(db.select(_EVENTS.run_id).distinct()).scalars())
    logs = [file for run in old for file in _log_files(home, run)]
    freed = (freed if events.is_run_sharded else 0) + sum(map(_bytes_of, logs))
    logged = {run for run in old if any(_log_files(home, run))}
    unused = sorted(set(old) - recorded)
    if not dry_run:
        for file in logs:
            shutil.rmtree(file) if file.is_dir() else file.unlink()
        with runs.connect() as connection:
            _in_chunks(connection, db.delete(RunTagsTable), RunTagsTable.c.run_id, unused)
            _in_chunks(connection, db.delete(RunsTable), RunsTable.c.run_id, unused)
    return CutHistory(runs=len(logged | set(unused)), freed=freed)


def _ended_before(connection: Connection, before: datetime) -> list[str]:
    ended = RunsTable.c.status.in_([status.value for status in _ENDED])
    at = db.func.coalesce(RunsTable.c.end_time, 0)
    return list(
        connection.execute(db.select(RunsTable.c.run_id).where(ended, at < before.timestamp())).scalars()
    )


def _remove_records(connection: Connection, old: Sequence[str]) -> int:
    """Remove what newer records replace, and the plans of these runs; return the bytes of the events, about."""
    newest_check = (
        db.select(db.func.max(_CHECKS.id))
        .where(_CHECKS.execution_status != _PLANNED)
        .group_by(_CHECKS.asset_key, _CHECKS.check_name, _CHECKS.partition)
    )
    newest = (
        db.select(db.func.max(_EVENTS.id))
        .where(_EVENTS.dagster_event_type.in_(_RECORDS))
        .group_by(_EVENTS.asset_key, _EVENTS.dagster_event_type, _EVENTS.partition)
    )
    # an answer without a partition is that of all days of its run (`answered_days`)
    covers_days = db.and_(
        _CHECKS.partition.is_(None),
        _CHECKS.execution_status != _PLANNED,
        _CHECKS.run_id.in_(db.select(_EVENTS.run_id).where(_EVENTS.id.in_(newest))),
    )
    freed = _in_chunks(
        connection,
        db.delete(AssetCheckExecutionsTable).where(_CHECKS.id.not_in(newest_check), ~covers_days),
        _CHECKS.run_id,
        old,
        text=_CHECKS.evaluation_event,
    )
    of_checks = db.select(_CHECKS.evaluation_event_storage_id).where(
        _CHECKS.evaluation_event_storage_id.is_not(None)
    )
    replaced = db.delete(SqlEventLogStorageTable).where(
        _EVENTS.id.not_in(newest), _EVENTS.id.not_in(of_checks)
    )
    freed += _in_chunks(connection, replaced, _EVENTS.run_id, old, text=_EVENTS.event)
    if freed:
        tagged = AssetEventTagsTable.c.event_id.not_in(db.select(_EVENTS.id))
        connection.execute(db.delete(AssetEventTagsTable).where(tagged))
        # a summary of the partitions' states, which Dagster makes from the records where it is missing
        connection.execute(db.update(AssetKeyTable).values(cached_status_data=None))
    return freed


def _in_chunks(
    connection: Connection, delete: Any, column: Any, values: Sequence[str], *, text: Any = None
) -> int:
    """Delete the rows of these values, some at a time; return the length of `text` in them."""
    length = 0
    for first in range(0, len(values), _CHUNK):
        chosen = delete.where(column.in_(values[first : first + _CHUNK]))
        if text is not None:
            size = db.select(db.func.coalesce(db.func.sum(db.func.length(text)), 0))
            length += connection.execute(size.where(chosen.whereclause)).scalar_one()
        connection.execute(chosen)
    return length


@contextmanager
def _rolled_back(connection: Connection, *, when: bool) -> Iterator[None]:
    """Undo what the block changes, where it is a dry run."""
    if not when:
        yield
        return
    with connection.begin_nested() as savepoint:
        yield
        savepoint.rollback()


def _log_files(home: Home, run: str) -> Iterator[Path]:
    """Return the files and folders of a run's log: its events, and the output of its steps."""
    shards = (home.dagster / "history" / "runs" / f"{run}{suffix}" for suffix in _SUFFIXES)
    return (path for path in (*shards, home.dagster / "storage" / run) if path.exists())


def _bytes_of(path: Path) -> int:
    files: Iterable[Path] = path.rglob("*") if path.is_dir() else (path,)
    return sum(file.stat().st_size for file in files if file.is_file())
