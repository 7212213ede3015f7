"""The home's `dagster.yaml`: the storage of Dagster's runs and events, as `[dagster]` in `recsys.toml` says.

Nothing here imports Dagster, so that `recsys doctor` reads it at once.
"""

import json
import re
from importlib.util import find_spec
from typing import Any, Final

from recsys_assets.errors import SettingsError
from recsys_assets.settings import DagsterSettings
from recsys_assets.storage.atomic import make_folder, replace_file
from recsys_assets.storage.home import Home
from recsys_assets.storage.postgres_outage import NOTICE_LOSS, is_outage, shown_server
from recsys_assets.storage.waiting import keep_trying

_DAGSTER_YAML: Final = """\
telemetry:
  enabled: false
nux:
  enabled: false
"""
"""Nothing is sent to Dagster's makers, and the UI opens without asking to join them."""
_STORAGE_LINES: Final = re.compile(r"^# storage: .*?^# end of storage\n", re.MULTILINE | re.DOTALL)
_FIRST_LINE: Final = re.compile(r"^# storage: ", re.MULTILINE)
_OWN_STORAGE: Final = re.compile(r"^(storage|event_log_storage):", re.MULTILINE)
_SQLITE: Final = """\
# storage: these lines are written by recsys; edit [dagster] in recsys.toml instead
event_log_storage:
  module: recsys_assets.orchestration.event_log
  class: BatchedEventLog
  config:
    base_dir: {runs}
# end of storage
"""
_POSTGRES: Final = """\
# storage: these lines are written by recsys; edit [dagster] in recsys.toml instead
event_log_storage:
  module: recsys_assets.orchestration.postgres_event_log
  class: PostgresEventLog
  config:
    postgres_url: {url}
run_storage:
  module: recsys_assets.orchestration.postgres_storage
  class: PostgresRuns
  config:
    postgres_url: {url}
schedule_storage:
  module: recsys_assets.orchestration.postgres_storage
  class: PostgresSchedules
  config:
    postgres_url: {url}
{queue}# end of storage
"""
_QUEUE: Final = """\
run_coordinator:
  module: recsys_assets.orchestration.run_queue
  class: HomeQueue
"""
"""Left out where the user's own lines have one."""
_RIGHTS: Final = (
    "SELECT current_user, CASE WHEN to_regclass('event_logs') IS NULL"
    " THEN has_schema_privilege(current_schema(), 'CREATE') ELSE has_table_privilege('event_logs', 'INSERT') END,"
    " current_setting('transaction_read_only')"
)
"""The user's name, whether it may make or fill the tables of Dagster, and `on` where nobody may write."""
_OWN_QUEUE: Final = re.compile(r"^(run_coordinator|run_queue|concurrency):", re.MULTILINE)


def configure_dagster(home: Home, settings: DagsterSettings) -> None:
    """Write the home's `dagster.yaml`, or bring its lines on storage up to date; other lines stay as they are.

    A file that names a storage of the user's own stays as it is.

    Raises:
        SettingsError: `[dagster] postgres` is set, and the extra is not installed; or the file is damaged.
    """
    if settings.postgres:
        require_extra()
    make_folder(home.dagster)
    if home.dagster_yaml.exists() and (fault := fault_of_yaml(home)):
        raise SettingsError(f"{home.dagster_yaml}: {fault}; `recsys build` moves it away and writes another")
    before = home.dagster_yaml.read_text(encoding="utf-8") if home.dagster_yaml.exists() else None
    others = _STORAGE_LINES.sub("", before or _DAGSTER_YAML)
    if _OWN_STORAGE.search(others):
        return
    if others and not others.endswith("\n"):
        others += "\n"
    wanted = others + _storage_lines(home, settings, queue="" if _OWN_QUEUE.search(others) else _QUEUE)
    if wanted != before:  # it may hold the password of a database
        replace_file(home.dagster_yaml, wanted.encode(), mode=0o600)


def require_extra() -> None:
    """Check that Dagster can use a Postgres server.

    Raises:
        SettingsError: the extra is not installed.
    """
    if find_spec("dagster_postgres") is None:
        raise SettingsError("[dagster] postgres needs the extra: pip install 'recsys-assets[scale]'")


