"""The current release's id, the moves that made it current, and the recalled days. `load.load_current` opens it.

`current` is a text file that holds one id, replaced atomically. `promotions.jsonl` has a line a move: when,
what, from where, to where; its order is that of the moves, whatever the clock says. The line is written before
`current` moves, so after a crash the log may hold a move that did not happen: `current` always wins.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Final, Literal

import msgspec

from recsys_assets.errors import BrokenReleaseError, ReleaseError
from recsys_assets.release.manifest import Manifest
from recsys_assets.storage.atomic import read_file, replace_file
from recsys_assets.storage.line_log import append_record, read_records
from recsys_assets.storage.store_writing import moved_current

CURRENT_FILE: Final = "current"
PROMOTIONS_FILE: Final = "promotions.jsonl"
RECALLED_FILE: Final = "recalled.json"
"""Every recalled day."""
_ID: Final = re.compile(rb"\d{8}-[0-9a-f]{10}")
_ID_BYTES: Final = 64
_WAY_OUT: Final = "point it at a release by `recsys releases promote ID`; `recsys releases list` shows them"

Move = Literal["promote", "rollback", "recall"]


class RecordedMove(msgspec.Struct, frozen=True, kw_only=True):
    """One move of `current`."""

    at: datetime
    """When, UTC."""
    move: Move
    """The command that moved it."""
    before: str | None
    """The id it pointed at, None for the first."""
    after: str
    """The id it points at since."""
    who: str = ""
    """Login or name of the API key that moved it; empty in an earlier version's lines."""
    why: str = ""
    """Reason given; empty where none was."""


