"""Files that only their owner reads: everything in a home is about people, whatever the shell's umask says.

Every process of a home creates its files with `PRIVATE` as umask; `close_to_others` mends a home of an earlier version.
What a user names, as the target of an export, gets the mode that the user's own umask gives (`open_as_user`).
"""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from recsys_assets.storage.atomic import make_folder
from recsys_assets.storage.home import Home

PRIVATE: Final = 0o077
"""The bits that group and others do not get."""
_UMASK_VARIABLE: Final = "RECSYS_UMASK"
"""The user's own umask, octal, for this process and its children."""


def keep_private() -> None:
    """In this process and its children, create files and folders that only their owner reads and writes."""
    before = os.umask(PRIVATE)
    os.umask(before | PRIVATE)
    os.environ.setdefault(_UMASK_VARIABLE, f"{before:03o}")


def open_as_user(path: Path) -> None:
    """Give a file or a folder that the user named the mode that it has when the user makes one."""
    umask = os.environ.get(_UMASK_VARIABLE)
    if umask is not None:
        most = 0o777 if path.is_dir() else 0o666
        path.chmod(most & ~int(umask, 8))


def make_users_folder(folder: Path) -> None:
    """Make a folder that the user named, and its parents, where they are missing."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    make_folder(folder)
    for made in missing:
        open_as_user(made)


def close_to_others(home: Home) -> None:
    """Take group's and others' permissions from what an earlier version left in a home; quick where there are none.

    Settings and rules, which people edit, stay as they are; so do links, and files of another owner.
    """
    for path in _written_here(home):
        with suppress(OSError):
            if _is_open(path):
                for found in (path, *_below(path)):
                    _close(found)


def _below(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        yield from (Path(root, name) for name in (*folders, *files))


def _is_open(path: Path) -> bool:
    status = path.lstat()
    return not stat.S_ISLNK(status.st_mode) and bool(status.st_mode & PRIVATE)


def _close(path: Path) -> None:
    with suppress(OSError):  # gone, or another owner's
        if _is_open(path):
            path.chmod(stat.S_IMODE(path.lstat().st_mode) & ~PRIVATE)


def _written_here(home: Home) -> list[Path]:
    """Return what the commands write here, but for settings and rules, which people edit; not all of it exists."""
    folders = (
        home.raw.parent,
        home.quarantine,
        home.reports,
        home.artifacts,
        home.releases,
        home.exports,
    )
    files = (
        home.source_days,
        home.source_account,
        home.row_account,
        home.api_keys,
        home.init_marker,
        home.recalls,
        home.unfinished_recalls,
        home.experiments_log,
        home.forgotten,
        home.unfinished_forgets,
    )
    records = (home.build_costs, home.plan, home.before_plan, home.stream_state)
    databases = [
        database.with_name(database.name + suffix)
        for database in (
            home.quality_db,
            home.events_db,
            home.answers_db,
            home.notices_db,
            home.item_states_db,
        )
        for suffix in ("", "-wal", "-shm")
    ]
    others = (home.downloads, home.scratch, home.dagster, home.logs, home.lock("build"))
    return [*folders, *files, *records, *others, *databases]
