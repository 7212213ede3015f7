"""JSON in any layout as lines, one record each: lines, arrays, an object that holds one, Python literals.

Nothing is evaluated. A document over many lines is cut into its elements by counting brackets outside of text, in
bounded memory.
"""

import json
import re
from ast import literal_eval
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np

from recsys_assets.errors import SourceFormatError
from recsys_assets.lake.files.text_blocks import BLOCK_BYTES, LONGEST_LINE_BYTES, line_blocks
from recsys_assets.lake.files.text_form import TextForm, recognise

LINES, DOCUMENT, LITERALS = "JSON lines", "JSON", "Python literals"

_SAMPLE_RECORDS: Final = 1_000
_LITERAL: Final = re.compile(rb"\s*\{\s*u?'")
_JSON_TEXT: Final = re.compile(rb'"(?:[^\\]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"')
_TOKEN: Final = re.compile(
    rb"""[uUbB]?'(?:[^'\\\n]|\\.)*'|u?"(?:[^"\\\n]|\\.)*"|-?\b(?:None|True|False|NaN|nan|Infinity|inf|undefined)\b"""
)
_ENVELOPE: Final = re.compile(rb'"((?:[^"\\]|\\.)*)"\s*:\s*\[\s*\{')
_WRAPPERS: Final = {"data", "rows", "records", "results", "events", "value", "values", "hits", "interactions"}
_GAP: Final = b" \t\n,"
_OPEN, _CLOSE = b"[{", b"]}"
_MOST_LOST: Final = 1 << 16
"""Bytes of a last element without an end that count as one bad row; more show a broken document."""


@dataclass(frozen=True, kw_only=True)
class JsonLayout:
    """The place of the records in a file."""

    kind: str
    """`JSON lines`, `JSON` (an array, or an object that holds one) or `Python literals`."""
    form: TextForm
    """The way that the file's bytes are text."""
    start: int = 0
    """Bytes of UTF-8 before the first record of a document."""
    records: tuple[dict[str, Any], ...] = ()
    """The records of the sample."""


def recognise_layout(path: Path, encoding: str | None) -> JsonLayout:
    """Return the layout of a file whose text starts with `{` or `[`.

    Raises:
        InputError: its start is no JSON.
    """
    form, sample = recognise(path, encoding)
    lines = [line for line in sample.split(b"\n") if line.strip()][:_SAMPLE_RECORDS]
    if _LITERAL.match(sample):
        found = _objects(strict_json(line) for line in lines)
        return JsonLayout(kind=LITERALS, form=form, records=found)
    try:
        first = json.loads(lines[0])
    except ValueError:
        first = None
    if isinstance(first, dict) and len(lines) == 1 and _is_columns(first):
        raise SourceFormatError(
            f"{path}: holds a list for each column ({', '.join(list(first)[:3])}, …), not records; write one object a "
            'row, as pandas does by to_json(orient="records")'
        )
    if isinstance(first, dict) and not (len(lines) == 1 and _wrapped(first)):
        return JsonLayout(kind=LINES, form=form, records=_objects(lines))
    start = _document_start(sample)
    elements, _, _ = cut_elements(sample[start:])
    found = _objects(elements.split(b"\n"))
    if not found and len(lines) > 1:
        found = _objects(lines)
        if found:  # the first line is broken, those after it are not
            return JsonLayout(kind=LINES, form=form, records=found)
    if not found:
        shown = sample[:60].decode(errors="replace").split("\n")[0]
        raise SourceFormatError(
            f"{path}: line 1 is {shown!r}, which starts no record; give JSON lines, one object a line, or an "
            "array of objects"
        )
    return JsonLayout(kind=DOCUMENT, form=form, start=start, records=found)


def _objects(lines: Iterator[bytes] | Sequence[bytes]) -> tuple[dict[str, Any], ...]:
    found = []
    for line in islice(lines, _SAMPLE_RECORDS):
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            found.append(record)
    return tuple(found)


def _wrapped(record: dict[str, Any]) -> bool:
    """Return True for an object that holds the records in one array."""
    lists = [
        key
        for key, value in record.items()
        if isinstance(value, list) and value and isinstance(value[0], dict)
    ]
    return len(lists) == 1 and (len(record) == 1 or lists[0].lower() in _WRAPPERS)


def _is_columns(record: dict[str, Any]) -> bool:
    """Return True for an object that holds the values of each column in one list, or by the number of the row."""
    values = list(record.values())
    if len(values) <= 1 or not all(isinstance(value, list | dict) and len(value) > 1 for value in values):
        return False
    if all(isinstance(value, dict) for value in values):
        return all(list(value) == [str(number) for number in range(len(value))] for value in values)
    plain = all(
        isinstance(value, list) and not any(isinstance(one, dict) for one in value) for value in values
    )
    return plain and len({len(value) for value in values}) == 1


def _document_start(sample: bytes) -> int:
    """Return the offset of the first element: after the `[`, or 0 for objects one after the other."""
    start = len(sample) - len(sample.lstrip())
    if sample[start : start + 1] == b"[":
        return start + 1
    wrapper = _ENVELOPE.search(sample)
    if wrapper is None:
        return start
    before = sample[start : wrapper.start()] + b'"":0}'
    try:  # only members of the outer object come before its array
        whole = isinstance(json.loads(before), dict)
    except ValueError:
        whole = False
    first, _, _ = cut_elements(sample[start:])
    outer = _objects([first.split(b"\n")[0]])
    return wrapper.end() - 1 if whole and (not outer or _wrapped(outer[0])) else start


