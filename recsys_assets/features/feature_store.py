"""Reader of a release's feature tables, from a finished SQLite file.

The API imports this module: standard library only.
"""

import sqlite3
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep, thread_time
from typing import Any, Final
from urllib.parse import quote

from recsys_assets.errors import BrokenReleaseError, SearchTooBroadError

_TABLES: Final = {"user": ("user_features", "user_id"), "item": ("item_features", "item_id")}
_BATCH: Final = 500
_IDLE: Final = 8
"""Connections kept open while nobody uses them."""
LEAST_PREFIX: Final = 2
"""Bytes of UTF-8 that the beginning of a word needs; a shorter one is looked up as a whole word."""
_WORDS_RANKED: Final = 5
"""Different words of a search whose matches are ranked by their words too; with more, by popularity alone."""
_RANKED: Final = 1_000
"""Matching items that are ranked. Rows are stored by popularity, so these are the most popular matches."""
_CPU_SECONDS: Final = 0.5
"""Processor time of one search."""
_OPCODES: Final = 20_000
"""Steps of SQLite's machine between two looks at the time spent, about 2 ms."""
_PATIENCE: Final = 5.0
"""Seconds to wait for a connection where no other can be opened."""
_POLL_SECONDS: Final = 0.001
_BY_WORDS: Final = "bm25(item_features_fts)"
_SEARCH: Final = """
WITH found AS MATERIALIZED (
    SELECT rowid AS place, {distance} AS distance FROM item_features_fts
    WHERE item_features_fts MATCH ? LIMIT ?
), best AS (SELECT place, distance FROM found ORDER BY distance, place LIMIT ?)
SELECT item_features.* FROM best JOIN item_features ON item_features.rowid = place ORDER BY distance, place
"""


