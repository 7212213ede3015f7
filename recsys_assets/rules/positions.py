"""On which line of a TOML file a value stands, found with the standard library's own parser.

tomllib keeps no positions, so the file is parsed line by line longer until the value is there: its first line
is the one after the last whole part without it. That costs milliseconds, and only to report a mistake.
"""

import tomllib
from collections.abc import Sequence
from typing import Any, Final

_MISSING: Final = object()

Step = str | int


def line_of(text: str, path: Sequence[Step]) -> int:
    """The line (from 1) on which the value at `path` begins, or the nearest table around it.

    Args:
        text: a whole TOML document that parses.
        path: keys and places in arrays, outermost first.
    """
    lines = text.splitlines(keepends=True)
    for length in range(len(path), 0, -1):
        found = _first_line(lines, path[:length])
        if found is not None:
            return found
    return 1


def _first_line(lines: Sequence[str], path: Sequence[Step]) -> int | None:
    whole_without = 0
    for end in range(1, len(lines) + 1):
        try:
            table = tomllib.loads("".join(lines[:end]))
        except tomllib.TOMLDecodeError:
            continue
        if _at(table, path) is not _MISSING:
            return whole_without + 1
        whole_without = end
    return None


def _at(value: Any, path: Sequence[Step]) -> Any:
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return _MISSING
    return value
