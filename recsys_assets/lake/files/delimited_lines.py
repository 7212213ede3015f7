"""Records of a block of delimited text: those with the right number of fields, those without, and stray quotes.

A block is checked as a whole by counting bytes. Only where the counts don't fit, single records are looked at.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Final

import numpy as np

from recsys_assets.lake.files.text_blocks import text_fault

LONGEST_QUOTED_BYTES: Final = 1 << 20
"""Length of a record of several lines beyond which its quote is taken for one that is never closed, bytes."""
_NEWLINE: Final = 10
_QUOTE: Final = 34
_SHOWN: Final = 60


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The form that every record should have."""

    fields: int
    """Number of fields."""
    separator: bytes
    """One byte between two fields."""
    quoted: bool = True
    """Fields may be quoted (RFC 4180)."""
    short: bool = False
    """Records may lack their last fields, which are null then."""


@dataclass(kw_only=True)
class Lines:
    """Records that a parser takes without fault, and those left out."""

    data: bytes
    """The good records, quoted as RFC 4180 has it."""
    places: np.ndarray | None = None
    """Line of each good record in the block, from 0; None where nothing was left out."""
    bad: list[tuple[int, str]] = field(default_factory=list)
    """Line in the block and fault of each record left out."""

    def place(self, row: int, shape: Shape) -> int:
        """Return the line of good record `row` in the block, from 0."""
        if self.places is not None:
            return int(self.places[row])
        ends = _ends(np.frombuffer(self.data, np.uint8), quoted=shape.quoted)
        return self.data.count(b"\n", 0, int(ends[row - 1])) if row else 0


def good_lines(data: bytes, shape: Shape) -> Lines:
    """Return the records of a block that have the right number of fields; blank ones are none.

    Args:
        data: whole records with their newlines.
        shape: their form.
    """
    if shape.quoted and b'"' in data:
        signs = np.frombuffer(data, np.uint8)
        if not _is_regular(signs, ord(shape.separator)):
            return _mended(data, shape)
    return _as_is(data, shape) or _filtered(data, shape)


def last_record_end(data: bytes, shape: Shape) -> int:
    """Return the end of the last whole record in `data`, which starts with a record; 0 if there is none."""
    last = data.rfind(b"\n") + 1
    if not last or not shape.quoted or b'"' not in data:
        return last
    signs = np.frombuffer(data, np.uint8)[:last]
    quotes = np.flatnonzero(signs == _QUOTE)
    if len(quotes) % 2 == 0 and _is_regular(signs, ord(shape.separator)):
        return last
    opened = int(quotes[-1]) if len(quotes) else 0
    if len(quotes) % 2 and last - opened < LONGEST_QUOTED_BYTES:
        start = data.rfind(b"\n", 0, opened) + 1
        if _is_regular(signs[:start], ord(shape.separator)) and _may_open(data, start, opened, shape):
            return start
    return _between_two_plain(data, last, shape)


def _may_open(data: bytes, start: int, opened: int, shape: Shape) -> bool:
    """Return True if the last quote of a line opens a field, and those before it are regular."""
    before = data[start:opened]
    return before.endswith(shape.separator) or (not before)


def _between_two_plain(data: bytes, last: int, shape: Shape) -> int:
    """Return the last end of a line that is a record by itself, as the next one is; 0 if there is none near."""
    pattern, end, following = _record(shape.separator), last, False
    while end > max(0, last - LONGEST_QUOTED_BYTES):
        start = data.rfind(b"\n", 0, end - 1) + 1
        found = pattern.match(data, start, end)
        plain = found is not None and found.end() == end and _is_record(found[0], shape)
        if plain and following:
            return end
        following, end = plain, start
    return 0 if last < LONGEST_QUOTED_BYTES else last


def readable_lines(lines: Lines, shape: Shape) -> Lines:
    """Return `lines` without the records that hold a NUL or are not UTF-8."""
    if not lines.data:
        return lines
    ends = _ends(np.frombuffer(lines.data, np.uint8), quoted=shape.quoted)
    starts = np.concatenate([[0], ends[:-1]])
    faults = dict[int, str]()
    for row in _unreadable(lines.data, ends):
        faults[row] = text_fault(lines.data[starts[row] : ends[row]]) or "is not UTF-8"
    return _without(lines, starts, ends, faults)


