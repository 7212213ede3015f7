"""The files that a forget is about to change, as they were before its first step, so that a killed one goes on right.

It says what was fresh: only that is recorded as made from the rewritten days, the rest stays stale.
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Final

import msgspec
import polars as pl

from recsys_assets import columns
from recsys_assets.lake.forgotten_rows import is_of
from recsys_assets.orchestration.fingerprints import INPUTS_KEY, Inputs
from recsys_assets.orchestration.planning.artifact_parts import ASSETS
from recsys_assets.orchestration.repair.made_artifacts import written_inputs
from recsys_assets.settings import load_or_default_settings
from recsys_assets.storage.atomic import read_file, replace_file
from recsys_assets.storage.home import Home
from recsys_assets.storage.partition_store import PartitionStore
from recsys_assets.storage.string_table import Vocabulary

OF_USERS: Final = pl.Schema({columns.USER_ID: pl.String()})
"""The column by which the rows of users are found in any daily table."""


class ChangedFiles(msgspec.Struct, frozen=True, kw_only=True):
    """Files with rows of the users, and what was fresh."""

    number: int
    """Of the forget."""
    tables: dict[str, dict[date, str]]
    """Folder of a daily table, in the home -> day -> checksum of its file."""
    fresh_days: frozenset[date]
    """Days of `interactions` that were as a build would make them."""
    versions: dict[date, list[str]]
    """Day -> names of its earlier versions with rows of the users."""
    fresh_artifacts: frozenset[str]
    """Artifacts that were as a build would make them."""
    users: int
    """Number of users in the artifact `embeddings`."""
    nums: list[int]
    """The users' numbers there, ascending."""


def planned(home: Home, ids: frozenset[str], *, number: int) -> ChangedFiles:
    """Return the files that a forget changes; they are looked at once, and kept on the disk for its later steps."""
    try:
        found = msgspec.json.decode(read_file(home.forget_changes), type=ChangedFiles)
        if found.number == number:
            return found
    except (
        FileNotFoundError,
        msgspec.DecodeError,
    ):  # of another version: what it says was fresh is made again
        pass
    found = _looked_at(home, ids, number)
    replace_file(home.forget_changes, msgspec.json.encode(found))
    return found


def daily_tables(home: Home) -> list[Path]:
    """Return the folders of the daily tables that have rows of users, the raw one first."""
    return [home.raw, home.interactions, home.event_days, home.impression_days, home.online_metrics]


def name_of(home: Home, folder: Path) -> str:
    """Return a folder's path in the home."""
    return folder.relative_to(home.root).as_posix()


def _looked_at(home: Home, ids: frozenset[str], number: int) -> ChangedFiles:
    inputs = Inputs(home, load_or_default_settings(home))
    made_from = {day: file.provenance.get(INPUTS_KEY) for day, file in inputs.interaction_files.items()}
    users, nums = _in_embeddings(home, ids)
    return ChangedFiles(
        number=number,
        tables={name_of(home, folder): dict(_with_users(folder, ids)) for folder in daily_tables(home)},
        fresh_days=frozenset(
            day for day in inputs.raw_files if day in made_from and made_from[day] == inputs.interactions(day)
        ),
        versions=_versions(inputs.raw_store, ids),
        fresh_artifacts=frozenset(
            name for name in ASSETS if written_inputs(home.artifact(name)) == inputs.of_artifact(name)
        ),
        users=users,
        nums=nums,
    )


def _with_users(folder: Path, ids: frozenset[str]) -> Iterator[tuple[date, str]]:
    """Yield each day of a table that has rows of the users, and the checksum of its file."""
    store = PartitionStore(root=folder, schema=OF_USERS)
    files = store.files()
    whole = [day for day, file in files.items() if file.rows]
    for chunk in store.read_chunks(whole, where=lambda rows: rows.filter(is_of(ids))):
        yield from ((day, files[day].checksum) for day, rows in chunk if rows.height)


def _versions(store: PartitionStore, ids: frozenset[str]) -> dict[date, list[str]]:
    found: dict[date, list[str]] = {}
    for version in store.versions.every() if store.versions else ():
        rows = pl.scan_parquet(version.path, hive_partitioning=False, glob=False).filter(is_of(ids))
        if rows.select(pl.len()).collect().item():
            found.setdefault(version.day, []).append(version.path.name)
    return found


def _in_embeddings(home: Home, ids: frozenset[str]) -> tuple[int, list[int]]:
    try:
        known = Vocabulary.load(home.artifact("embeddings"), "users")
    except (OSError, ValueError):  # there is none, or it is damaged: the next build makes it again
        return 0, []
    return len(known), sorted(num for num in known.nums(sorted(ids)).tolist() if num >= 0)
