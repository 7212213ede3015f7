"""TOML files of people: a bounded read, a parse that fails in one way only, and the line of a value.

`tomllib` limits neither depth nor numbers, takes the square of a dotted key's parts, and keeps no positions.
"""

import os
import re
import stat
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from reprlib import Repr
from typing import Any, Final

LARGEST_FILE: Final = 500_000
"""Most bytes of a file."""
_DEEPEST: Final = 8
"""Most tables and lists around a value."""
_LONGEST_TEXT: Final = 10_000
_LONGEST_KEY: Final = 200
_LARGEST_NUMBER: Final = 10**18
_MOST_KEYS: Final = 100
"""Most dots of a line outside of quotes."""
_MOST_PARSES: Final = 200
_PARSED_CHARACTERS: Final = 2_000_000
"""Characters parsed in search of a line, about a second; in a large file the line found is then near the value."""
_PLACE: Final = re.compile(r" ?\(at (?:line (\d+), column \d+|end of document)\)")
_QUOTED_OR_COMMENT: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'|#.*')
_MISSING: Final = object()

Step = str | int

_SHORTENED = Repr()
_SHORTENED.maxstring = _SHORTENED.maxother = _SHORTENED.maxlong = 120
shown = _SHORTENED.repr
"""Returns a value for a message: as Python writes it, with dots for the middle of a long one."""


class TomlError(Exception):
    """A fault of a TOML file, and its line where one is known. The reader of the file adds its path."""

    def __init__(self, found: str, *, line: int | None = None) -> None:
        super().__init__(found if line is None else f"line {line}: {found}")
        self.found = found
        self.line = line


def content_of(file: Path) -> bytes:
    """Read a file.

    Raises:
        OSError: it cannot be read.
        TomlError: it is no regular file, or larger than `LARGEST_FILE`.
    """
    # without O_NONBLOCK a FIFO that nobody writes to would be waited for
    with open(file, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)) as opened:
        if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
            raise TomlError("no regular file")
        content = opened.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise TomlError(f"more than {LARGEST_FILE:,} bytes")
    return content


def parse_toml(content: bytes) -> tuple[str, dict[str, Any]]:
    """Return the text and its table, whose values are safe to show, compare and convert.

    Raises:
        TomlError: it is not UTF-8 or TOML, or a value is deeper, longer or larger than any use of it is.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise TomlError("not UTF-8; save the file as UTF-8", line=line) from None
    for number, row in enumerate(text.split("\n"), start=1):
        if row.count(".") > _MOST_KEYS and _QUOTED_OR_COMMENT.sub("", row).count(".") > _MOST_KEYS:
            raise TomlError(f"a key of more than {_MOST_KEYS} parts", line=number)
    try:
        table = tomllib.loads(text)
    except RecursionError:
        raise TomlError(f"brackets more than {_DEEPEST} deep", line=_line_of_most(text, "[{")) from None
    except ValueError as error:
        raise _not_toml(text, str(error)) from None
    _require_bounded(text, table)
    return text, table


def line_of(text: str, path: Sequence[Step]) -> int | None:
    """Return the line (from 1) on which the value at `path` begins, or the nearest table around it; None without one.

    The value begins below the longest first part of the text that parses without it: that part is searched by
    halves, which takes milliseconds, and only where a mistake is reported.

    Args:
        text: a whole TOML document that parses.
        path: keys and array positions, outermost first.
    """
    lines, table = [f"{row}\n" for row in text.split("\n")], tomllib.loads(text)
    there = next(
        (path[:end] for end in range(len(path), 0, -1) if _at(table, path[:end]) is not _MISSING), None
    )
    if there is None:
        return None
    without, within = 0, len(lines)
    parses = min(_MOST_PARSES, _PARSED_CHARACTERS // len(text) + 10)
    while within - without > 1:
        middle = (without + within) // 2
        for end in (*range(middle, within), *range(middle - 1, without, -1)):
            if parses == 0:
                return without + 1
            parses -= 1
            part = _parsed("".join(lines[:end]))
            if part is not None:
                break
        else:
            break
        without, within = (end, within) if _at(part, there) is _MISSING else (without, end)
    return without + 1


def _parsed(part: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(part)
    except (ValueError, RecursionError):
        return None


def _at(value: Any, path: Sequence[Step]) -> Any:
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return _MISSING
    return value


def _not_toml(text: str, message: str) -> TomlError:
    place = _PLACE.search(message)
    if place is None:  # a number of thousands of digits
        return TomlError("a number too long to be read", line=_line_of_most(text, "0123456789"))
    line = int(place[1]) if place[1] else text.count("\n") + 1
    return TomlError(f"not valid TOML: {_PLACE.sub('', message).strip()}", line=line)


def _line_of_most(text: str, characters: str) -> int:
    counts = [sum(map(row.count, characters)) for row in text.split("\n")]
    return counts.index(max(counts)) + 1


def _require_bounded(text: str, table: dict[str, Any]) -> None:
    waiting: list[tuple[tuple[Step, ...], Any]] = [((), table)]
    while waiting:
        path, value = waiting.pop()
        within: Iterable[tuple[Step, Any]] = ()
        found = ""
        match value:
            case dict():
                within = value.items()
            case list():
                within = enumerate(value)
            case str() if len(value) > _LONGEST_TEXT:
                found = f"a text of {len(value):,} characters, more than {_LONGEST_TEXT:,}"
            case int() if abs(value) > _LARGEST_NUMBER:  # it may have more digits than Python writes
                found = "a whole number of more than 18 digits"
        if (
            path
            and isinstance(path[-1], str)
            and not (len(path[-1]) <= _LONGEST_KEY and path[-1].isprintable())
        ):
            found = f"the key {shown(path[-1])}, which is too long or cannot be printed"
        if len(path) > _DEEPEST:
            found = f"a value more than {_DEEPEST} deep"
        if found:
            raise TomlError(found, line=line_of(text, path))
        waiting += [((*path, step), one) for step, one in within]
