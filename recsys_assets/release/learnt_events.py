"""Place of an event beside a user's history in a release: learnt already, older than the history, or newer."""

from pathlib import Path
from typing import Final

import numpy as np

from recsys_assets.intake.event_meaning import EventMeaning
from recsys_assets.intake.recent_events import RecentEvents
from recsys_assets.release.load import Release
from recsys_assets.storage.arrays import EPOCH

_US_A_DAY: Final = 86_400_000_000
LEARNT: Final = -1
"""The release has the event."""
OLDER: Final = 0
"""The release does not have it, and the user's history is newer."""
NEWER: Final = 1
"""It is newer than the user's history."""


class EventPlace:
    """Places events beside the histories of one release, as `intake.recent_events` wants it."""

    def __init__(self, release: Release) -> None:
        self._release = release
        self._through = (release.manifest.through_day - EPOCH).days

    def __call__(self, user_id: str, item_num: int, timestamp: int) -> int:
        """Return `LEARNT`, `OLDER` or `NEWER`; `timestamp` in us since 1970.

        An event on a day of the release is learnt where the user's seen items hold its item: one that arrived too late
        for the release is not among them.
        """
        day = timestamp // _US_A_DAY
        if day > self._through:
            return NEWER
        release = self._release
        user_num = release.users.num_of(user_id)
        if user_num is None:
            return NEWER
        seen = release.seen(user_num)
        place = int(np.searchsorted(seen, item_num))
        if place < len(seen) and seen[place] == item_num:
            return LEARNT
        start, end = release.history_indptr[user_num : user_num + 2].tolist()
        return NEWER if start == end or day >= release.history_days[start] else OLDER


def events_since(release: Release, path: Path, meaning: EventMeaning) -> RecentEvents:
    """Return the events of the file `path` since a release; nothing is read yet."""
    return RecentEvents(path, release.items, meaning=meaning, place=EventPlace(release))
