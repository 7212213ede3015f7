"""The current release's id, and the moves that made it current. `load.load_current` opens it.

`current` is a text file that holds one id, replaced atomically. `promotions.jsonl` has a line a move: when,
what, from where, to where. The line is written before `current` moves, so after a crash the log may hold a
move that did not happen: `current` always wins.
"""

import os
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

import msgspec

from recsys_assets.errors import BrokenReleaseError, ReleaseError
from recsys_assets.storage.atomic import read_file, replace_file

CURRENT_FILE: Final = "current"
PROMOTIONS_FILE: Final = "promotions.jsonl"
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
    """Return every move of `current`, oldest first."""
    try:
        lines = (root / PROMOTIONS_FILE).read_bytes().splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        try:
            found.append(msgspec.json.decode(line, type=RecordedMove))
        except msgspec.DecodeError:
            continue  # half a line, from a crash while it was written: that move did not happen
    return found


def earlier(promotions: Sequence[RecordedMove], current: str | None) -> Sequence[str]:
    """Return the releases to go back to from `current`, the nearest first.

    A promotion is a step forward; a rollback or a recall goes back over the steps since the release that it
    went to, so that going back twice never returns to a release that was left.
    """
    steps: list[str] = []
    for promotion in promotions:
        if promotion.move == "promote":
            steps.append(promotion.after)
        elif promotion.after in steps:
            while steps[-1] != promotion.after:
                steps.pop()
        else:
            steps = [promotion.after]
    if current in steps:
        while steps.pop() != current:
            pass
    return [step for step in reversed(steps) if step != current]


def record_move(root: Path, promotion: RecordedMove) -> None:
    """Log the move, then make it; both are on the disk when this returns."""
    with (root / PROMOTIONS_FILE).open("ab+") as file:
        if file.tell() and os.pread(file.fileno(), 1, file.tell() - 1) != b"\n":
            file.write(b"\n")  # the last writer was killed within its line
        file.write(msgspec.json.encode(promotion) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    replace_file(root / CURRENT_FILE, promotion.after.encode("ascii") + b"\n")
