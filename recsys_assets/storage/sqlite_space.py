"""The space that files of SQLite take on the disk, and its free pages given back."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

_WORTH_COMPACTING: Final = 0.1
"""Share of free pages in a database above which it is rewritten without them."""


def bytes_of(database: Path) -> int:
    """Return the bytes of a database and of the files that SQLite keeps beside it."""
    files = (database.with_name(database.name + suffix) for suffix in ("", "-wal", "-shm"))
    return sum(file.stat().st_size for file in files if file.exists())


def compact(database: Path) -> None:
    """Give the free pages of an SQLite file back to the disk, where they are many and nobody uses the file.

    Args:
        database: the file; nothing is done where it is missing.

    Raises:
        sqlite3.Error: it cannot be read or written.
    """
    if not database.exists():
        return
    with closing(sqlite3.connect(database, timeout=5, isolation_level=None)) as connection:
        ((pages,),), ((free,),) = (
            connection.execute(f"PRAGMA {pragma}").fetchall() for pragma in ("page_count", "freelist_count")
        )
        if free <= _WORTH_COMPACTING * pages:
            return
        try:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            # the web server reads it: the next prune compacts it, and new records fill the free pages till then
