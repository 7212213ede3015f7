"""Items shown to a user lately: counted in `events.sqlite` when a rule reads them, so nothing is held in memory.

Only the impressions of one user are read, by the index on user and time, and no more than `MOST_ROWS` of them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from recsys_assets.intake.reading_events import EventsReader

MOST_ROWS: Final = 5_000
"""Newest impressions of a user that are counted, at most: about 2 ms."""
_SHOWN: Final = """
SELECT item_id, COUNT(*), MIN(timestamp) FROM (
    SELECT item_id, timestamp FROM impressions WHERE user_id = ? AND timestamp >= ? ORDER BY timestamp DESC LIMIT ?
) GROUP BY item_id
"""


class Shown(NamedTuple):
    """The showings of one item to one user."""

    times: int
    """Answers with it that were shown, >= 1."""
    since: int
    """Time of the first of them, us since 1970, UTC."""


class ShownCounts:
    """Counts the impressions of a home; threads may share it."""

    def __init__(self, path: Path) -> None:
        """Take the path of `events.sqlite`, which need not be there."""
        self._reader = EventsReader(path)

    def of(self, people: Sequence[str], *, since: int) -> Mapping[str, Shown]:
        """Return the items that were shown to a user from a time on; none where nothing was shown.

        Args:
            people: the user's ids: one, and those that were merged into it.
            since: us since 1970, UTC.

        Raises:
            EventsUnavailableError: the file is there and cannot be read.
        """
        found: dict[str, Shown] = {}
        for user_id in people:
            for item_id, times, first in self._reader.rows(
                "impressions", _SHOWN, (user_id, since, MOST_ROWS)
            ):
                before = found.get(item_id, Shown(0, first))
                found[item_id] = Shown(before.times + times, min(before.since, first))
        return found

    def close(self) -> None:
        """Close the file."""
        self._reader.close()
