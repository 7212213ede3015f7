"""Records of JSON as tables of text columns: a value has the same text whatever block it is in.

polars decodes a block at once. A block with a line that it rejects is mended (NaN), and else decoded line by line.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from json import loads
from pathlib import Path
from typing import Any, Final

import msgspec
import polars as pl

from recsys_assets.lake.sources import nested_fields
from recsys_assets.lake.sources.json_documents import (
    DOCUMENT,
    LITERALS,
    JsonLayout,
    document_lines,
    strict_json,
)
from recsys_assets.lake.sources.rows_aside import BAD_ROW, RowsAside
from recsys_assets.lake.sources.text_blocks import Block, line_blocks
from recsys_assets.lake.sources.text_records import Chunk

_SHOWN: Final = 60


@dataclass(kw_only=True)
class JsonChunk(Chunk):
    """Rows of JSON records."""

    records: pl.Series | None
    """Number of each row's record among the block's, from 0; None where each record is a row."""
    where: Callable[[int], str]
    """Place of a record of the block."""

    def place(self, row: int) -> str:
        """Return `line 12` or `record 12`."""
        return self.where(row if self.records is None else int(self.records[row]))


def json_chunks(
    path: Path, layout: JsonLayout, columns: Sequence[str], aside: RowsAside
) -> Iterator[JsonChunk]:
    """Yield the records of a file, with these columns, as text.

    Args:
        path: the file.
        layout: the place of its records.
        columns: names as in `nested_fields`.
        aside: takes the lines that are no records.

    Raises:
        InputError: the file is damaged.
    """
    literal = [name for record in layout.records for name in record]
    paths = {name: nested_fields.parse_path(name, literal) for name in columns}
    decoder = _Decoder(
        paths=paths, schema=nested_fields.schema_of(list(paths.values()), records=layout.records)
    )
    for data, where in _blocks(path, layout, aside):
        rows, records, lines, bad = decoder.decode(data)
        if bad:
            number, fault = bad[0]
            aside.add(BAD_ROW, rows=len(bad), example=partial(_example, path, where, number, fault))
        place = where if lines is None else partial(_nth, where, lines)
        if rows.height:
            yield JsonChunk(frame=rows, path=path, records=records, where=place)


def _example(path: Path, where: Callable[[int], str], number: int, fault: str) -> str:
    return f"{path}: {where(number)} {fault}"


def _nth(where: Callable[[int], str], lines: Sequence[int], record: int) -> str:
    return where(lines[record])


def _blocks(path: Path, layout: JsonLayout, aside: RowsAside) -> Iterator[tuple[bytes, Callable[[int], str]]]:
    """Yield JSON lines, and a function that names the place of the n-th of them that isn't blank."""
    if layout.kind == DOCUMENT:
        for lines, before in document_lines(path, layout, aside):
            yield lines, partial(_record_place, before)
        return
    for block in line_blocks(path, form=layout.form):
        data = bytes(block.data)
        yield strict_json(data) if layout.kind == LITERALS else data, partial(_line_place, block)


def _record_place(before: int, record: int) -> str:
    return f"record {before + record + 1}"


def _line_place(block: Block, record: int) -> str:
    number = next(number for n, (number, _) in enumerate(block.records()) if n == record)
    return f"line {block.line(number)}"


@dataclass(frozen=True, kw_only=True)
class _Decoder:
    """Turns JSON lines into rows."""

    paths: Mapping[str, nested_fields.Path]
    schema: Mapping[str, Any]

    def decode(
        self, data: bytes
    ) -> tuple[pl.DataFrame, pl.Series | None, list[int] | None, list[tuple[int, str]]]:
        """Return the rows, the record of each row, the line of each record, and the bad lines with their fault.

        Lines and records are counted from 0, blank lines not among them; None where all are good.
        """
        try:
            return (*self._fast(data), None, [])
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
            pass
        lines = [line for line in strict_json(data).split(b"\n") if line.strip()]
        numbers, bad = list[int](), list[tuple[int, str]]()
        for number, line in enumerate(lines):
            fault = _fault(line)
            if fault is None:
                numbers.append(number)
            else:
                bad.append((number, fault))
        good = [lines[number] for number in numbers]
        try:
            return (*self._fast(b"\n".join(good)), numbers, bad)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
            return (*self._slow(good), numbers, bad)

    def _fast(self, data: bytes) -> tuple[pl.DataFrame, pl.Series | None]:
        if not data.strip():
            return pl.DataFrame(schema=dict.fromkeys(self.paths, pl.String)), None
        return nested_fields.flat(pl.read_ndjson(data, schema=self.schema), self.paths)

    def _slow(self, lines: Sequence[bytes]) -> tuple[pl.DataFrame, pl.Series]:
        """Decode lines in which a field is once a value and once an object."""
        paths = list(self.paths.values())
        rows, records = list[list[str | None]](), list[int]()
        for number, line in enumerate(lines):
            found = nested_fields.rows_of(loads(line), paths)
            rows += found
            records += [number] * len(found)
        frame = pl.DataFrame(rows, schema=dict.fromkeys(self.paths, pl.String), orient="row")
        return frame, pl.Series(records, dtype=pl.UInt32)


def _fault(line: bytes) -> str | None:
    try:
        line.decode()
        msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        start = line[:_SHOWN].decode(errors="replace").rstrip()
        return f"is not a JSON object ({error}), it starts with {start!r}"
    return None
