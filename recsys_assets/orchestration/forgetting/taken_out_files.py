"""Users taken out of files of every kind: rows of tables, objects of JSON, and words of texts, written as one.

A file that a running process appends to keeps its place on the disk: the id is overwritten by signs of its length.
"""

import csv
import gzip
import io
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from recsys_assets.orchestration.forgetting.scanned_databases import is_database
from recsys_assets.orchestration.forgetting.scanned_files import places_in_file
from recsys_assets.orchestration.forgetting.taken_out_databases import take_out_of_database
from recsys_assets.orchestration.forgetting.wanted_ids import WantedIds, holds_users
from recsys_assets.storage.atomic import named, remove_file, replace_file, replaced_file

_SIGN: Final = "*"
"""In place of each byte of an id in a file that others append to."""
_GZIP: Final = b"\x1f\x8b"
_BINARY: Final = (b"\x93NUMPY", b"PK\x03\x04", b"%PDF", b"\x28\xb5\x2f\xfd", b"\x89PNG")
"""First bytes of files that hold no ids that could be replaced in place."""


def take_out_of_file(path: Path, wanted: WantedIds, *, appended: bool = False) -> int:
    """Take users out of one file, durably, and return the number of rows, cells and words; 0 leaves it untouched.

    Args:
        path: the file.
        wanted: the users.
        appended: a process may append to it now: it is changed in its place.

    Raises:
        OSError, ForgetError, sqlite3.Error: it cannot be read or written.
    """
    if is_database(path):
        return take_out_of_database(path, wanted)
    with path.open("rb") as file:
        start = file.read(8)
    if start.startswith(b"PAR1"):
        return _take_out_of_parquet(path, wanted)
    if start.startswith(b"ARROW1"):  # rows on their way between two stages, made again from the source
        found = sum(count for _, count in places_in_file(path, wanted))
        if found:
            remove_file(path)
        return found
    if start.startswith(_BINARY):
        return 0
    if appended:
        return _overwrite(path, wanted)
    return _take_out_of_text(path, wanted)


def _take_out_of_text(path: Path, wanted: WantedIds) -> int:
    before = path.read_bytes()
    content = gzip.decompress(before) if before.startswith(_GZIP) else before
    text = content.decode(errors="surrogateescape")
    new, number = without_in_text(path.name.removesuffix(".gz"), text, wanted)
    if number:
        encoded = new.encode(errors="surrogateescape")
        mode = stat.S_IMODE(path.stat().st_mode)
        replace_file(path, gzip.compress(encoded, mtime=0) if content is not before else encoded, mode=mode)
        path.chmod(mode)
    return number


def without_in_text(name: str, text: str, wanted: WantedIds) -> tuple[str, int]:
    """Return a text without the users, and the number taken out; a file's name says how it is written."""
    if name.endswith(".csv"):
        return _without_in_csv(text, wanted)  # a sign of an id may be doubled there
    if not any(form in text for form in wanted.spellings):
        return text, 0
    if name.endswith((".jsonl", ".ndjson")):
        return _by_line(text, lambda line: _without_in_json(line, wanted))
    return _without_in_json(text, wanted)


def _without_in_json(text: str, wanted: WantedIds) -> tuple[str, int]:
    """Return JSON without the users, laid out as before; any other text with its words replaced."""
    try:
        value = json.loads(text)
    except ValueError:
        return wanted.blank(text)
    new, number = wanted.without(value)
    if not number:
        return text, 0
    indent = _indent_of(text)
    separators = None if indent is not None or ": " in text else (",", ":")
    ending = "\n" if text.endswith("\n") else ""
    return json.dumps(new, indent=indent, separators=separators, ensure_ascii=False) + ending, number


def _indent_of(text: str) -> int | None:
    lines = text.strip().splitlines()
    return len(lines[1]) - len(lines[1].lstrip()) if len(lines) > 1 else None


