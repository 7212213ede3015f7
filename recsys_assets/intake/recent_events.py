"""The events since a release, in memory, by user: 33 bytes each, for the items that the release holds.

Columns hold one event a row. Rows of users whose ids have the same place in `_heads` are chained, the newest arrival
first; a user's rows in a chain are those with the hash of the id. The system's hash of a text has 64 bits and differs
in every process.
"""

import sqlite3
import threading
import time
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from recsys_assets.errors import EventsUnavailableError
from recsys_assets.intake.event_meaning import HIDDEN, NOTHING, WISH, EventMeaning
from recsys_assets.intake.events_database import open_events
from recsys_assets.storage.string_table import Vocabulary

ITEMS_OF_USER: Final = 1_000
"""Newest events of a user that count, and all that hide an item."""
MOST_EVENTS: Final = 2_000_000
"""Events in memory, at most: the newest."""
_KNOWN_USERS: Final = 4_096
"""Users whose items are kept ready, at most."""
_LATE: Final = 3
"""Meaning of a wish that is older than the user's history: hidden, and not the newest wish."""
_FIRST_BUCKETS: Final = 1 << 12
_TRIM_ROWS: Final = 20_000
"""Rows that are added, at least, before rows beyond a user's newest are removed."""
_ROWS_AT_ONCE: Final = 2_000
_PAUSE_SECONDS: Final = 0.000_5
"""Pause between two reads of many rows, in which requests are answered."""
_NEWER: Final = """
SELECT seq, user_id, item_id, kind, timestamp, rating FROM events WHERE seq > ? ORDER BY seq LIMIT ?
"""


class Since(NamedTuple):
    """The items of a user's events since the release, by number, each once."""

    mark: int
    """Number of the newest event; another one means that answers may have changed."""
    wishes: Sequence[int]
    """Wishes, the one with the latest time first."""
    hidden: Sequence[int]
    """Items that are only hidden, by a kind such as `hide`."""
    late: Sequence[int]
    """Wishes that are older than the history in the release, and not in it: hidden like what the user has."""


NONE_SINCE: Final = Since(0, (), (), ())

Place = Callable[[str, int, int], int]
"""Of a user, an item's number and a time in us: 1 newer than the release's history, 0 older than it, -1 learnt."""


