"""Rows of delimited files, with their line numbers for the messages about wrong values."""

import csv
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from operator import or_
from pathlib import Path
from typing import Final

import polars as pl

from recsys_assets.errors import SourceFormatError
from recsys_assets.lake.files.delimited_lines import (
    Lines,
    Shape,
    filtered_lines,
    good_lines,
    last_record_end,
    readable_lines,
)
from recsys_assets.lake.files.rows_aside import BAD_ROW, NO_EVENT, RowsAside
from recsys_assets.lake.files.text_blocks import BLOCK_BYTES, Block, each_ahead, first_line, line_blocks
from recsys_assets.lake.files.text_form import TextForm, recognise

_SEPARATOR: Final = b"\x1f"
"""Separator within this program where a file's has several characters."""


@dataclass(kw_only=True)
class Chunk(ABC):
    """Consecutive rows of one file, with the file's own column names and types, and the rows that are left out."""

    frame: pl.DataFrame
    """The rows."""
    path: Path
    """The file, or what stands for it in messages."""
    bad: pl.Series | None = None
    """True for each row that `reject` was called for; None while there is none."""
    fault: str = ""
    """The place, value and fault of the first such row."""
    empty: pl.Series | None = None
    """True for each row that holds no event, such as a total; None while there is none."""

    @abstractmethod
    def place(self, row: int) -> str:
        """Return the place of row `row`, from 0, for messages: `line 12` or `row 12`, from 1. It may be slow."""

    def typed(self, column: str, dtype: pl.DataType | type[pl.DataType]) -> pl.Series:
        """Return one column as `dtype`; empty text becomes null, and so does a value of another type, rejected."""
        found = self.frame[column]
        if found.dtype == pl.String and dtype != pl.String:
            found = found.str.strip_chars().replace("", None)
        if found.dtype.is_float() and dtype == pl.String:
            found = _integers(found)
        values = found.cast(dtype, strict=False)
        kind = "a number" if values.dtype.is_numeric() else str(dtype)
        self.reject(column, found.is_not_null() & values.is_null(), f"is not {kind}")
        return values

    def reject(self, column: str, bad: pl.Series, fault: str) -> None:
        """Mark the rows where `bad` is true: they become no events.

        Args:
            column: the column whose value the message shows.
            bad: boolean, one a row.
            fault: text after the value, such as `is no date`.
        """
        if self.empty is not None:
            bad = bad & ~self.empty
        if not bad.any():
            return
        if self.bad is None:
            row = int(bad.arg_max() or 0)
            self.fault = (
                f"{self.path}: {self.place(row)}, column {column!r}: {self.frame[column][row]!r} {fault}"
            )
        self.bad = bad if self.bad is None else self.bad | bad

    def leave_out(self, empty: pl.Series, aside: RowsAside, *, fault: str) -> None:
        """Count the rows where `empty` is true as `no_event`: nothing is wrong with them, and they become no events.

        Args:
            empty: boolean, one a row.
            aside: takes the count.
            fault: text after the row's place.
        """
        known = [one for one in (self.bad, self.empty) if one is not None]
        empty = reduce(lambda mask, one: mask & ~one, known, empty)
        if not empty.any():
            return
        row = int(empty.arg_max() or 0)
        aside.add(NO_EVENT, rows=int(empty.sum()), example=lambda: f"{self.path}: {self.place(row)} {fault}")
        self.empty = empty if self.empty is None else self.empty | empty

    def finish(self, events: pl.DataFrame, aside: RowsAside) -> pl.DataFrame:
        """Return the events of the rows that were not rejected, and count the others as `bad_row`.

        Args:
            events: one a row of the chunk, in its order.
            aside: takes the count.
        """
        if self.bad is not None:
            aside.add(BAD_ROW, rows=int(self.bad.sum()), example=lambda: self.fault)
        left_out = [one for one in (self.bad, self.empty) if one is not None]
        return events.filter(~reduce(or_, left_out)) if left_out else events


def _integers(ids: pl.Series) -> pl.Series:
    """Return integer ids that missing values had turned into floats as integers again."""
    whole = ids.cast(pl.Int64, strict=False)
    return whole if whole.cast(ids.dtype).eq_missing(ids).all() else ids


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """Format of a delimited file."""

    separator: str = ","
    """Text between two fields."""
    names: tuple[str, ...] | None = None
    """Column names of the records from `start`; None takes them from the first line."""
    quoted: bool = True
    """Fields may be quoted (RFC 4180), where the separator is one character."""
    form: TextForm | None = None
    """The way that the file's bytes are text; None recognises it."""
    start: int = 0
    """Bytes of UTF-8 before the first record, where `names` are given."""
    short: bool = False
    """Records may lack their last fields, which are null then; else such a record is a bad row."""


