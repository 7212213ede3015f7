"""The newest rows of `events.sqlite`, for people who watch: events as they arrive, and clicks on what was shown."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from recsys_assets.intake.reading_events import EventsReader

MOST_IMPRESSIONS: Final = 5_000
"""Newest impressions that clicks are counted of."""
_LAST: Final = "SELECT COALESCE(MAX(seq), 0) FROM events"
_NUMBER: Final = "SELECT COUNT(*) FROM events WHERE seq > ?"
_NEWEST: Final = "SELECT user_id, item_id, kind, received_at FROM events ORDER BY seq DESC LIMIT ?"
# A click is an event of the user with a shown item after its showing; one that names its answer counts for that one.
_CLICKED: Final = """
SELECT answer_id, MAX(clicked) FROM (
    SELECT shown.answer_id, EXISTS (
        SELECT 1 FROM events
        WHERE events.user_id = shown.user_id AND events.timestamp >= shown.timestamp
            AND events.item_id = shown.item_id AND events.kind NOT IN ('impression', 'hide', 'dislike')
            AND COALESCE(events.answer_id, shown.answer_id) = shown.answer_id
    ) AS clicked
    FROM (SELECT * FROM impressions ORDER BY seq DESC LIMIT ?) AS shown
) GROUP BY answer_id
"""


class LatestEvent(NamedTuple):
    """One event, as people see it arrive."""

    user_id: str
    item_id: str
    kind: str
    received_at: int
    """Time of its arrival, us since 1970, UTC."""


class LatestRows:
    """Reads one `events.sqlite`; threads may share it."""

    def __init__(self, path: Path) -> None:
        """Take the path of the file, which need not be there."""
        self._reader = EventsReader(path)

    def last(self) -> int:
        """Return the sequence number of the newest event; 0 where there is none.

        Raises:
            EventsUnavailableError: the file cannot be read; as all methods here.
        """
        return self._one(self._reader.rows("events", _LAST))

    def after(self, seq: int) -> int:
        """Return the number of events with a greater sequence number."""
        return self._one(self._reader.rows("events", _NUMBER, (seq,)))

    def newest(self, most: int) -> Sequence[LatestEvent]:
        """Return the newest events, at most this many, the newest first."""
        return [LatestEvent(*row) for row in self._reader.rows("events", _NEWEST, (most,))]

    def answers_shown(self) -> Sequence[tuple[str, bool]]:
        """Return the answers of the newest impressions: the id of each, and whether one of its items was clicked.

        This is for the eye, and quick: `online_metrics` has the figures to decide by.
        """
        if not self._reader.rows("events", _LAST):
            return []
        found = self._reader.rows("impressions", _CLICKED, (MOST_IMPRESSIONS,))
        return [(answer_id, bool(clicked)) for answer_id, clicked in found]

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    @staticmethod
    def _one(rows: Sequence[tuple[int, ...]]) -> int:
        return rows[0][0] if rows else 0
