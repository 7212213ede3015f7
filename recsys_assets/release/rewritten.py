"""Releases that were rewritten when users were forgotten: `rewritten.jsonl`, a line a release, its id before and now.

Ids that people and answers keep still lead to the release: the chain is followed to its end.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from recsys_assets.errors import BrokenReleaseError
from recsys_assets.storage.line_log import append_record, read_records

REWRITTEN_FILE: Final = "rewritten.jsonl"


class RewrittenRelease(msgspec.Struct, frozen=True, kw_only=True):
    """One release that was replaced by another of the same days, without some users."""

    forget: int
    """Number of the forget."""
    at: datetime
    """When, UTC."""
    before: str
    """Its id before; its folder is removed."""
    after: str
    """Its id since."""


@dataclass(frozen=True)
class Rewritten:
    """All rewritten releases of a home."""

    after: dict[str, str]
    """Id before -> id that replaced it."""

    @classmethod
    def load(cls, root: Path) -> "Rewritten":
        """Read the record in the folder of releases.

        Raises:
            BrokenReleaseError: it cannot be read.
        """
        return cls({one.before: one.after for one in read_rewritten(root)})

    def newest(self, release_id: str) -> str:
        """Return the id that a release has now; its own where it was never rewritten."""
        passed = {release_id}
        while (after := self.after.get(release_id)) is not None and after not in passed:
            release_id = after
            passed.add(after)
        return release_id

    def former(self, release_id: str) -> list[str]:
        """Return the ids that a release had before, those that it had last first."""
        return [before for before in reversed(self.after) if self.newest(before) == release_id]


def id_now(root: Path, release_id: str) -> str:
    """Return the id that a release has now, which people may name by an earlier one; errors as in `Rewritten.load`."""
    return release_id if (root / release_id).is_dir() else Rewritten.load(root).newest(release_id)


def read_rewritten(root: Path) -> list[RewrittenRelease]:
    """Return the record, oldest first.

    Raises:
        BrokenReleaseError: it cannot be read.
    """
    file = root / REWRITTEN_FILE
    try:
        return read_records(file, RewrittenRelease)
    except OSError as error:
        raise BrokenReleaseError(
            f"{file}: {error.strerror}; make it readable: ids of rewritten releases lead nowhere without it"
        ) from error


def note_rewritten(root: Path, rewritten: RewrittenRelease) -> None:
    """Add a line, once; the caller holds `release_store.MOVING`."""
    known = {(one.before, one.after) for one in read_rewritten(root)}
    if (rewritten.before, rewritten.after) not in known:
        append_record(root / REWRITTEN_FILE, rewritten)