@dataclass(kw_only=True)
class Table(Chunk):
    """Rows of a delimited file, every column a string; an empty field is null, an empty line is no row."""

    block: Block
    """The lines that the rows come from."""
    lines: Lines
    """The records among them that are the rows."""
    shape: Shape
    """The form of a record."""
    skipped: int
    """Lines of the block before the records."""

    def place(self, row: int) -> str:
        """Return `line 12`; the file is read again."""
        return f"line {self.block.line(self.skipped + self.lines.place(row, self.shape))}"


def header(path: Path, dialect: Dialect) -> Sequence[str]:
    """Return the column names: the dialect's, or the fields of the first line.

    Raises:
        SourceFormatError: two columns have the same name.
        InputError: as in `line_blocks`.
    """
    return list(_with_names(path, dialect).names or ())


def _with_names(path: Path, dialect: Dialect) -> Dialect:
    """Return the dialect with the names of the first line, if it has none, and the start of the records."""
    if dialect.names is not None:
        return dialect
    form, sample = recognise(path, None if dialect.form is None else dialect.form.encoding)
    line = first_line(path, form.encoding)
    names = next(csv.reader([line.decode(errors="replace")], delimiter=dialect.separator))
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise SourceFormatError(f"{path}: line 1 has the column {twice!r} twice; rename one")
    start = sample.find(line) + len(line) + 1
    return replace(dialect, names=tuple(names), form=dialect.form or form, start=start)


def tables(
    path: Path,
    dialect: Dialect,
    aside: RowsAside,
    *,
    columns: Sequence[str] | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[Table]:
    """Read a delimited file in bounded memory.

    Args:
        path: the file, as `open_bytes` takes it.
        dialect: its format.
        aside: takes the lines with a wrong number of fields, an unclosed quote, or bytes that are no text.
        columns: names of the columns to read; None for all.
        block_bytes: approximate size of the lines of one table, bytes of UTF-8.

    Raises:
        InputError: as in `line_blocks`.
    """
    dialect = _with_names(path, dialect)
    names = dialect.names or ()
    separator = dialect.separator.encode()
    shape = Shape(
        fields=len(names),
        separator=separator if len(separator) == 1 else _SEPARATOR,
        quoted=dialect.quoted and len(separator) == 1,
        short=dialect.short,
    )
    cut = partial(last_record_end, shape=shape) if shape.quoted else None
    parser = _Parser(shape=shape, names=names, columns=names if columns is None else columns)
    blocks = line_blocks(path, form=dialect.form, cut=cut, block_bytes=block_bytes)
    for table in each_ahead(partial(_parsed, parser, dialect), blocks):
        bad = table.lines.bad
        if bad:
            example = partial(_example, table.block, table.skipped + bad[0][0], bad[0][1])
            aside.add(BAD_ROW, rows=len(bad), example=example)
        if table.frame.height:
            yield table


def _parsed(parser: "_Parser", dialect: Dialect, block: Block) -> Table:
    separator = dialect.separator.encode()
    before = min(max(dialect.start - block.offset, 0), len(block.data))
    data = block.data[before:]
    skipped = block.data.count(b"\n", 0, before)
    if len(separator) > 1:
        data = data.replace(separator, _SEPARATOR)
    frame, lines = parser.parse(data)
    return Table(frame=frame, path=block.path, block=block, lines=lines, shape=parser.shape, skipped=skipped)


def _example(block: Block, line: int, fault: str) -> str:
    return f"{block.path}: line {block.line(line)} {fault}"


@dataclass(frozen=True, kw_only=True)
class _Parser:
    """Turns records into columns of text."""

    shape: Shape
    names: Sequence[str]
    columns: Sequence[str]

    def parse(self, data: bytes) -> tuple[pl.DataFrame, Lines]:
        """Return the rows of a block, and the lines that they come from."""
        lines = good_lines(data, self.shape)
        if b"\0" not in data:
            try:
                return self._frame(lines.data), lines
            except pl.exceptions.PolarsError:
                pass
        lines = readable_lines(filtered_lines(lines, self.shape), self.shape)
        return self._frame(lines.data), lines

    def _frame(self, data: bytes) -> pl.DataFrame:
        fields = [f"c{number}" for number in range(len(self.names))]
        if self.shape.short:  # polars takes the number of columns from the first record
            data = self.shape.separator.join(field.encode() for field in fields) + b"\n" + data
        wanted = [self.names.index(name) for name in self.columns]
        if not data:
            return pl.DataFrame(schema=dict.fromkeys(self.columns, pl.String))
        frame = pl.read_csv(
            data,
            has_header=self.shape.short,
            schema=dict.fromkeys(fields, pl.String),
            columns=wanted,
            separator=self.shape.separator.decode(),
            quote_char='"' if self.shape.quoted else None,
            glob=False,
        )
        return frame.select(
            pl.col(fields[n]).alias(name) for n, name in zip(wanted, self.columns, strict=True)
        )
