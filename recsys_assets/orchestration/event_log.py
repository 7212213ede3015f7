"""Dagster's event log for assets of thousands of days: SQLite with one open connection a shard, written in batches.

The stock storage opens an engine for each event and writes it in several transactions, which on a long history is
three quarters of a build. Here a batch of events is one transaction a shard. Tables and files are the stock ones,
so that every Dagster tool reads them.
"""

import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, cast

import sqlalchemy as db
from dagster import AssetCheckEvaluation, DagsterEventType
from dagster._core.events import (
    ASSET_CHECK_EVENTS,
    ASSET_EVENTS,
    EVENT_TYPE_TO_PIPELINE_RUN_STATUS,
    DagsterEvent,
)
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from dagster._serdes import ConfigurableClassData
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import StaticPool

from recsys_assets.orchestration.answered_days import AnsweredDays

_BATCH_VARIABLE: Final = "DAGSTER_EVENT_BATCH_SIZE"
_BATCH_EVENTS: Final = "500"
"""Events in a transaction; Dagster hands them over together only where the variable is set."""
_INDEX_SHARD: Final = "index"
_OPEN_SHARDS: Final = 8
"""Open connections to the databases of runs; the web server reads one after another."""
_BUSY_SECONDS: Final = 60.0
_IN_BOTH_SHARDS: Final = frozenset({*ASSET_EVENTS, *ASSET_CHECK_EVENTS, *EVENT_TYPE_TO_PIPELINE_RUN_STATUS})
"""Types of the events that are in the database of their run and in the index of all runs."""
_REMOVE_PLANS: Final = SqlEventLogStorageTable.delete().where(
    SqlEventLogStorageTable.c.dagster_event_type == DagsterEventType.ASSET_MATERIALIZATION_PLANNED.value,
    SqlEventLogStorageTable.c.asset_key == db.bindparam("of_asset"),
    SqlEventLogStorageTable.c.partition == db.bindparam("of_day"),
    SqlEventLogStorageTable.c.run_id == db.bindparam("of_run"),
)


def let_dagster_send_batches() -> None:
    """In this process, have Dagster hand over the events of a run's days together."""
    os.environ.setdefault(_BATCH_VARIABLE, _BATCH_EVENTS)


class BatchedEvents(AnsweredDays):
    """The part of an event log that is the same in every database: batches, and days that are planned."""

    def _store_asset_check_evaluation_planned(self, event: EventLogEntry, event_id: int | None) -> None:
        """Store no plan of a check: its answer is stored when it is there.

        The stock storage plans a row a check, and of days a row a day. Those of a range, which is answered once,
        and of a run that was killed or failed stay planned for ever, and count as failed checks.
        """

    def _store_runless_asset_check_evaluation(self, event: EventLogEntry, event_id: int | None) -> None:
        """Store an answer that no run gave, in place of the one before: the table has one a check, day and run."""
        answer = cast("AssetCheckEvaluation", _dagster_event(event).event_specific_data)
        rows = AssetCheckExecutionsTable.c
        before = AssetCheckExecutionsTable.delete().where(
            rows.asset_key == answer.asset_key.to_string(),
            rows.check_name == answer.check_name,
            rows.partition == answer.partition,
            rows.run_id == event.run_id,
        )
        with self.index_connection() as connection:
            connection.execute(before)
        super()._store_runless_asset_check_evaluation(event, event_id)

    def store_event(self, event: EventLogEntry) -> None:
        """Store one event; a day's as in a batch, which removes its plan."""
        if _is_of_a_day(event):
            self.store_event_batch([event])
        else:
            super().store_event(event)

    def _store_in_index(
        self, connection: Connection, events: Sequence[tuple[EventLogEntry, Mapping[str, Any]]]
    ) -> list[tuple[EventLogEntry, int]]:
        """Store events and their rows, what they say of assets too; return the events with their new numbers.

        A planned day's event goes when the day is materialised: it says nothing any more, and on a long history
        these events were a third of the log. Checks are not stored yet: they need a connection of their own.
        """
        materialised = [row for event, row in events if _is_of_a_day(event)]
        if materialised:
            connection.execute(_REMOVE_PLANS, [_plan_of(row) for row in materialised])
        inserted = SqlEventLogStorageTable.insert().returning(
            SqlEventLogStorageTable.c.id, sort_by_parameter_order=True
        )
        ids = connection.execute(inserted, [row for _, row in events]).scalars().all()
        numbered = [(event, number) for (event, _), number in zip(events, ids, strict=True)]
        of_assets = [(event, number) for event, number in numbered if _type_of(event) in ASSET_EVENTS]
        if of_assets:
            self._store_asset_event_tags(connection, [e for e, _ in of_assets], [n for _, n in of_assets])
            # of each asset the last event of a type, which replaces what those before say
            last = {(_dagster_event(e).asset_key, _type_of(e)): (e, n) for e, n in of_assets}
            for event, number in sorted(last.values(), key=lambda pair: pair[1]):
                self._store_asset_event(connection, event, number)
        return numbered

    def _store_checks(self, numbered: Sequence[tuple[EventLogEntry, int]]) -> None:
        for event, number in numbered:
            if _type_of(event) in ASSET_CHECK_EVENTS:
                self.store_asset_check_event(event, number)

    def _rows(self, events: Sequence[EventLogEntry]) -> list[tuple[EventLogEntry, Mapping[str, Any]]]:
        return [(event, self._event_to_row(_without_log_tags(event))) for event in events]


