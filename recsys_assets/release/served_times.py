"""The moves of `current` that were made, and the times during which each release was current, from their log."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from recsys_assets.release.current import RecordedMove


class ServedTime(msgspec.Struct, frozen=True, kw_only=True):
    """A time during which `current` pointed at a release."""

    start: datetime
    """UTC."""
    end: datetime | None
    """UTC; None where it does still, or was changed by hand since."""
    who: str = ""
    """The person or key that moved it there; empty where that wasn't recorded."""
    why: str = ""
    """Their reason; empty where none was given."""


def made_moves(moves: Sequence[RecordedMove], current: str | None) -> list[RecordedMove]:
    """Return the moves that were made, oldest first.

    After a crash the log may hold one that was not: the next one, or `current`, begins where it did.
    """
    begun_at = [*(move.before for move in moves[1:]), current]
    return [
        move
        for move, next_before in zip(moves, begun_at, strict=False)  # one more where there is no move
        if not next_before == move.before != move.after
    ]


def served_times(moves: Sequence[RecordedMove], current: str | None) -> dict[str, list[ServedTime]]:
    """Return release -> the times during which it was current, the earliest first."""
    found: dict[str, list[ServedTime]] = {}
    open_: str | None = None
    for move in made_moves(moves, current):
        if move.after == open_:
            continue
        if open_ is not None:
            found[open_][-1] = msgspec.structs.replace(found[open_][-1], end=move.at)
        time = ServedTime(start=move.at, end=None, who=move.who, why=move.why)
        found.setdefault(move.after, []).append(time)
        open_ = move.after
    return found