class FeatureStore:
    """Lookups by id, which take microseconds, and by words, which take milliseconds.

    Threads may share it: each call has a connection of its own meanwhile. They are closed with the store.
    """

    hidden: frozenset[str] = frozenset()
    """Users of whom it returns nothing, since they are being forgotten."""

    def __init__(self, path: Path) -> None:
        """Open the database at `path`.

        Raises:
            BrokenReleaseError: the file is missing, not a database, or lacks a table.
        """
        if not path.is_file():
            raise BrokenReleaseError(f"{path}: no such file; publish the release again or roll back")
        # immutable: SQLite takes no locks and looks for no journal, which is right for a file that never changes
        self._uri = f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1"
        self._path = path
        self._idle: deque[sqlite3.Connection] = deque()
        weakref.finalize(self, _close_all, self._idle)
        self._columns = {entity: self._read_columns(table) for entity, (table, _) in _TABLES.items()}

    def user(self, user_id: str) -> dict[str, Any] | None:
        """Return all features of a user, or None for an unknown id."""
        return None if user_id in self.hidden else self._one("user", user_id)

    def item(self, item_id: str) -> dict[str, Any] | None:
        """Return all features of an item, or None for an id that is neither in the catalogue nor in any event."""
        return self._one("item", item_id)

    def users(self, user_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the features of those users that exist, by id."""
        found = self._many("user", user_ids)
        for user_id in self.hidden.intersection(found):
            del found[user_id]
        return found

    def items(self, item_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the features of those items that exist, by id."""
        return self._many("item", item_ids)

    def users_with(self, column: str, value: str) -> list[str]:
        """Return the ids of the users whose feature `column` equals `value`.

        Raises:
            KeyError: there is no such feature of users.
        """
        if column not in self._columns["user"]:
            raise KeyError(column)
        table, key = _TABLES["user"]
        with self._connection() as connection:
            rows = connection.execute(f'SELECT {key} FROM {table} WHERE "{column}" = ?', (value,))  # noqa: S608
            return [row[0] for row in rows if row[0] not in self.hidden]

    def search(self, q: str, limit: int = 20) -> list[dict[str, Any]]:
        """Find items whose title, brand, category or department have every word of a query, best match first.

        Of more than 1,000 matches the most popular are ranked; equally good ones are ordered by popularity.

        Args:
            q: words; the last may be the beginning of one. Nothing in them is query syntax.
            limit: greatest number of items returned, >= 0.

        Returns:
            All features of each item.

        Raises:
            SearchTooBroadError: it takes too much processor time.
        """
        words = list(dict.fromkeys(q.replace("\0", " ").split()))
        if not words:
            return []
        match = " ".join('"' + word.replace('"', '""') + '"' for word in words)
        if len(words[-1].encode("utf-8", "surrogatepass")) >= LEAST_PREFIX:
            match += "*"
        sql = _SEARCH.format(distance=_BY_WORDS if len(words) <= _WORDS_RANKED else 0)
        with self._connection() as connection, _limited(connection):
            try:
                return [self._named("item", row) for row in connection.execute(sql, (match, _RANKED, limit))]
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                    raise
                raise SearchTooBroadError(f"the search for {q!r} takes too long; give longer words") from None

    def registry(self) -> list[dict[str, Any]]:
        """Return one row a feature: its type, unit, meaning, bounds, owner and freshness."""
        with self._connection() as connection:
            cursor = connection.execute("SELECT * FROM feature_registry ORDER BY rowid")
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection that no other thread uses meanwhile."""
        connection = self._lent()
        try:
            yield connection
        finally:
            if len(self._idle) < _IDLE:
                self._idle.append(connection)
            else:
                connection.close()

    def _lent(self) -> sqlite3.Connection:
        """Return an idle connection, or another one; where the file was removed since, the next that is free."""
        end = monotonic() + _PATIENCE
        while True:
            try:
                return self._idle.pop()
            except IndexError:
                pass
            try:
                return sqlite3.connect(self._uri, uri=True, check_same_thread=False, cached_statements=64)
            except sqlite3.OperationalError:
                # a release that was rewritten is gone from the disk while a server still answers from it
                if self._path.exists() or monotonic() > end:
                    raise
            sleep(_POLL_SECONDS)

    def _read_columns(self, table: str) -> list[str]:
        with self._connection() as connection:
            try:
                cursor = connection.execute(f"SELECT * FROM {table} LIMIT 0")  # noqa: S608  a constant above
            except sqlite3.DatabaseError as error:
                raise BrokenReleaseError(
                    f"{self._path}: table {table} cannot be read ({error}); publish again or roll back"
                ) from error
            return [column[0] for column in cursor.description]

    def _named(self, entity: str, row: Iterable[Any]) -> dict[str, Any]:
        return dict(zip(self._columns[entity], row, strict=True))

    def _one(self, entity: str, key: str) -> dict[str, Any] | None:
        table, column = _TABLES[entity]
        with self._connection() as connection:
            row = connection.execute(f"SELECT * FROM {table} WHERE {column} = ?", (key,)).fetchone()  # noqa: S608
        return None if row is None else self._named(entity, row)

    def _many(self, entity: str, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        table, column = _TABLES[entity]
        found = {}
        with self._connection() as connection:
            for start in range(0, len(keys), _BATCH):
                batch = keys[start : start + _BATCH]
                marks = ",".join("?" * len(batch))
                for row in connection.execute(f"SELECT * FROM {table} WHERE {column} IN ({marks})", batch):  # noqa: S608
                    named = self._named(entity, row)
                    found[named[column]] = named
        return found


@contextmanager
def _limited(connection: sqlite3.Connection) -> Iterator[None]:
    """Interrupt what the connection does after its processor time is spent."""
    deadline = thread_time() + _CPU_SECONDS
    connection.set_progress_handler(lambda: thread_time() > deadline, _OPCODES)
    try:
        yield
    finally:
        connection.set_progress_handler(None, 0)


def _close_all(idle: deque[sqlite3.Connection]) -> None:
    while idle:
        idle.pop().close()
