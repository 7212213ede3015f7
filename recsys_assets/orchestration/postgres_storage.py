"""Dagster's storages on Postgres that wait for a server which is started again: the stock ones end a run after 13 s.

A call that a lost connection ended runs again from its start. Only the outermost one does, since a call inside of a
transaction would go on without what came before it.
"""

import inspect
import threading
from collections.abc import Callable, Mapping
from functools import partial, wraps
from typing import Any, Final, TypeVar

import sqlalchemy as db
from dagster._serdes import ConfigurableClassData
from dagster_postgres import PostgresRunStorage, PostgresScheduleStorage
from sqlalchemy.engine import Engine

from recsys_assets.errors import DatabaseUnavailableError, SettingsError
from recsys_assets.storage.database_urls import parse_database_url
from recsys_assets.storage.postgres_outage import is_outage, shown_server
from recsys_assets.storage.waiting import keep_trying

Storage = TypeVar("Storage", bound=type)
WAIT_SECONDS: Final = 60.0
"""Longest wait for a server that is started again."""
_AS_THEY_ARE: Final = frozenset(
    {
        "run_connection", "index_connection", "index_transaction", "connect", "optimize_for_webserver", "watch",
        "end_watch", "dispose", "upgrade", "prepare_insert_event", "prepare_insert_event_batch",
    }
)  # fmt: skip
"""Methods that give a connection, or need none."""
_calls: Final = threading.local()


def waits_for_server(storage: Storage) -> Storage:
    """Have every public method of a storage run again where the server went away during it."""
    for name, method in inspect.getmembers(storage, inspect.isfunction):
        if not name.startswith("_") and name not in _AS_THEY_ARE and not inspect.isgeneratorfunction(method):
            setattr(storage, name, _patient(method))
    return storage


def _patient(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        if getattr(_calls, "inside", False):
            return method(self, *args, **kwargs)
        _calls.inside = True
        try:
            return keep_trying(
                partial(method, self, *args, **kwargs),
                name=shown_server(self.postgres_url),
                is_outage=_is_outage,
                seconds=WAIT_SECONDS,
            )
        finally:
            _calls.inside = False

    return run


def _is_outage(error: Exception) -> bool:
    return isinstance(error, db.exc.DBAPIError) and error.orig is not None and is_outage(error.orig)


def connect_patiently(engine: Engine) -> None:
    """Have an engine's new connections wait for the server, up to `WAIT_SECONDS`.

    Its errors are then `DatabaseUnavailableError`, or `SettingsError` where the server rejects the user: Dagster, which
    knows neither, does not try again what was tried here.
    """
    url = parse_database_url(engine.url.set(drivername="postgresql").render_as_string(hide_password=False))
    name = shown_server(url.connection)

    def connect(dialect: Any, _record: object, args: Any, options: Any) -> Any:
        try:
            return keep_trying(
                partial(dialect.connect, *args, **options),
                name=name,
                is_outage=is_outage,
                seconds=WAIT_SECONDS,
            )
        except dialect.dbapi.OperationalError as error:
            cause = url.one_line(error)
            if is_outage(error):
                raise DatabaseUnavailableError(
                    f"{name}: no answer for {WAIT_SECONDS:.0f} s ({cause}); start the server, then run the same "
                    "command again"
                ) from error
            raise SettingsError(f"[dagster] postgres: the server cannot be used: {cause}") from error

    db.event.listen(engine, "do_connect", connect)


class _Patient:
    """Opens a storage of Dagster's whose server may be started again; mixed with the stock class."""

    _engine: Any

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Any:
        """Connect to the server that a `dagster.yaml` names, and make missing tables."""
        storage: Any = cls(postgres_url=config_value["postgres_url"], inst_data=inst_data)  # type: ignore[call-arg]
        connect_patiently(storage._engine)  # noqa: SLF001  one of this class
        return storage

    def optimize_for_webserver(self, *args: Any, **options: Any) -> None:
        """Keep a connection open, with limits."""
        super().optimize_for_webserver(*args, **options)  # type: ignore[misc]
        connect_patiently(self._engine)


@waits_for_server
class PostgresRuns(_Patient, PostgresRunStorage):
    """Dagster's runs, on a server that may be started again."""


@waits_for_server
class PostgresSchedules(_Patient, PostgresScheduleStorage):
    """The state of Dagster's schedules and sensors, on a server that may be started again."""
