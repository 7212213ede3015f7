"""The record of recalls, `recalls.jsonl`: a line a recall, with the releases, answers and exports that it concerns.

The days themselves are marked in `recalled.json` (`current.py`); this record says who did it, and who used them.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

import msgspec

from recsys_assets.errors import BrokenReleaseError
from recsys_assets.release.current import RecalledDay
from recsys_assets.storage.atomic import make_folder, named, read_file, remove_file, replace_file, sync
from recsys_assets.storage.home import Home

_LOG_BYTES: Final = 1 << 30


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
    file = home.recalls
    try:
        lines = read_file(file, most=_LOG_BYTES).splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise BrokenReleaseError(
            f"{file}: {error.strerror}; move it away: the days stay recalled, who used them is lost"
        ) from error
    found = []
    for line in lines:
        try:
            found.append(msgspec.json.decode(line, type=RecordedRecall))
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue  # half a line, from a crash while it was written: running that recall again writes it whole
    return found


def append_recall(home: Home, recall: RecordedRecall) -> None:
    """Add a recall to the record, once for each time; it is on the disk when this returns.

    The caller holds the lock of the releases (`release_store.MOVING`).
    """
    if any(known.at == recall.at for known in read_recalls(home)):
        return
    file = home.recalls
    make_folder(file.parent)
    is_new = not file.exists()
    with named(file), file.open("ab+") as log:
        if log.tell() and os.pread(log.fileno(), 1, log.tell() - 1) != b"\n":
            log.write(b"\n")  # the last writer was killed within its line
        log.write(msgspec.json.encode(recall) + b"\n")
        log.flush()
        os.fsync(log.fileno())
    if is_new:
        sync(file.parent)