def require_server(url: str, *, seconds: float) -> None:
    """Connect to the Postgres server once, since Dagster would try for 13 seconds and end with a traceback.

    Args:
        url: its address.
        seconds: longest wait for one that does not answer.

    Raises:
        SettingsError: it cannot be reached, the URL is not one, or Dagster could not write; without the password.
    """
    import sqlalchemy as db  # noqa: PLC0415  only homes on a server need it

    found: list[Any] = []

    def connect() -> None:
        longest = {"connect_timeout": NOTICE_LOSS["connect_timeout"]}
        engine = db.create_engine(_with_driver(url), connect_args=longest)
        with engine.connect() as connection:
            found.extend(connection.execute(db.text(_RIGHTS)).one())
        engine.dispose()

    def is_gone(error: Exception) -> bool:
        return isinstance(error, db.exc.DBAPIError) and error.orig is not None and is_outage(error.orig)

    try:
        keep_trying(connect, name=shown_server(url), is_outage=is_gone, seconds=seconds)
    except (db.exc.SQLAlchemyError, ValueError) as error:
        cause = str(getattr(error, "orig", error)).strip().partition("\n")[0]
        raise SettingsError(
            f"[dagster] postgres: the server cannot be used: {cause}; start it, mend the URL, or take the setting out"
        ) from error
    _require_rights(url, *found)


def _require_rights(url: str, user: str, may_write: bool | None, read_only: str) -> None:  # noqa: FBT001  a row
    """Check what the server says of its user, by `_RIGHTS`."""
    if read_only == "on":
        fault = "is read-only; give a server that takes writes"
    elif not may_write:
        fault = f"gives {user} no right to make tables; run `ALTER DATABASE … OWNER TO {user}` there, in that database"
    else:
        return
    raise SettingsError(f"[dagster] postgres: {shown_server(url)} {fault}, or take the setting out")


def _with_driver(url: str) -> str:
    """Name the driver that dagster-postgres brings; SQLAlchemy's default is another one."""
    return re.sub(r"^postgres(ql)?://", "postgresql+psycopg2://", url)


def event_log_in_use(home: Home) -> str:
    """Return the event log that the home's `dagster.yaml` names, in words, for `recsys doctor`."""
    if not home.dagster_yaml.exists():
        return "none yet"
    text = _text(home)
    if "BatchedEventLog" in text:
        return "SQLite, in batches"
    if "PostgresEventLog" in text:
        return "Postgres, in batches"
    return f"as {home.dagster_yaml} says" if _OWN_STORAGE.search(text) else "SQLite, event by event"


def fault_of_yaml(home: Home) -> str:
    """Return why the home's `dagster.yaml` is damaged; empty where it is whole."""
    import yaml  # type: ignore[import-untyped]  # noqa: PLC0415  Dagster's own reader

    try:
        text = home.dagster_yaml.read_text(encoding="utf-8")
        found = yaml.safe_load(text)
    except FileNotFoundError:
        return "missing"
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        return f"cannot be read ({str(error).partition(chr(10))[0]})"
    if not isinstance(found, dict) or not all(isinstance(value, dict) for value in found.values()):
        return "not a configuration of Dagster"
    return "cut short" if _FIRST_LINE.search(text) and not _STORAGE_LINES.search(text) else ""


def has_sqlite_log(home: Home) -> bool:
    """Return True where Dagster's storage is in the home: the one written here, or none that can be read."""
    return bool(fault_of_yaml(home)) or "BatchedEventLog" in _text(home)


def _text(home: Home) -> str:
    return home.dagster_yaml.read_text(encoding="utf-8", errors="replace")


def _storage_lines(home: Home, settings: DagsterSettings, *, queue: str) -> str:
    if settings.postgres is None:
        return _SQLITE.format(runs=json.dumps(str(home.dagster / "history" / "runs")))
    return _POSTGRES.format(url=json.dumps(_with_driver(settings.postgres)), queue=queue)
