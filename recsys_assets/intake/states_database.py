"""`item_states.sqlite`, opened for one transaction: to change states, or to read what is to be sent.

Writers wait for one another by SQLite's own lock; what was changed is on the disk once the block has ended.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import msgspec

from recsys_assets.errors import ItemStatesUnavailableError
from recsys_assets.intake.state_rows import SCHEMA
from recsys_assets.storage.atomic import make_folder

BUSY_SECONDS: Final = 10.0
"""Longest wait for another writer."""


@contextmanager
def writing_states(path: Path, *, more: str = "", reads: bool = False) -> Iterator[sqlite3.Connection]:
    """Open the file with the writers' lock, and commit at the end of the block.

    Args:
        path: `item_states.sqlite`; made where it is missing.
        more: SQL that makes further tables where they are missing.
        reads: see one state of the file, without the lock.

    Raises:
        ItemStatesUnavailableError: the file cannot be written, or a row of it cannot be read.
    """
    try:
        make_folder(path.parent)
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.executescript(SCHEMA + more)
            connection.execute("BEGIN" if reads else "BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
    except (sqlite3.Error, OSError, msgspec.DecodeError) as error:
        raise ItemStatesUnavailableError(
            f"{path}: item states cannot be stored ({error}); free disk space or mend its permissions"
        ) from error