class BatchedEventLog(BatchedEvents, SqliteEventLogStorage):
    """The event log of a home: the stock SQLite files, each with one connection that stays open."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        """Open the databases in `base_dir`, made where missing."""
        self._open: OrderedDict[str, tuple[int, Engine, Connection]] = OrderedDict()
        self._tables: set[str] = set()
        super().__init__(base_dir, inst_data=inst_data)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "BatchedEventLog":
        """Open the log that a `dagster.yaml` names."""
        let_dagster_send_batches()
        return cls(inst_data=inst_data, **config_value)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store the events of one run in their order, in one transaction for the run and one for the index.

        A planned day is in the index only: the run's own log is for people.
        """
        rows = self._rows(events)
        of_run = [row for event, row in rows if not _plans_a_day(event)]
        if of_run:
            with self.run_connection(events[0].run_id) as connection:
                connection.execute(SqlEventLogStorageTable.insert(), of_run)
        shared = [(event, row) for event, row in rows if _type_of(event) in _IN_BOTH_SHARDS]
        if shared:
            with self.index_connection() as connection:
                numbered = self._store_in_index(connection, shared)
            self._store_checks(numbered)

    def has_table(self, table_name: str) -> bool:
        """Return True if the index has the table; looked up once."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def dispose(self) -> None:
        """Close every connection."""
        super().dispose()
        with self._db_lock:
            for shard in list(self._open):
                self._close(shard)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        """Yield the shard's connection in a transaction; one thread at a time, as the stock storage."""
        with self._db_lock, self._connection(shard) as connection, connection.begin():
            yield connection

    @contextmanager
    def _connection(self, shard: str) -> Iterator[Connection]:
        kept = self._open.get(shard)
        if kept is not None and kept[0] != _inode(self.path_for_shard(shard)):  # removed by another process
            self._close(shard)
            self._initialized_dbs.discard(shard)
            kept = None
        if kept is None:
            kept = self._open_shard(shard)
        self._open.move_to_end(shard)
        try:
            yield kept[2]
        except BaseException:
            self._close(shard)
            raise

    def _open_shard(self, shard: str) -> tuple[int, Engine, Connection]:
        while len(self._open) >= _OPEN_SHARDS:
            self._close(next(name for name in self._open if name != _INDEX_SHARD))
        engine = db.create_engine(
            self.conn_string_for_shard(shard),
            poolclass=StaticPool,
            connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False},
        )
        if shard not in self._initialized_dbs:
            self._initdb(engine)
            self._initialized_dbs.add(shard)
        self._open[shard] = (_inode(self.path_for_shard(shard)), engine, engine.connect())
        return self._open[shard]

    def _close(self, shard: str) -> None:
        _, engine, connection = self._open.pop(shard)
        connection.close()
        engine.dispose()


def _dagster_event(event: EventLogEntry) -> DagsterEvent:
    found = event.get_dagster_event()
    assert found is not None  # noqa: S101  it raises where there is none
    return found


def _type_of(event: EventLogEntry) -> DagsterEventType | None:
    return event.dagster_event_type if event.is_dagster_event else None


def _plans_a_day(event: EventLogEntry) -> bool:
    return (
        _type_of(event) == DagsterEventType.ASSET_MATERIALIZATION_PLANNED
        and _dagster_event(event).partition is not None
    )


def _is_of_a_day(event: EventLogEntry) -> bool:
    return (
        _type_of(event) == DagsterEventType.ASSET_MATERIALIZATION
        and _dagster_event(event).partition is not None
    )


def _without_log_tags(event: EventLogEntry) -> EventLogEntry:
    """Return a day's event without the tags of Python's log, which repeat run, job and step."""
    if not _is_of_a_day(event):
        return event
    return event._replace(dagster_event=_dagster_event(event)._replace(logging_tags={}))


def _plan_of(materialised: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "of_asset": materialised["asset_key"],
        "of_day": materialised["partition"],
        "of_run": materialised["run_id"],
    }


def _inode(path: str) -> int:
    try:
        return os.stat(path).st_ino  # noqa: PTH116  called for each event
    except FileNotFoundError:
        return -1
