"""The home's own Dagster storage: made where it isn't there, and named to this process and its children."""

import os
from typing import Any, Final

from recsys_assets.storage.home import HOME_VARIABLE, Home

_DAGSTER_YAML: Final = """\
telemetry:
  enabled: false
nux:
  enabled: false
"""
"""Nothing is sent to Dagster's makers, and the UI opens without asking to join them."""


def prepare_dagster(home: Home) -> None:
    """Make the home's Dagster storage, and set up this process, and its children, to work for the home."""
    home.dagster.mkdir(parents=True, exist_ok=True)
    configuration = home.dagster / "dagster.yaml"
    if not configuration.exists():
        configuration.write_text(_DAGSTER_YAML, encoding="utf-8")
    os.environ["DAGSTER_HOME"] = str(home.dagster)
    # torch's OpenMP threads spin at every barrier; beside one busy process that made a training of 2.4 s take 58 s
    # here, and 5 s with this few spins. It is read when torch is imported.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    os.environ[HOME_VARIABLE] = str(home.root)


def commit_without_waiting_for_the_disk() -> None:
    """In this process, let SQLite leave a commit of Dagster's event log to the system instead of fsyncing it.

    An event of a day costs several commits, and an fsync each is most of what a wide run waits for. In
    write-ahead mode a killed process loses nothing by it; after a power cut the last events may be missing
    (https://sqlite.org/pragma.html#pragma_synchronous), and the next build makes those days again.
    """
    from sqlalchemy import event  # noqa: PLC0415  only builds need it
    from sqlalchemy.engine import Engine  # noqa: PLC0415

    if not event.contains(Engine, "connect", _set_normal):
        event.listen(Engine, "connect", _set_normal)


def _set_normal(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA synchronous = NORMAL")