def _by_line(text: str, change: Callable[[str], tuple[str, int]]) -> tuple[str, int]:
    lines = [change(line) for line in io.StringIO(text, newline="\n")]
    return "".join(line for line, _ in lines), sum(number for _, number in lines)


def _without_in_csv(text: str, wanted: WantedIds) -> tuple[str, int]:
    """Drop the rows of a table, found by a user's column; the others stay as they are written."""
    lines = list(_records(text))
    names = next(csv.reader(lines[:1]), [])
    places = [place for place, name in enumerate(names) if holds_users(name)]
    kept, gone = lines[:1], 0
    for line in lines[1:]:
        cells = next(csv.reader(line.splitlines(keepends=True)), [])
        if any(place < len(cells) and cells[place] in wanted.ids for place in places):
            gone += 1
            continue
        new, number = wanted.blank(line)
        kept.append(new)
        gone += number
    return "".join(kept), gone


def _records(text: str) -> Iterator[str]:
    """Yield the rows of CSV as they are written; a quoted cell may have several lines."""
    record = ""
    for line in io.StringIO(text, newline="\n"):
        record += line
        if record.count('"') % 2 == 0:
            yield record
            record = ""
    if record:
        yield record


def _overwrite(path: Path, wanted: WantedIds) -> int:
    """Overwrite the ids in their place, so that a process that appends to the file goes on."""
    content = path.read_bytes()
    text = content.decode(errors="surrogateescape")
    total = 0
    with named(path), path.open("rb+") as file:
        while spans := wanted.spans_in(text):
            total += len(spans)
            for start, end in reversed(spans):
                signs = _SIGN * len(text[start:end].encode(errors="surrogateescape"))
                os.pwrite(file.fileno(), signs.encode(), len(text[:start].encode(errors="surrogateescape")))
                text = text[:start] + signs + text[end:]
        if total:
            os.fsync(file.fileno())
    return total


def _take_out_of_parquet(path: Path, wanted: WantedIds) -> int:
    """Drop the rows of the users, and blank their ids in the texts of others; the notes of the file stay."""
    if not any(True for _ in places_in_file(path, wanted)):
        return 0
    table = pq.read_table(path, partitioning=None)
    new, number = without_in_table(table, wanted)
    notes = {
        key: wanted.blank(value.decode(errors="surrogateescape"))[0].encode(errors="surrogateescape")
        for key, value in (table.schema.metadata or {}).items()
    }
    with replaced_file(path) as staged:
        pq.write_table(new.replace_schema_metadata(notes), staged, compression="zstd")
    return max(number, 1)


def without_in_table(table: pa.Table, wanted: WantedIds) -> tuple[pa.Table, int]:
    """Return a table without the rows of the users, and with their ids blanked in texts; and the number of both."""
    users = [name for name in table.column_names if holds_users(name)]
    keep = [True] * table.num_rows
    for name in users:
        cells = table[name].to_pylist()
        keep = [kept and not _is_users(cell, name, wanted) for kept, cell in zip(keep, cells, strict=True)]
    gone = keep.count(False)
    new = table.filter(pa.array(keep, pa.bool_())) if gone else table
    for place, field in enumerate(new.schema):
        if not (pa.types.is_string(field.type) or pa.types.is_large_string(field.type)):
            continue
        cells = [_blanked(cell, field.name, wanted) for cell in new[field.name].to_pylist()]
        number = sum(count for _, count in cells)
        if number:
            new = new.set_column(place, field, pa.array([cell for cell, _ in cells], field.type))
            gone += number
    return new, gone


def _is_users(cell: Any, field: str, wanted: WantedIds) -> bool:
    return cell is not None and str(cell) in wanted.ids and wanted.count_in(cell, field) > 0


def _blanked(cell: str | None, field: str, wanted: WantedIds) -> tuple[str | None, int]:
    if cell is None:
        return None, 0
    new, number = wanted.without(cell, field)
    return (new if isinstance(new, str) else wanted.in_place), number
