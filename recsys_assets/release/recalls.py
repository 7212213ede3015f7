"""The record of recalls, `recalls.jsonl`: a line a recall, with the releases, answers and exports that it concerns.

The days themselves are marked in `recalled.json` (`current.py`); this record says who did it, and who used them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import msgspec

from recsys_assets.errors import BrokenReleaseError
from recsys_assets.release.current import RecalledDay
from recsys_assets.storage.atomic import read_file, remove_file, replace_file
from recsys_assets.storage.home import Home
from recsys_assets.storage.line_log import append_record, read_records


class RecordedRecall(msgspec.Struct, frozen=True, kw_only=True):
    """One recall."""

    at: datetime
    """Time of the recall, UTC; no two recalls of a home have the same."""
    who: str = ""
    """Person or key that recalled."""
    why: str
    """Reason given."""
    days: tuple[date, ...]
    """Recalled days, oldest first."""
    releases: tuple[str, ...] = ()
    """Ids of the releases built on them, newest first."""
    before: str | None = None
    """Id of the current release before the recall."""
    current: str | None = None
    """Id of the current release after it: the same where no clean release was left."""
    answers: Mapping[str, int] = msgspec.field(default_factory=dict)
    """Release id -> answers that were given from it until the recall; a release that gave none is left out."""
    exports: tuple[str, ...] = ()
    """Paths or addresses that lists of these releases were exported to."""


@dataclass(frozen=True, kw_only=True)
class RecallOutcome:
    """Releases affected by a recall, and `current` before and after it."""

    releases: Sequence[str]
    """Ids of the releases built on the recalled days, newest first."""
    before: str | None
    """Id of the current release before the recall."""
    current: str | None
    """Id of the current release now."""

    @property
    def is_served(self) -> bool:
        """True where a release built on the recalled days stays current, since there is no other."""
        return self.current is not None and self.current in self.releases


class UnfinishedRecall(msgspec.Struct, frozen=True, kw_only=True):
    """A recall as it was begun: enough to finish it after a crash."""

    at: datetime
    """As in `RecordedRecall`."""
    who: str
    """As in `RecordedRecall`."""
    why: str
    """As in `RecordedRecall`."""
    days: tuple[date, ...]
    """As in `RecordedRecall`."""
    before: str | None
    """As in `RecordedRecall`."""
    landed: tuple[RecalledDay, ...]
    """Versions that the lake had."""
    files: Mapping[str, Mapping[date, str]]
    """Table -> day -> SHA-256 of the file that goes to quarantine; one that was replaced meanwhile stays."""


def read_unfinished(home: Home) -> tuple[UnfinishedRecall, ...]:
    """Return the recalls that were begun and are not finished, oldest first.

    Raises:
        BrokenReleaseError: the file cannot be read.
    """
    file = home.unfinished_recalls
    try:
        return msgspec.json.decode(read_file(file), type=tuple[UnfinishedRecall, ...])
    except FileNotFoundError:
        return ()
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BrokenReleaseError(
            f"{file}: cannot be read ({error}); remove it, and recall the days again"
        ) from error


def write_unfinished(home: Home, recalls: Sequence[UnfinishedRecall]) -> None:
    """Replace the record of unfinished recalls; the caller holds the lock of the releases."""
    if recalls:
        replace_file(home.unfinished_recalls, msgspec.json.encode(recalls))
    else:
        remove_file(home.unfinished_recalls)


def read_recalls(home: Home) -> Sequence[RecordedRecall]:
    """Return every recall of a home, oldest first.

    Raises:
        BrokenReleaseError: the record cannot be read.
    """
    try:
        return read_records(home.recalls, RecordedRecall)
    except OSError as error:
        raise BrokenReleaseError(
            f"{home.recalls}: {error.strerror}; move it away: the days stay recalled, who used them is lost"
        ) from error


def append_recall(home: Home, recall: RecordedRecall) -> None:
    """Add a recall to the record, once for each time; it is on the disk when this returns.

    The caller holds the lock of the releases (`release_store.MOVING`).
    """
    if any(known.at == recall.at for known in read_recalls(home)):
        return  # it was killed after this, and runs again
    append_record(home.recalls, recall)