class RecentEvents:
    """Follows one `events.sqlite` for one release; threads may share it. It never creates the file."""

    def __init__(
        self, path: Path, items: Vocabulary, *, meaning: EventMeaning, place: Place | None = None
    ) -> None:
        """Read nothing yet.

        Args:
            path: the file.
            items: those of the release; events with others are left out.
            meaning: of kinds and ratings.
            place: says what the release has learnt; where None, every event is newer.
        """
        self._path = path
        self._items = items
        self._meaning = meaning
        self._place = place
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._last_seq = 0
        self._data_version = -1
        self._edition = 0
        self._added = 0
        self._columns = _Columns()
        self._known: tuple[_Columns, dict[str, tuple[int, Since]]] = (self._columns, {})

    def __len__(self) -> int:
        return len(self._columns.seqs)

    def since(self, user_id: str) -> Since:
        """Return the items of a user's events."""
        columns = self._columns  # replaced as a whole, only ever appended to
        wanted = hash(user_id)
        place = head = columns.heads[wanted & columns.mask]
        if place < 0:
            return NONE_SINCE
        known = self._known  # a request wants this several times, of each user who was merged into one
        if known[0] is not columns or len(known[1]) >= _KNOWN_USERS:
            known = self._known = (columns, {})
        before = known[1].get(user_id)
        if before is not None and before[0] == head:
            return before[1]
        found = []
        while place >= 0:
            if columns.users[place] == wanted:
                found.append(place)
            place = columns.earlier[place]
        since = columns.of_rows(found) if found else NONE_SINCE
        known[1][user_id] = (head, since)
        return since

    def refresh(self) -> None:
        """Take over rows that were stored. Costs microseconds where there are none.

        Raises:
            EventsUnavailableError: the file is there and cannot be read.
        """
        with self._lock:
            try:
                inode = self._path.stat().st_ino
            except OSError:
                return
            try:
                connection = self._opened(inode)
                version = connection.execute("PRAGMA data_version").fetchone()[0]
                if version != self._data_version:
                    self._take_over(connection)
                    self._data_version = version
            except (sqlite3.Error, OSError) as error:
                self._disconnect()
                raise EventsUnavailableError(
                    f"{self._path}: events cannot be read ({error}); see its permissions, or "
                    "`recsys build`, which moves a damaged file away"
                ) from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._disconnect()

    def _opened(self, inode: int) -> sqlite3.Connection:
        if self._connection is not None and inode != self._inode:  # a build moved a damaged file away
            self._disconnect()
        if self._connection is None:
            self._connection, self._inode = open_events(self._path), inode
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection, self._data_version = None, -1

    def _take_over(self, connection: sqlite3.Connection) -> None:
        edition = connection.execute("PRAGMA user_version").fetchone()[0]
        if edition != self._edition:  # rows were taken out: of a user who was forgotten
            self._columns, self._last_seq, self._edition = _Columns(), 0, edition
        while True:
            rows = connection.execute(_NEWER, (self._last_seq, _ROWS_AT_ONCE)).fetchall()
            for seq, user_id, item_id, kind, timestamp, rating in rows:
                self._add(seq, user_id, item_id, self._meaning.of_event(kind, rating), timestamp)
            if rows:
                self._last_seq = rows[-1][0]
            if len(rows) < _ROWS_AT_ONCE:
                return
            time.sleep(_PAUSE_SECONDS)

    def _add(self, seq: int, user_id: str, item_id: str, meaning: int, timestamp: int) -> None:
        num = self._items.num_of(item_id)
        if num is None or meaning == NOTHING:
            return
        if meaning == WISH and self._place is not None:
            newer = self._place(user_id, num, timestamp)
            if newer < 0:
                return
            meaning = WISH if newer else _LATE
        columns = self._columns
        columns.append(hash(user_id), seq, num, timestamp, meaning)
        self._added += 1
        if len(columns.seqs) > columns.mask or self._added > max(_TRIM_ROWS, len(columns.seqs) // 2):
            self._columns = columns.trimmed()
            self._added = 0


class _Columns:
    """Events by row, and the chains of rows."""

    def __init__(self, buckets: int = _FIRST_BUCKETS) -> None:
        self.users = array("q")
        self.seqs = array("q")
        self.items = array("i")
        self.times = array("q")
        self.meanings = array("b")
        self.earlier = array("i")
        self.heads = array("i", [-1]) * buckets
        self.mask = buckets - 1

    def append(self, user: int, seq: int, num: int, timestamp: int, meaning: int) -> None:
        """Add a row; readers find it last, by its head."""
        self.users.append(user)
        self.seqs.append(seq)
        self.items.append(num)
        self.times.append(timestamp)
        self.meanings.append(meaning)
        bucket = user & self.mask
        self.earlier.append(self.heads[bucket])
        self.heads[bucket] = len(self.seqs) - 1

    def of_rows(self, rows: Sequence[int]) -> Since:
        """Return the items of rows of one user, which are given the newest arrival first."""
        by_time = sorted(rows, key=lambda row: (self.times[row], self.seqs[row]), reverse=True)
        items: dict[int, dict[int, None]] = {WISH: {}, HIDDEN: {}, _LATE: {}}
        for row in by_time:
            items[self.meanings[row]].setdefault(self.items[row])
        hidden = items[HIDDEN]
        wishes = [num for num in items[WISH] if num not in hidden] if hidden else list(items[WISH])
        return Since(self.seqs[rows[0]], wishes[:ITEMS_OF_USER], list(hidden), list(items[_LATE]))

    def trimmed(self) -> "_Columns":
        """Return the rows that count, in chains of about one row."""
        users, meanings = np.asarray(self.users), np.asarray(self.meanings)
        order = np.argsort(users, kind="stable")  # a user's rows together, in the order of arrival
        places, sorted_users = np.arange(len(order)), users[order]
        ends = np.searchsorted(sorted_users, sorted_users, side="right")
        newest = np.empty(len(order), dtype=np.bool_)
        newest[order] = ends - places <= ITEMS_OF_USER
        kept = np.flatnonzero(newest | (meanings == HIDDEN))[-MOST_EVENTS:]
        other = _Columns(max(_FIRST_BUCKETS, 1 << (2 * len(kept)).bit_length()))
        for row in kept.tolist():
            other.append(
                self.users[row], self.seqs[row], self.items[row], self.times[row], self.meanings[row]
            )
        return other
