"""Two transcripts against each other: a line for each place where they differ."""

import re
from collections.abc import Iterator
from typing import Any, Final

_ABSENT: Final = object()
_NUMBER: Final = re.compile(r"\d+(?:[.,]\d+)*")
_SHOWN: Final = 70
"""Characters of a value that a line shows."""


def differences(before: Any, after: Any, path: str = "", *, wording: bool = True) -> Iterator[str]:
    """Walk two JSON values side by side.

    Args:
        before: of the first commit.
        after: of the second.
        path: where both are, for example `builds/default`.
        wording: report texts with the same numbers in other words, too.

    Yields:
        `PATH: …` for every leaf that is missing, new or different; nothing for equal values.
    """
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted({*before, *after}):
            below = f"{path}/{key}" if path else key
            yield from _entry(before.get(key, _ABSENT), after.get(key, _ABSENT), below, wording=wording)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for place, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from differences(one, other, f"{path}[{place}]", wording=wording)
    elif isinstance(before, list) and isinstance(after, list):
        yield f"{path}: {len(before)} entries before, {len(after)} after{_first_other(before, after)}"
    elif (type(before) is not type(after) or before != after) and (wording or not _reworded(before, after)):
        yield f"{path}: {_both(before, after)}"


def _entry(before: Any, after: Any, path: str, *, wording: bool) -> Iterator[str]:
    if before is _ABSENT:
        yield f"{path}: only after"
    elif after is _ABSENT:
        yield f"{path}: only before"
    else:
        yield from differences(before, after, path, wording=wording)


def _reworded(before: Any, after: Any) -> bool:
    """True for two sentences with the same numbers."""
    if not (isinstance(before, str) and isinstance(after, str) and " " in before and " " in after):
        return False
    return _NUMBER.findall(before) == _NUMBER.findall(after)


def _first_other(before: list[Any], after: list[Any]) -> str:
    for place, (one, other) in enumerate(zip(before, after, strict=False)):
        if one != other:
            return f"; the first other one is [{place}]: {_both(one, other)}"
    longer = max(before, after, key=len)
    return f"; one has further {_short(longer[min(len(before), len(after))])}"


def _both(before: Any, after: Any) -> str:
    if isinstance(before, str) and isinstance(after, str):
        start = _common_start(before, after)
        lead = "…" if start else ""
        return f"{lead}{_short(before[start:])} -> {lead}{_short(after[start:])}"
    return f"{_short(before)} -> {_short(after)}"


def _common_start(one: str, other: str) -> int:
    """The place where long texts begin to differ, less a few characters; 0 for short ones."""
    if max(len(one), len(other)) <= _SHOWN:
        return 0
    pairs = enumerate(zip(one, other, strict=False))
    found = next((place for place, (left, right) in pairs if left != right), min(len(one), len(other)))
    return max(0, found - 10)


def _short(value: Any) -> str:
    shown = value if isinstance(value, str) else repr(value)
    shown = shown.replace("\n", "⏎")
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
