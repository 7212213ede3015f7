"""Rows of text files, delimited or JSON lines, with their line numbers for the messages about wrong values."""

import csv
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec
import polars as pl

from recsys_assets.errors import SourceFormatError
from recsys_assets.lake.sources.rows_aside import BAD_ROW, RowsAside
from recsys_assets.lake.sources.text_blocks import BLOCK_BYTES, Block, first_line, line_blocks


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
        if not bad.any():
            return
        if self.bad is None:
            row = int(bad.arg_max() or 0)
            self.fault = (
                f"{self.path}: {self.place(row)}, column {column!r}: {self.frame[column][row]!r} {fault}"
            )
        self.bad = bad if self.bad is None else self.bad | bad

    def finish(self, events: pl.DataFrame, aside: RowsAside) -> pl.DataFrame:
        """Return the events of the rows that were not rejected, and count the others as `bad_row`.

        Args:
            events: one a row of the chunk, in its order.
            aside: takes the count.
        """
        if self.bad is None:
            return events
        aside.add(BAD_ROW, rows=int(self.bad.sum()), example=lambda: self.fault)
        return events.filter(~self.bad)


def _integers(ids: pl.Series) -> pl.Series:
    """Return integer ids that missing values had turned into floats as integers again."""
    whole = ids.cast(pl.Int64, strict=False)
    return whole if whole.cast(ids.dtype).eq_missing(ids).all() else ids


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """Format of a delimited file."""

    separator: str = ","
    """Text between two fields; if longer than one character, no field may hold a tab."""
    names: tuple[str, ...] | None = None
    """Column names of a file without a header; None takes them from the first line."""
    quoted: bool = True
    """Fields may be quoted (RFC 4180)."""
    encoding: str = "utf-8"
    """UTF-8 or a single-byte encoding."""


@dataclass(kw_only=True)
class Table(Chunk):
    """Rows of a delimited file, every column a string; an empty field is null, an empty line is no row."""

    block: Block
    """The lines that the rows come from."""
    quoted: bool
    """Fields may be quoted, as in the dialect."""
    skipped: int
    """1 if the block starts with the header, else 0."""

    def place(self, row: int) -> str:
        """Return `line 12`; the file is read again."""
        number, _ = next(islice(self.block.records(quoted=self.quoted), row + self.skipped, None))
        return f"line {self.block.line(number)}"


def header(path: Path, dialect: Dialect) -> Sequence[str]:
    """Return the column names: the dialect's, or the fields of the first line.

    Raises:
        SourceFormatError: two columns have the same name.
        InputError: as in `line_blocks`.
    """
    if dialect.names is not None:
        return dialect.names
    text = first_line(path).decode(errors="replace")
    names = next(csv.reader([text], delimiter=dialect.separator))
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise SourceFormatError(f"{path}: line 1 has the column {twice!r} twice; rename one")
    return names


def tables(path: Path, dialect: Dialect, *, block_bytes: int = BLOCK_BYTES) -> Iterator[Table]:
    """Read a delimited file, plain or gzip, in bounded memory.

    A row with fewer fields than columns has nulls in the remaining ones.

    Args:
        path: the file.
        dialect: its format.
        block_bytes: approximate decompressed size of the lines of one table.

    Raises:
        SourceFormatError: a row has too many fields or broken quotes, or the text is in another encoding; the
            message names file and line.
        InputError: as in `line_blocks`.
    """
    names = header(path, dialect)
    skipped = 0 if dialect.names is not None else 1
    for block in line_blocks(path, quoted=dialect.quoted, block_bytes=block_bytes):
        try:
            frame = _parse(bytes(block.data), names, dialect, skip=skipped)
        except pl.exceptions.PolarsError as error:
            raise _first_fault(block, names, dialect, error) from None
        frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))
        if frame.height:
            yield Table(frame=frame, path=path, block=block, quoted=dialect.quoted, skipped=skipped)
        skipped = 0


