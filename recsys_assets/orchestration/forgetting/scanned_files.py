"""Every kind of file of a home, read for ids: tables by column, databases by cell, the rest as text, archives opened.

A file's kind is known by its first bytes, not by its name, so that a file with another ending is read all the same.
"""

import bz2
import csv
import gzip
import io
import json
import lzma
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recsys_assets.orchestration.forgetting.wanted_ids import WantedIds, holds_users, is_id_field

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Place = tuple[str, int]
"""A place of a file and the number of ids there."""
_DEEPEST: Final = 5
"""Archives within archives."""
_BLOCK: Final = 8 << 20
"""Characters of a text that are read at once."""
_OVERLAP: Final = 1 << 16
_ROWS: Final = 100_000
_UNPACK: Final[dict[bytes, Callable[[bytes], bytes]]] = {
    b"\x1f\x8b": gzip.decompress,
    b"\x28\xb5\x2f\xfd": zstd.decompress,
    b"BZh": bz2.decompress,
    b"\xfd7zXZ": lzma.decompress,
}
_ZLIB: Final = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_STRINGS: Final = ".bytes.npy"


def places_in_file(path: Path, wanted: WantedIds) -> Iterator[Place]:
    """Yield the places of a file that name a user; of a database see `scanned_databases`.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(8)
        file.seek(0)
        if start.startswith(b"PAR1"):
            yield from _in_parquet(path, wanted)
        elif start.startswith(b"ARROW1"):
            yield from _in_frames(pa.ipc.open_file(file), wanted)
        elif path.name.endswith(_STRINGS):
            yield from _in_string_table(path, wanted)
        elif start.startswith(b"\x93NUMPY"):
            yield from _in_array(path, wanted)
        elif start.startswith((*_UNPACK, b"PK\x03\x04")):
            yield from places_in_bytes(file.read(), wanted, name=path.name)
        else:
            yield from _in_text(file, wanted, name=path.name)


def places_in_bytes(content: bytes, wanted: WantedIds, *, name: str = "", depth: int = 0) -> Iterator[Place]:
    """Yield the places of a file's content, a member of an archive or a cell of a database that name a user."""
    if depth > _DEEPEST:
        raise ValueError(f"{name}: more than {_DEEPEST} archives within one another")
    unpack = next((found for magic, found in _UNPACK.items() if content.startswith(magic)), None)
    if unpack is not None:
        yield from places_in_bytes(unpack(content), wanted, name=name.rpartition(".")[0], depth=depth + 1)
    elif content.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.namelist():
                for where, count in places_in_bytes(
                    archive.read(member), wanted, name=member, depth=depth + 1
                ):
                    yield f"member {wanted.blank(member)[0]}: {where}", count
    elif content.startswith(b"PAR1"):
        yield from _in_parquet(io.BytesIO(content), wanted)
    elif content.startswith(b"ARROW1"):
        yield from _in_frames(pa.ipc.open_file(io.BytesIO(content)), wanted)
    else:
        yield from _in_text(io.BytesIO(content), wanted, name=name)


def count_in_blob(blob: bytes, wanted: WantedIds, field: str) -> int:
    """Return the number of ids in a binary cell of a database: packed JSON, MessagePack or text."""
    if blob.startswith(_ZLIB):
        try:
            blob = zlib.decompress(blob)
        except zlib.error:
            pass
        else:
            return wanted.count_in(unpacked(blob), field)
    if blob.startswith((*_UNPACK, b"PK\x03\x04", b"PAR1", b"ARROW1")):
        return sum(count for _, count in places_in_bytes(blob, wanted))
    return wanted.count_in(unpacked(blob), field)


def unpacked(blob: bytes) -> Any:
    """Return the value of MessagePack; else the bytes as text."""
    try:
        found = msgspec.msgpack.decode(blob)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        return blob.decode(errors="surrogateescape")
    return found if isinstance(found, list | dict) else blob.decode(errors="surrogateescape")


def _in_parquet(source: Any, wanted: WantedIds) -> Iterator[Place]:
    with pq.ParquetFile(source) as file:
        yield from _in_batches(file.iter_batches(batch_size=_ROWS), wanted)
        notes = file.metadata.metadata or {}
        yield from _in_notes(notes, wanted)
        for group in range(file.metadata.num_row_groups):
            for place in range(file.metadata.num_columns):
                column = file.metadata.row_group(group).column(place)
                bounds = column.statistics if column.is_stats_set else None
                if bounds is not None and bounds.has_min_max:
                    found = sum(
                        wanted.count_in(_plain(one), column.path_in_schema)
                        for one in (bounds.min, bounds.max)
                    )
                    if found:
                        yield f"bounds of column {column.path_in_schema}", found