def _unreadable(data: bytes, ends: np.ndarray) -> Iterator[int]:
    zeros = np.flatnonzero(np.frombuffer(data, np.uint8) == 0)
    yield from (int(row) for row in np.unique(np.searchsorted(ends, zeros, side="right")))
    start = 0
    while True:
        try:
            str(memoryview(data)[start:], "utf-8")
        except UnicodeDecodeError as error:
            row = int(np.searchsorted(ends, start + error.start, side="right"))
            yield row
            start = int(ends[row])
        else:
            return


def _as_is(data: bytes, shape: Shape) -> Lines | None:
    """Return all records if the counts of newlines and separators show that none is blank or has a field less."""
    blank = shape.separator * (shape.fields - 1) + b"\n"
    if data.startswith((b"\n", blank)) or b"\n\n" in data or b"\n" + blank in data or shape.short:
        return None
    signs = np.frombuffer(data, np.uint8)
    newlines, separators = signs == _NEWLINE, signs == ord(shape.separator)
    if shape.quoted and b'"' in data:
        outside = _outside(signs)
        newlines &= outside
        separators &= outside
    records = int(np.count_nonzero(newlines)) + (not data.endswith(b"\n"))
    # where one record has a field more and another a field less, the parser stops at the former
    fits = int(np.count_nonzero(separators)) == records * (shape.fields - 1)
    return Lines(data=data) if fits else None


def filtered_lines(lines: Lines, shape: Shape) -> Lines:
    """Return `lines` after looking at each record: a parser found a fault that the counts didn't show."""
    return _filtered(lines.data, shape, lines)


def _filtered(data: bytes, shape: Shape, before: Lines | None = None) -> Lines:
    if not data:
        return before or Lines(data=data)
    signs = np.frombuffer(data, np.uint8)
    ends = _ends(signs, quoted=shape.quoted)
    starts = np.concatenate([[0], ends[:-1]])
    separators = signs == ord(shape.separator)
    if shape.quoted and b'"' in data:
        separators &= _outside(signs)
    counts = np.diff(np.searchsorted(np.flatnonzero(separators), ends), prepend=0) + 1
    wrong = counts > shape.fields if shape.short else counts != shape.fields
    lengths = ends - starts
    wrong |= lengths <= counts  # separators and a newline only
    faults = dict[int, str]()
    for row in np.flatnonzero(wrong):
        record = data[starts[row] : ends[row]]
        if not record.strip(shape.separator + b" \t\n"):
            faults[int(row)] = ""
        elif counts[row] != shape.fields:
            faults[int(row)] = _count_fault(record, int(counts[row]), shape)
    return _without(before or Lines(data=data), starts, ends, faults)


def _count_fault(record: bytes, found: int, shape: Shape) -> str:
    start = record.replace(b"\x1f", b"::")[:_SHOWN].decode(errors="replace").rstrip()
    return f"has {found} field{'s' * (found != 1)} instead of {shape.fields}, it starts with {start!r}"


def _without(lines: Lines, starts: np.ndarray, ends: np.ndarray, faults: dict[int, str]) -> Lines:
    """Return `lines` without the records of `faults`; one with an empty fault is no row."""
    if not faults:
        return lines
    signs = np.frombuffer(lines.data, np.uint8)
    places = lines.places
    if places is None:
        places = np.searchsorted(np.flatnonzero(signs == _NEWLINE), starts)
    keep = np.ones(len(starts), bool)
    keep[list(faults)] = False
    bad = [(int(places[row]), fault) for row, fault in faults.items() if fault]
    kept = signs[np.repeat(keep, ends - starts)].tobytes()
    return Lines(data=kept, places=places[keep], bad=[*lines.bad, *bad])


def _outside(signs: np.ndarray) -> np.ndarray:
    """Return True for each byte that is not between two quotes."""
    inside = np.bitwise_xor.accumulate((signs == _QUOTE).view(np.uint8))
    return np.equal(inside, 0)