def _parse(data: bytes, names: Sequence[str], dialect: Dialect, *, skip: int) -> pl.DataFrame:
    separator = dialect.separator
    if dialect.encoding != "utf-8":
        data = data.decode(dialect.encoding).encode()
    if len(separator) > 1:
        data, separator = data.replace(separator.encode(), b"\t"), "\t"
    # polars takes the number of columns from the first line, which may be blank or short: put a header before it
    first = separator.join(f"c{number}" for number in range(len(names))).encode()
    frame = pl.read_csv(
        first + b"\n" + data,
        skip_rows_after_header=skip,
        separator=separator,
        quote_char='"' if dialect.quoted else None,
        infer_schema=False,
        glob=False,
    )
    frame.columns = list(names)
    return frame


def _first_fault(
    block: Block, names: Sequence[str], dialect: Dialect, error: pl.exceptions.PolarsError
) -> SourceFormatError:
    """Find the first record that polars rejects, by bisection."""
    records = list(block.records(quoted=dialect.quoted))
    good, bad = 0, len(records)
    while bad - good > 1:
        middle = (good + bad) // 2
        try:
            _parse(b"".join(record for _, record in records[good:middle]), names, dialect, skip=0)
            good = middle
        except pl.exceptions.PolarsError as fault:
            bad, error = middle, fault
    number, record = records[good]
    reason = str(error).splitlines()[0]
    if "more fields" in reason:
        reason = f"has more than the {len(names)} fields of {', '.join(names)}"
    start = record[:60].decode(errors="replace").rstrip()
    return SourceFormatError(
        f"{block.path}: line {block.line(number)} {reason}; it starts with {start!r}; mend or remove the line"
    )


T = TypeVar("T", bound=msgspec.Struct)


@dataclass(frozen=True, kw_only=True)
class Records(Generic[T]):
    """Objects of the JSON lines of one block, in the file's order; blank lines are skipped."""

    rows: list[T]
    """One object a line."""
    block: Block
    """The lines that the objects come from."""

    def fault(self, row: int, reason: str) -> SourceFormatError:
        """Return the error about one row; `reason` follows its line number."""
        return SourceFormatError(f"{self.block.path}: {self.place(row)} {reason}; mend or remove the line")

    def place(self, row: int) -> str:
        """Return the place of row `row`, from 0: `line 12`. The file is read again."""
        number, _ = next(islice(self.block.records(), row, None))
        return f"line {self.block.line(number)}"


def json_records(path: Path, record: type[T], *, block_bytes: int = BLOCK_BYTES) -> Iterator[Records[T]]:
    """Decode every JSON line as a `record`; undeclared keys are skipped, and numbers may be quoted.

    Args:
        path: the file, plain or gzip.
        record: the struct of one line.
        block_bytes: approximate decompressed size of the lines of one block.

    Raises:
        SourceFormatError: a line isn't JSON, or a field has another type; the message names file, line and the
            value found.
        InputError: as in `line_blocks`.
    """
    decoder = msgspec.json.Decoder(record, strict=False)
    for block in line_blocks(path, block_bytes=block_bytes):
        try:
            rows = decoder.decode_lines(block.data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _first_wrong_record(block, decoder, error) from None
        if rows:
            yield Records(rows=rows, block=block)


def first_object(path: Path) -> dict[str, Any]:
    """Return the object of the first line, whose keys show the file's format.

    Raises:
        SourceFormatError: the line isn't a JSON object.
        InputError: as in `line_blocks`.
    """
    try:
        found = json.loads(first_line(path))
    except ValueError as error:
        raise SourceFormatError(
            f"{path}: the first line is not JSON ({error}); give JSON lines, one object a line"
        ) from None
    if not isinstance(found, dict):
        raise SourceFormatError(
            f"{path}: the first line is a JSON {type(found).__name__}, not an object; give one object a line"
        )
    return found


def _first_wrong_record(
    block: Block, decoder: msgspec.json.Decoder[T], error: Exception
) -> SourceFormatError:
    for number, line in block.records():
        try:
            decoder.decode(line)
        except msgspec.ValidationError as fault:
            return SourceFormatError(
                f"{block.path}: line {block.line(number)}: {fault}; mend or remove the line"
            )
        except (msgspec.DecodeError, UnicodeDecodeError) as fault:
            start = line[:60].decode(errors="replace").rstrip()
            return SourceFormatError(
                f"{block.path}: line {block.line(number)} is not a JSON object ({fault}), "
                f"it starts with {start!r}; mend or remove the line"
            )
    return SourceFormatError(f"{block.path}: holds no JSON lines ({error}); give one object a line")