def _in_frames(file: Any, wanted: WantedIds) -> Iterator[Place]:
    yield from _in_batches((file.get_batch(place) for place in range(file.num_record_batches)), wanted)
    yield from _in_notes(file.schema.metadata or {}, wanted)


def _in_notes(notes: dict[bytes, bytes], wanted: WantedIds) -> Iterator[Place]:
    for key, value in notes.items():
        name = key.decode(errors="replace")
        found = 0 if name == "ARROW:schema" else wanted.count_in(value.decode(errors="surrogateescape"), name)
        if found:
            yield f"note {name}", found


def _in_batches(batches: Iterable[pa.RecordBatch], wanted: WantedIds) -> Iterator[Place]:
    counts: dict[str, int] = {}
    for batch in batches:
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            counts[name] = counts.get(name, 0) + _in_column(name, column, wanted)
    yield from ((f"column {name}", count) for name, count in counts.items() if count)


def _in_column(name: str, column: pa.Array, wanted: WantedIds) -> int:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if pa.types.is_integer(kind):
        ids = [one for one in wanted.cells_of(name) if one.isdecimal()] if is_id_field(name) else []
        return (
            int(pc.is_in(column.cast(pa.string()), pa.array(ids, pa.string())).sum().as_py() or 0)
            if ids
            else 0
        )
    if not (pa.types.is_nested(kind) or _is_text(kind)):
        return 0
    if _is_text(kind):
        column = column.unique() if holds_users(name) else column
        maybe = pa.array([False] * len(column))
        for form in wanted.spellings:
            pattern = form.encode() if pa.types.is_large_binary(kind) or pa.types.is_binary(kind) else form
            maybe = pc.or_(maybe, pc.fill_null(pc.match_substring(column, pattern), False))  # noqa: FBT003  a value
        column = column.filter(maybe)
    return sum(wanted.count_in(_plain(one), name) for one in column.to_pylist())


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_binary(kind)
        or types.is_large_binary(kind)
    )


def _plain(value: Any) -> Any:
    return value.decode(errors="surrogateescape") if isinstance(value, bytes) else value


def _in_string_table(path: Path, wanted: WantedIds) -> Iterator[Place]:
    name = path.name.removesuffix(_STRINGS)
    data = np.load(path, mmap_mode="r", allow_pickle=False).tobytes()
    offsets = np.load(path.with_name(f"{name}.offsets.npy"), mmap_mode="r", allow_pickle=False)
    found = 0
    for one in wanted.cells_of(name):
        text, at = one.encode(), -1
        while (at := data.find(text, at + 1)) >= 0:
            row = int(np.searchsorted(offsets, at, side="right")) - 1
            found += int(offsets[row] == at and offsets[row + 1] == at + len(text))
    if found:
        yield f"strings {name}", found


def _in_array(path: Path, wanted: WantedIds) -> Iterator[Place]:
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.dtype.kind not in "SU":
        return
    found = sum(wanted.count_in(_plain(one), path.stem) for one in array.ravel().tolist())
    if found:
        yield "array", found


def _in_text(file: IO[bytes], wanted: WantedIds, *, name: str) -> Iterator[Place]:
    if name.endswith(".csv"):
        yield from _in_csv(
            io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline=""), wanted
        )
        return
    if name.endswith((".jsonl", ".ndjson")):
        found = sum(_in_line(line, wanted) for line in file)
    else:
        found = _in_whole_text(file, wanted)
    if found:
        yield "text", found


def _in_line(line: bytes, wanted: WantedIds) -> int:
    text = line.decode(errors="surrogateescape")
    if not wanted.may_be_in(text):
        return 0
    try:
        return wanted.count_in(json.loads(text))
    except ValueError:
        return wanted.count_in_text(text)


def _in_whole_text(file: IO[bytes], wanted: WantedIds) -> int:
    """Read in blocks that overlap; a token in the overlap may count twice."""
    found, before = 0, b""
    while block := file.read(_BLOCK):
        found += wanted.count_in((before + block).decode(errors="surrogateescape"))
        before = block[-_OVERLAP:]
    return found


def _in_csv(lines: Iterable[str], wanted: WantedIds) -> Iterator[Place]:
    rows = csv.reader(lines)
    names = next(rows, [])
    counts: dict[str, int] = {}
    while some := list(islice(rows, _ROWS)):
        for row in some:
            for name, cell in zip(names, row, strict=False):
                counts[name] = counts.get(name, 0) + wanted.count_in(cell, name)
    yield from ((f"column {name}", count) for name, count in counts.items() if count)
