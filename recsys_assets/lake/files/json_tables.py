"""Records of JSON as tables of text columns: a value has the same text whatever block it is in.

polars decodes a block at once. A block with a line that it rejects is mended (NaN), and else decoded line by line.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from json import loads
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from recsys_assets.errors import SourceFormatError
from recsys_assets.lake.files import nested_fields
from recsys_assets.lake.files.json_documents import (
    DOCUMENT,
    LITERALS,
    Elements,
    JsonLayout,
    document_elements,
    strict_json,
)
from recsys_assets.lake.files.json_records import json_fault
from recsys_assets.lake.files.rows_aside import BAD_ROW, RowsAside
from recsys_assets.lake.files.text_blocks import Block, each_ahead, line_blocks
from recsys_assets.lake.files.text_records import Chunk
from recsys_assets.lake.files.uniform_lines import UniformLines


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
    try:
        nested_fields.lists_of(list(paths.values()))
    except SourceFormatError as error:
        raise SourceFormatError(f"{path}: {error}") from None
    decoder = _Decoder(
        paths=paths, schema=nested_fields.schema_of(list(paths.values()), records=layout.records)
    )
    for piece in each_ahead(decoder.decode, _parts(path, layout, decoder)):
        elements, where = piece.part.elements, piece.part.where
        aside.add(BAD_ROW, rows=elements.lost, example=partial(str, elements.example))
        if piece.bad:
            example = partial(_example, path, where, *piece.bad[0])
            aside.add(BAD_ROW, rows=len(piece.bad), example=example)
        place = where if piece.lines is None else partial(_nth, where, piece.lines)
        if piece.rows.height:
            yield JsonChunk(frame=piece.rows, path=path, records=piece.records, where=place)


@dataclass(frozen=True, kw_only=True)
class _Part:
    """Lines of a file."""

    data: bytes
    where: Callable[[int], str]
    """Place of a line, from 0, blank lines not counted."""
    elements: Elements = field(default_factory=Elements)
    """The elements of a document that the lines are."""


@dataclass(frozen=True, kw_only=True)
class _Piece:
    """Decoded lines of a part."""

    rows: pl.DataFrame
    records: pl.Series | None = None
    """Record of each row; None where each record is a row."""
    lines: list[int] | None = None
    """Line of each record, from 0, blank lines not counted; None where all are good."""
    bad: Sequence[tuple[int, str]] = ()
    """Lines that are no records, counted in the same way, and their fault as `json_fault` gives it."""
    part: _Part
    """The lines."""


def _parts(path: Path, layout: JsonLayout, decoder: "_Decoder") -> Generator[_Part]:
    """Yield the lines of a file; the first ones show the decoder their form."""
    for part in _document(path, layout) if layout.kind == DOCUMENT else _lines(path, layout):
        decoder.begin(part.data)
        yield part


def _document(path: Path, layout: JsonLayout) -> Iterator[_Part]:
    for elements in document_elements(path, layout):
        yield _Part(data=elements.lines, where=partial(_record_place, elements.before), elements=elements)


def _lines(path: Path, layout: JsonLayout) -> Iterator[_Part]:
    for block in line_blocks(path, form=layout.form):
        data = strict_json(block.data) if layout.kind == LITERALS else block.data
        yield _Part(data=data, where=partial(_line_place, block))


def _example(path: Path, where: Callable[[int], str], number: int, fault: str) -> str:
    return f"{path}: {where(number)}{fault}"


def _nth(where: Callable[[int], str], lines: Sequence[int], record: int) -> str:
    return where(lines[record])


def _record_place(before: int, record: int) -> str:
    return f"record {before + record + 1}"


def _line_place(block: Block, record: int) -> str:
    number = next(number for n, (number, _) in enumerate(block.records()) if n == record)
    return f"line {block.line(number)}"


@dataclass(kw_only=True)
class _Decoder:
    """Turns JSON lines into rows."""

    paths: Mapping[str, nested_fields.Path]
    schema: Mapping[str, Any]
    uniform: UniformLines | None = None
    """The form of all lines, until one has another."""
    _started: bool = False

    def begin(self, data: bytes) -> None:
        """Take the form of the first lines; later ones change nothing."""
        if not self._started and data and not data.isspace():
            self.uniform, self._started = self._form_of(data), True

    def decode(self, part: _Part) -> _Piece:
        """Return the rows of JSON lines; several threads may call it."""
        try:
            rows, records = self._fast(part.data)
            return _Piece(rows=rows, records=records, part=part)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
            pass
        lines = [line for line in strict_json(part.data).split(b"\n") if line.strip()]
        numbers, bad = list[int](), list[tuple[int, str]]()
        for number, line in enumerate(lines):
            fault = _fault(line)
            if fault is None:
                numbers.append(number)
            else:
                bad.append((number, fault))
        good = [lines[number] for number in numbers]
        try:
            rows, records = self._fast(b"\n".join(good))
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
            rows, records = self._slow(good)
        return _Piece(rows=rows, records=records, lines=numbers, bad=bad, part=part)

    def _fast(self, data: bytes) -> tuple[pl.DataFrame, pl.Series | None]:
        if not data or data.isspace():
            return pl.DataFrame(schema=dict.fromkeys(self.paths, pl.String)), None
        uniform = self.uniform
        frame = None if uniform is None else uniform.frame(data)
        if frame is not None:
            return frame, None
        self.uniform = None
        return nested_fields.flat(pl.read_ndjson(data, schema=self.schema), self.paths)

    def _form_of(self, data: bytes) -> UniformLines | None:
        wanted = dict[str, tuple[list[str], Any]]()
        for name, path in self.paths.items():
            keys, dtype = [step.name for step in path], nested_fields.leaf_of(self.schema, path)
            if not all(keys) or not (dtype == pl.String or dtype.is_numeric()):
                return None
            wanted[name] = keys, dtype
        return UniformLines.of(data[: data.find(b"\n") + 1 or len(data)], wanted)

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
        return json_fault(line, error)
    return None