def _ends(signs: np.ndarray, *, quoted: bool) -> np.ndarray:
    """Return the end of each record."""
    newlines = signs == _NEWLINE
    if quoted and (signs == _QUOTE).any():
        newlines &= _outside(signs)
    ends = np.flatnonzero(newlines) + 1
    return ends if len(ends) and ends[-1] == len(signs) else np.append(ends, len(signs))


def _is_regular(signs: np.ndarray, separator: int) -> bool:
    """Return True if each quoted field is a whole field, so that every second quote closes one."""
    quotes = np.flatnonzero(signs == _QUOTE)
    return len(quotes) % 2 == 0 and not _strays(signs, quotes, separator)


def irregular_quotes(data: bytes, separator: str) -> int:
    """Return the number of quotes that neither open nor close a whole field."""
    signs = np.frombuffer(data, np.uint8)
    return _strays(signs, np.flatnonzero(signs == _QUOTE), ord(separator))


def _strays(signs: np.ndarray, quotes: np.ndarray, separator: int) -> int:
    allowed = np.zeros(256, bool)
    allowed[[separator, _NEWLINE, _QUOTE]] = True
    before, after = quotes[0::2] - 1, quotes[1::2] + 1
    after = after[after < len(signs)]
    return int(
        np.count_nonzero(~allowed[signs[before[before >= 0]]]) + np.count_nonzero(~allowed[signs[after]])
    )


@cache
def _record(separator: bytes) -> re.Pattern[bytes]:
    """Return the pattern of one record in RFC 4180's form, of any number of lines."""
    mark = re.escape(separator)
    fields = rb'(?:"[^"]*(?:""[^"]*)*"|[^"\n' + mark + rb"]*)"
    return re.compile(fields + rb"(?:" + mark + fields + rb")*(?:\n|\Z)")


@cache
def _loose_field(separator: bytes) -> re.Pattern[bytes]:
    """Return the pattern of a field of one line: in a quoted one, a quote that ends no field is text."""
    mark = re.escape(separator)
    end = rb"(?= *(?:" + mark + rb"|\Z))"
    return re.compile(rb'[ ]*"((?:[^"]|"(?!' + end + rb'))*+)"' + end + rb" *|([^" + mark + rb"]*)")


def _mended(data: bytes, shape: Shape) -> Lines:
    """Return a block with stray quotes as one with regular ones, its unclosed records left out."""
    pattern, lines = _record(shape.separator), Lines(data=b"")
    kept, places, position, line = list[bytes](), list[int](), 0, 0
    while position < len(data):
        end = data.find(b"\n", position) + 1 or len(data)
        found = pattern.match(data, position, position + LONGEST_QUOTED_BYTES)
        if found and found.end() > end and not _is_record(found[0], shape):
            found = None
        if found and (found.end() == len(data) or found[0].endswith(b"\n")):
            record: bytes | None = found[0]
            end = found.end()
        else:
            record = _requoted(data[position:end].rstrip(b"\n"), shape)
        if record is None:
            start = data[position:end][:_SHOWN].decode(errors="replace").rstrip()
            lines.bad.append((line, f"has a quote that is not closed, it starts with {start!r}"))
        else:
            kept.append(record)
            places.append(line)
        line += data.count(b"\n", position, end)
        position = end
    lines.data, lines.places = b"".join(kept), np.array(places, np.int64)
    return _filtered(lines.data, shape, lines) if kept else lines


def _is_record(record: bytes, shape: Shape) -> bool:
    """Return True if a record of several lines has the right number of fields."""
    return re.sub(rb'"[^"]*"', b"", record).count(shape.separator) == shape.fields - 1


def _requoted(line: bytes, shape: Shape) -> bytes | None:
    """Return a line's fields, quoted where they hold a quote; None if a quoted field has no end."""
    fields, position = list[bytes](), 0
    while True:
        found = _loose_field(shape.separator).match(line, position)
        if found is None or (found[1] is None and found[2].lstrip(b" ").startswith(b'"')):
            return None
        text = found[2] if found[1] is None else found[1].replace(b'""', b'"')
        quoted = found[1] is not None or b'"' in text
        fields.append(b'"' + text.replace(b'"', b'""') + b'"' if quoted else text)
        position = found.end()
        if position >= len(line):
            return shape.separator.join(fields) + b"\n"
        position += 1
