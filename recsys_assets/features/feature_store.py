"""Reader of a release's feature tables, from a finished SQLite file.

The API imports this module: standard library only.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from recsys_assets.errors import BrokenReleaseError

_TABLES: Final = {"user": ("user_features", "user_id"), "item": ("item_features", "item_id")}
_BATCH: Final = 500


class FeatureStore:
    """Lookups by id and by words. It may be shared between threads; a lookup takes microseconds."""

    def __init__(self, path: Path) -> None:
        """Open the database at `path`.

        Raises:
            BrokenReleaseError: the file is missing, not a database, or lacks a table.
        """
        if not path.is_file():
            raise BrokenReleaseError(f"{path}: no such file; publish the release again or roll back")
        # immutable: SQLite takes no locks and looks for no journal, which is right for a file that never changes
        uri = f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1"
        self._path = path
        self._connection = sqlite3.connect(uri, uri=True, check_same_thread=False, cached_statements=64)
        self._columns = {entity: self._read_columns(table) for entity, (table, _) in _TABLES.items()}

    def user(self, user_id: str) -> dict[str, Any] | None:
        """Return all features of a user, or None for an unknown id."""
        return self._one("user", user_id)

    def item(self, item_id: str) -> dict[str, Any] | None:
        """Return all features of an item, or None for an id that is neither in the catalogue nor in any event."""
        return self._one("item", item_id)

    def users(self, user_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the features of those users that exist, by id."""
        return self._many("user", user_ids)

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
        rows = self._connection.execute(f'SELECT {key} FROM {table} WHERE "{column}" = ?', (value,))  # noqa: S608
        return [row[0] for row in rows]

    def search(self, q: str, limit: int = 20) -> list[dict[str, Any]]:
        """Find items whose title, brand, category or department have every word of a query, best match first.

        Args:
            q: words; the last may be the beginning of one. Nothing in them is query syntax.
            limit: greatest number of items returned, >= 0.

        Returns:
            All features of each item.
        """
        words = q.replace("\0", " ").split()
        if not words:
            return []
        match = " ".join('"' + word.replace('"', '""') + '"' for word in words) + "*"
        sql = (
            "SELECT item_features.* FROM item_features_fts JOIN item_features"
            " ON item_features.rowid = item_features_fts.rowid WHERE item_features_fts MATCH ?"
            " ORDER BY bm25(item_features_fts), popularity_rank IS NULL, popularity_rank LIMIT ?"
        )
        return [self._named("item", row) for row in self._connection.execute(sql, (match, limit))]

    def registry(self) -> list[dict[str, Any]]:
        """Return one row a feature: its type, unit, meaning, bounds, owner and freshness."""
        cursor = self._connection.execute("SELECT * FROM feature_registry ORDER BY rowid")
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def _read_columns(self, table: str) -> list[str]:
        try:
            cursor = self._connection.execute(f"SELECT * FROM {table} LIMIT 0")  # noqa: S608  a constant above
        except sqlite3.DatabaseError as error:
            raise BrokenReleaseError(
                f"{self._path}: table {table} cannot be read ({error}); publish again or roll back"
            ) from error
        return [column[0] for column in cursor.description]

    def _named(self, entity: str, row: Iterable[Any]) -> dict[str, Any]:
        return dict(zip(self._columns[entity], row, strict=True))

    def _one(self, entity: str, key: str) -> dict[str, Any] | None:
        table, column = _TABLES[entity]
        row = self._connection.execute(f"SELECT * FROM {table} WHERE {column} = ?", (key,)).fetchone()  # noqa: S608
        return None if row is None else self._named(entity, row)

    def _many(self, entity: str, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        table, column = _TABLES[entity]
        found = {}
        for start in range(0, len(keys), _BATCH):
            batch = keys[start : start + _BATCH]
            marks = ",".join("?" * len(batch))
            for row in self._connection.execute(f"SELECT * FROM {table} WHERE {column} IN ({marks})", batch):  # noqa: S608
                named = self._named(entity, row)
                found[named[column]] = named
        return found