@dataclass(frozen=True, kw_only=True)
class Elements:
    """Consecutive elements of a document."""

    lines: bytes = b""
    """The elements, one a line."""
    before: int = 0
    """Number of elements before them."""
    lost: int = 0
    """Values among them that are no records."""
    example: str = ""
    """The place of such a value, and its fault."""


def document_elements(path: Path, layout: JsonLayout) -> Iterator[Elements]:
    """Read the elements of a document, in bounded memory.

    Raises:
        SourceFormatError: the document is broken; the message names the record.
    """
    carry, count = b"", 0
    for block in line_blocks(path, form=layout.form, cut=len, block_bytes=BLOCK_BYTES):
        skipped = min(max(layout.start - block.offset, 0), len(block.data))
        data = carry + block.data[skipped:]
        lines, end, lost = cut_elements(data)
        found = lines.count(b"\n")
        place = f"{path}: between records {count + 1} and {count + 1 + found} is a value that is no object"
        if lines:
            yield Elements(lines=lines, before=count, lost=lost, example=place)
            count += found
        if end < 0:
            return
        carry = data[end:]
        if len(carry) > LONGEST_LINE_BYTES:
            break
    if carry.strip(_GAP + _CLOSE):
        yield _without_end(path, carry, count)


def _without_end(path: Path, rest: bytes, count: int) -> Elements:
    start = rest.strip(_GAP)[:60].decode(errors="replace")
    fault = f"{path}: record {count + 1} has no end, it starts with {start!r}"
    if len(rest) > _MOST_LOST or re.search(rb"\}\s*,?\s*\{", rest):
        raise SourceFormatError(f"{fault}; is the file complete?")
    return Elements(before=count, lost=1, example=fault)


def cut_elements(data: bytes) -> tuple[bytes, int, int]:
    """Cut text between the brackets of an array into its elements.

    Args:
        data: text that starts at or before an element.

    Returns:
        The whole elements, one a line; the bytes up to the end of the last one, -1 if the array ends; and the
        number of values that are neither objects nor arrays.
    """
    signs = np.frombuffer(data, np.uint8)
    quotes = _unescaped_quotes(data, signs)
    brackets = np.flatnonzero(_STEPS[signs])
    outside = brackets[np.searchsorted(quotes, brackets) % 2 == 0]
    depth = np.cumsum(_STEPS[signs[outside]])
    over = np.flatnonzero(depth < 0)
    ended = len(over) > 0
    if ended:
        outside, depth = outside[: over[0]], depth[: over[0]]
    steps = _STEPS[signs[outside]]
    ends = outside[(depth == 0) & (steps < 0)] + 1
    starts = outside[(depth == 1) & (steps > 0)][: len(ends)]
    unlike = np.flatnonzero(signs[ends - 1] != signs[starts] + 2)  # `{` is two before `}`, and `[` before `]`
    if len(unlike):  # a bracket is missing: what follows cannot be parted
        starts, ends, ended = starts[: unlike[0]], ends[: unlike[0]], False
    if not len(ends):
        return b"", -1 if ended else 0, 0
    first, last = starts.tolist(), ends.tolist()
    gaps = Counter(data[end:start] for end, start in zip([0, *last], first, strict=False))
    lost = sum(count for gap, count in gaps.items() for part in gap.split(b",") if part.strip(_GAP))
    parts = (data[start:end].replace(b"\n", b" ") for start, end in zip(first, last, strict=True))
    return b"\n".join(parts) + b"\n", -1 if ended else last[-1], lost


_STEPS: Final = np.zeros(256, np.int8)
_STEPS[list(_OPEN)], _STEPS[list(_CLOSE)] = 1, -1


def _unescaped_quotes(data: bytes, signs: np.ndarray) -> np.ndarray:
    """Return the positions of the quotes that an even number of backslashes precedes."""
    quotes = np.flatnonzero(signs == 34)  # noqa: PLR2004  a quote
    if b'\\"' not in data:
        return quotes
    odd = np.zeros(len(quotes), bool)
    before, running = quotes - 1, np.ones(len(quotes), bool)
    while True:
        running = running & (before >= 0) & (signs[before] == 92)  # noqa: PLR2004  a backslash
        if not running.any():
            return quotes[~odd]
        odd ^= running
        before = before - 1


def strict_json(data: bytes) -> bytes:
    """Return Python literals, or JSON with NaN, as JSON, line by line; what is neither stays as it is."""
    return _TOKEN.sub(_strict, data)


def _strict(found: re.Match[bytes]) -> bytes:
    token = found[0]
    if token.startswith(b'"') and _JSON_TEXT.fullmatch(token):
        return token
    words = {b"True": b"true", b"False": b"false"}
    if not token.endswith((b"'", b'"')):
        return words.get(token, b"null")
    inner = token[token.index(token[-1:]) + 1 : -1]
    if b"\\" not in inner and b'"' not in inner:
        return b'"' + inner + b'"'
    try:
        return json.dumps(literal_eval(token.decode()), ensure_ascii=False).encode()
    except (ValueError, SyntaxError, TypeError):
        return token
