"""The home's Dagster: its code location, its instance, and the setup of processes that work for the home."""

import os
import sqlite3
import warnings
from typing import Any, Final

import dagster as dg
from alembic.config import Config
from alembic.script import ScriptDirectory

from recsys_assets.errors import SettingsError
from recsys_assets.orchestration.assets import (
    embeddings,
    exports,
    features,
    index,
    interactions,
    lake,
    online,
    release,
)
from recsys_assets.orchestration.dagster_yaml import configure_dagster, require_server
from recsys_assets.orchestration.jobs import automation
from recsys_assets.orchestration.partitions import daily_partitions
from recsys_assets.orchestration.resources import (
    Artifacts,
    HeldLake,
    HomeReleases,
    SilentProgress,
    StageProgress,
)
from recsys_assets.orchestration.step_output import copy_output_in_a_thread
from recsys_assets.settings import load_or_default_settings
from recsys_assets.storage.atomic import sync_all
from recsys_assets.storage.home import HOME_VARIABLE, Home
from recsys_assets.training_settings import SPINS

_BACK_SECONDS: Final = 60.0
"""Longest wait for a server that this process has reached before."""
_reached: Final = set[str]()
_migrations: Final = dict[str, ScriptDirectory]()
_read_migrations: Final = ScriptDirectory.from_config


def build_definitions(
    home: Home, *, progress: StageProgress | None = None, warm: bool = False
) -> dg.Definitions:
    """Return the code location of `home`, with the days that its settings name now.

    Args:
        home: any folder; one without `recsys.toml` has the days of the embedded default.
        progress: reports how far long assets are; None reports nothing.
        warm: for a warm replay.

    Raises:
        SettingsError: the home's `recsys.toml` cannot be used.
    """
    settings, path = load_or_default_settings(home), str(home.root)
    source = settings.source
    daily = daily_partitions(source)
    with (
        warnings.catch_warnings()
    ):  # backfill policies are "beta" and partitions of checks "preview", at every one
        warnings.simplefilter("ignore", dg.BetaWarning)
        warnings.simplefilter("ignore", dg.PreviewWarning)
        by_day = [*lake.lake_assets(daily, source=source.spec), *interactions.interactions_assets(daily)]
    materialised = dg.Definitions(
        assets=[
            *by_day,
            *embeddings.ASSETS,
            *features.ASSETS,
            *index.ASSETS,
            *release.ASSETS,
            *online.ASSETS,
        ],
        asset_checks=[*embeddings.CHECKS, *features.CHECKS, *index.CHECKS],
        resources={
            "lake": HeldLake(home_path=path, warm=warm),
            "artifacts": Artifacts(home_path=path),
            "releases": HomeReleases(home_path=path),
            "progress": progress or SilentProgress(),
        },
    )
    exported = exports.export_definitions(settings.export)
    return dg.Definitions.merge(materialised, automation(source, settings.export), exported)


def open_instance(home: Home) -> dg.DagsterInstance:
    """Open the home's Dagster storage, made where missing; whatever `DAGSTER_HOME` says.

    Raises:
        SettingsError: `recsys.toml` or `dagster.yaml` cannot be used, or the server of `[dagster] postgres` cannot.
    """
    from sqlalchemy import event  # noqa: PLC0415  only builds need it
    from sqlalchemy.engine import Engine  # noqa: PLC0415

    if not event.contains(Engine, "handle_error", _name_database):
        event.listen(Engine, "handle_error", _name_database)
    settings = load_or_default_settings(home).dagster
    configure_dagster(home, settings)
    read_migrations_once()
    copy_output_in_a_thread()
    if settings.postgres is not None:
        require_server(settings.postgres, seconds=_BACK_SECONDS if settings.postgres in _reached else 0)
        _reached.add(settings.postgres)
    try:
        return dg.DagsterInstance.from_config(str(home.dagster))
    except dg.DagsterError as error:
        cause = " ".join(str(error).split())
        raise SettingsError(f"{home.dagster_yaml}: {cause}; mend the file, or remove it") from error


def child_environment(home: Home) -> dict[str, str]:
    """Return the variables of a process that works for `home`: this process's own, and the home's places."""
    name, spins = SPINS
    return {
        name: spins,
        **os.environ,
        HOME_VARIABLE: str(home.root),
        "DAGSTER_HOME": str(home.dagster),
    }


def read_migrations_once() -> None:
    """In this process, keep the migrations of Dagster's databases, which Alembic reads again for each opened one.

    There are 90 scripts, a tenth of a second a time.
    """
    ScriptDirectory.from_config = _kept_migrations  # type: ignore[method-assign]


def _kept_migrations(config: Config) -> ScriptDirectory:
    place = config.get_main_option("script_location") or ""
    if place not in _migrations:
        _migrations[place] = _read_migrations(config)
    return _migrations[place]


def settle_history(home: Home) -> None:
    """Put Dagster's record of a build on the disk, which SQLite leaves to the system.

    SQLite does so itself when the last process closes a database, but not while a web server has it open.
    """
    history = home.dagster / "history"
    sync_all([*history.rglob("*-wal"), history, home.dagster])


def commit_without_waiting_for_the_disk() -> None:
    """In this process, let SQLite leave a commit of Dagster's event log to the system instead of fsyncing it.

    An event of a day costs several commits, and an fsync each is most of what a wide run waits for. In
    write-ahead mode a killed process loses nothing by it (https://sqlite.org/pragma.html#pragma_synchronous). A power
    cut during a build may take its last events, and the next build materialises those days again; `settle_history`
    makes those of a build durable that has ended.
    """
    from sqlalchemy import event  # noqa: PLC0415  only builds need it
    from sqlalchemy.engine import Engine  # noqa: PLC0415

    if not event.contains(Engine, "connect", _set_normal):
        event.listen(Engine, "connect", _set_normal)


def _set_normal(connection: Any, _record: object) -> None:
    if isinstance(connection, sqlite3.Connection):  # else it is of a Postgres server
        connection.execute("PRAGMA synchronous = NORMAL")


def _name_database(context: Any) -> None:
    """Put the file into an error of SQLite, which names none."""
    error = context.original_exception
    if isinstance(error, sqlite3.Error) and context.engine is not None:
        error.filename = context.engine.url.database  # type: ignore[attr-defined]
