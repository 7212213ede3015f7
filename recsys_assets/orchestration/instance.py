"""The home's own Dagster storage, and the environment of the processes that work for a home."""

import os
from typing import Any, Final

import dagster as dg

from recsys_assets.storage.home import HOME_VARIABLE, Home

_DAGSTER_YAML: Final = """\
telemetry:
  enabled: false
nux:
  enabled: false
"""
"""Nothing is sent to Dagster's makers, and the UI opens without asking to join them."""
_SPINS: Final = ("GOMP_SPINCOUNT", "1000")
"""torch's OpenMP threads spin at every barrier; beside one busy process that made a training of 2.4 s take 58 s
here, and 5 s with this few spins. The variable is read when torch is imported."""


def open_instance(home: Home) -> dg.DagsterInstance:
    """Open the home's Dagster storage, made where missing; whatever `DAGSTER_HOME` says."""
    home.dagster.mkdir(parents=True, exist_ok=True)
    configuration = home.dagster / "dagster.yaml"
    if not configuration.exists():
        configuration.write_text(_DAGSTER_YAML, encoding="utf-8")
    return dg.DagsterInstance.from_config(str(home.dagster))


def child_environment(home: Home) -> dict[str, str]:
    """Return the variables of a process that works for `home`: this process's own, and the home's places."""
    name, spins = _SPINS
    return {
        name: spins,
        **os.environ,
        HOME_VARIABLE: str(home.root),
        "DAGSTER_HOME": str(home.dagster),
    }


def limit_spinning() -> None:
    """In this process and its children, let torch's threads sleep soon where another process wants the core.

    Call it before torch is imported.
    """
    os.environ.setdefault(*_SPINS)


def commit_without_waiting_for_the_disk() -> None:
    """In this process, let SQLite leave a commit of Dagster's event log to the system instead of fsyncing it.

    An event of a day costs several commits, and an fsync each is most of what a wide run waits for. In
    write-ahead mode a killed process loses nothing by it; after a power cut the last events may be missing
    (https://sqlite.org/pragma.html#pragma_synchronous), and the next build materialises those days again.
    """
    from sqlalchemy import event  # noqa: PLC0415  only builds need it
    from sqlalchemy.engine import Engine  # noqa: PLC0415

    if not event.contains(Engine, "connect", _set_normal):
        event.listen(Engine, "connect", _set_normal)


def _set_normal(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA synchronous = NORMAL")