def read_current(root: Path) -> str | None:
    """Return the current id, None before the first promotion.

    Raises:
        BrokenReleaseError: the file cannot be read, or holds no id.
    """
    file = root / CURRENT_FILE
    try:
        content = read_file(file, most=_ID_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BrokenReleaseError(f"{file}: {error.strerror}; {_WAY_OUT}") from error
    if not _ID.fullmatch(content.strip()):
        raise BrokenReleaseError(f"{file}: {content[:40]!r} is no release's id; {_WAY_OUT}")
    return content.decode().strip()


def require_current(root: Path) -> str:
    """Return the current id of the releases in `root`.

    Raises:
        ReleaseError: no release is current.
    """
    current = read_current(root)
    if current is None:
        raise ReleaseError(f"{root}: no release is current; run `recsys build` first")
    return current


def read_promotions(root: Path) -> Sequence[RecordedMove]:
    """Return every move of `current`, oldest first.

    Raises:
        BrokenReleaseError: the log cannot be read.
    """
    file = root / PROMOTIONS_FILE
    try:
        return read_records(file, RecordedMove)
    except OSError as error:
        raise BrokenReleaseError(
            f"{file}: {error.strerror}; move it away: releases can be promoted then, and rolled back to no more"
        ) from error


def earlier(promotions: Sequence[RecordedMove], current: str | None) -> Sequence[str]:
    """Return the releases that were served before `current`, each once, those to go back to first.

    A promotion or a recall is a step forward; a rollback goes back over the steps since the release that it went to,
    so that going back again and again never returns to a release that was left. A move happened where the next one
    began at its end: after a crash the log holds one that did not.
    """
    if not promotions:
        return []
    steps = [move.before for move in promotions[:1] if move.before is not None]
    begun_at = [*(move.before for move in promotions[1:]), current]
    for move, next_before in zip(promotions, begun_at, strict=True):
        if next_before is None or next_before != move.before or move.before == move.after:
            _step(steps, move.after, forward=move.move != "rollback")
        if next_before is not None:  # another hand pointed `current` there, or the last move did not happen
            _step(steps, next_before, forward=False)
    return [step for step in reversed(steps) if step != current]


def _step(steps: list[str], to: str, *, forward: bool) -> None:
    """Add a release at the end of the steps, or go back to it; it is among them once."""
    if to in steps and not forward:
        del steps[steps.index(to) + 1 :]
        return
    if to in steps:
        steps.remove(to)
    steps.append(to)


def record_move(root: Path, promotion: RecordedMove) -> None:
    """Log the move, then make it; both are on the disk when this returns, and in the home's object store if it has one.

    Raises:
        ObjectStoreError: another machine moved `current` meanwhile: the home has that move now.
    """
    append_record(root / PROMOTIONS_FILE, promotion)
    replace_file(root / CURRENT_FILE, promotion.after.encode("ascii") + b"\n")
    moved_current(root.parent, promotion.after)


class RecalledDay(msgspec.Struct, frozen=True, kw_only=True):
    """One bad version of a day's partition, which a release was built on."""

    day: date
    """UTC day of the partition."""
    checksum: str
    """Checksum of the bad version; the corrected and replayed day has another."""
    at: datetime
    """Time of the recall, UTC."""
    why: str
    """Reason given."""
    who: str = ""
    """Person or key that recalled; empty in records of earlier versions."""
    raw_fingerprint: str = ""
    """`content_fingerprint` of the raw rows that were recalled: those do not land again; empty where none are known."""
    raw_inputs: str = ""
    """Fingerprint of what these rows were landed from: while the source has that, the day is not landed again."""


def read_recalled(root: Path) -> Sequence[RecalledDay]:
    """Return everything ever recalled, by day.

    Raises:
        BrokenReleaseError: the record cannot be read; no release is promoted then.
    """
    file = root / RECALLED_FILE
    try:
        return msgspec.json.decode(read_file(file), type=tuple[RecalledDay, ...])
    except FileNotFoundError:
        return ()
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BrokenReleaseError(
            f"{file}: the record of recalled days cannot be read ({error}); restore it, or remove it and recall the"
            " days again by `recsys releases recall`"
        ) from error


def check_not_recalled(root: Path, manifest: Manifest) -> None:
    """Raise ReleaseError if a release was built on a recalled version of a day."""
    for entry in read_recalled(root):
        if manifest.lineage.get(entry.day) == entry.checksum:
            raise ReleaseError(
                f"release {manifest.release_id}: built on {entry.day}, recalled {entry.at:%Y-%m-%d %H:%M} UTC"
                f" ({entry.why or 'no reason given'}); correct that day, replay it and build again"
            )


def record_recalled(root: Path, bad: Iterable[RecalledDay]) -> None:
    """Add versions of days; what is recorded already stays as it is, but for raw rows that were not known."""
    known = {(entry.day, entry.checksum): entry for entry in read_recalled(root)}
    for entry in bad:
        before = known.setdefault((entry.day, entry.checksum), entry)
        if entry.raw_fingerprint and not before.raw_fingerprint:
            raw = {"raw_fingerprint": entry.raw_fingerprint, "raw_inputs": entry.raw_inputs}
            known[entry.day, entry.checksum] = msgspec.structs.replace(before, **raw)
    _replace_recalled(root, known.values())


def note_landed_again(root: Path, day: date, raw_fingerprint: str, raw_inputs: str) -> None:
    """Note the inputs under which the source gives the recalled rows of a day now: they are not landed again."""
    found = [
        msgspec.structs.replace(entry, raw_inputs=raw_inputs)
        if (entry.day, entry.raw_fingerprint) == (day, raw_fingerprint)
        else entry
        for entry in read_recalled(root)
    ]
    _replace_recalled(root, found)


def take_back(root: Path, day: date, raw_fingerprints: Collection[str]) -> bool:
    """Forget that versions of a day were recalled: a person accepted these rows; return False where none were."""
    before = read_recalled(root)
    kept = [one for one in before if one.day != day or one.raw_fingerprint not in raw_fingerprints]
    if len(kept) < len(before):
        _replace_recalled(root, kept)
    return len(kept) < len(before)


def follow_recalled(root: Path, new: Mapping[str, str]) -> None:
    """Let recalls hold for the rows that are left of those recalled: fingerprint before -> fingerprint now."""
    before = read_recalled(root)
    found = [
        msgspec.structs.replace(one, raw_fingerprint=new.get(one.raw_fingerprint, one.raw_fingerprint))
        for one in before
    ]
    if found != list(before):
        _replace_recalled(root, found)


def _replace_recalled(root: Path, entries: Iterable[RecalledDay]) -> None:
    in_order = sorted(entries, key=lambda entry: (entry.day, entry.checksum))
    replace_file(root / RECALLED_FILE, msgspec.json.encode(in_order))
