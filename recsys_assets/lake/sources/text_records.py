"""Some rows of a file that know where they stand in it, so that a wrong value is refused with its place."""

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
from recsys_assets.lake.sources.text_blocks import BLOCK_BYTES, Block, first_line, line_blocks


@dataclass(frozen=True, kw_only=True)
class Chunk(ABC):
    """Consecutive rows of one file, columns named and typed as the file has them."""

    frame: pl.DataFrame
    """The rows."""
    path: Path
    """The file."""

    @abstractmethod
    def place(self, row: int) -> str:
        """Where row `row`, from 0, stands, for messages: `line 12` or `row 12`, from 1; may be slow."""

    def typed(self, column: str, dtype: pl.DataType | type[pl.DataType]) -> pl.Series:
        """One column as `dtype`; nulls and empty text are null.

        Raises:
            SourceFormatError: a value that isn't one; names file, place, column and value.
        """
        found = self.frame[column]
        if found.dtype == pl.String and dtype != pl.String:
            found = found.str.strip_chars().replace("", None)
        if found.dtype.is_float() and dtype == pl.String:
            found = _whole(found)
        values = found.cast(dtype, strict=False)
        kind = "a number" if values.dtype.is_numeric() else str(dtype)
        self.refuse(column, found.is_not_null() & values.is_null(), f"is not {kind}")
        return values

    def refuse(self, column: str, bad: pl.Series, reason: str) -> None:
        """Raise SourceFormatError for the first row where `bad`; nothing happens where none is."""
        if bad.any():
            row = int(bad.arg_max() or 0)
            raise SourceFormatError(
                f"{self.path}: {self.place(row)}, column {column!r}: {self.frame[column][row]!r} {reason}; "
                "mend or remove it"
            )


def _whole(ids: pl.Series) -> pl.Series:
    """Ids that somebody's missing values made floats, as the integers they were."""
    whole = ids.cast(pl.Int64, strict=False)
    return whole if whole.cast(ids.dtype).eq_missing(ids).all() else ids


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How a file's fields are parted and named."""

    separator: str = ","
    """What stands between two fields; longer than one character only where no field holds a tab."""
    names: tuple[str, ...] | None = None
    """The columns of a file without a header; None takes them from the first line."""
    quoted: bool = True
    """Whether fields may be quoted as RFC 4180 has it."""
    encoding: str = "utf-8"
    """UTF-8 or a single-byte encoding."""


@dataclass(frozen=True, kw_only=True)
class Table(Chunk):
    """Some rows of a delimited file, every column a string; an empty field is null, an empty row is none."""

    block: Block
    """Where they come from."""
    quoted: bool
    """As in the dialect."""
    skipped: int
    """1 where the block starts with the header, 0 otherwise."""

    def place(self, row: int) -> str:
        """`line 12`: the file is read again."""
        number, _ = next(islice(self.block.records(quoted=self.quoted), row + self.skipped, None))
        return f"line {self.block.line(number)}"


def header(path: Path, dialect: Dialect) -> Sequence[str]:
    """The dialect's names, or the fields of the first line.

    Raises:
        SourceFormatError: two columns have the same name.
        InputError: as `line_blocks`.
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

    A row with fewer fields than columns has nulls in the others.

    Raises:
        SourceFormatError: a row has too many fields or broken quotes, or the text is in another encoding.
        InputError: as `line_blocks`.
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
    # polars counts a block's columns on its first line, which may be blank or short: give it one of our own.
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
    """Bisect for the first record that polars refuses."""
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
    """The objects of one block, in the file's order; a blank line is none."""

    rows: list[T]
    """One object a line."""
    block: Block
    """Where they come from."""

    def fault(self, row: int, reason: str) -> SourceFormatError:
        """The error that says what is wrong with one row."""
        return SourceFormatError(f"{self.block.path}: {self.place(row)} {reason}; mend or remove the line")

    def place(self, row: int) -> str:
        """Where row `row`, from 0, stands: `line 12`. For messages only: the file is read again."""
        number, _ = next(islice(self.block.records(), row, None))
        return f"line {self.block.line(number)}"


def json_records(path: Path, record: type[T], *, block_bytes: int = BLOCK_BYTES) -> Iterator[Records[T]]:
    """Decode every line as a `record`; keys that it doesn't declare are skipped, numbers may be quoted.

    Raises:
        SourceFormatError: a line isn't JSON, or a field has another type: file, line, what was found.
        InputError: as `line_blocks`.
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
    """The first line's object, to tell a file's format by its keys.

    Raises:
        SourceFormatError: the line isn't a JSON object.
        InputError: as `line_blocks`.
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


def _first_wrong_record(block: Block, decoder: msgspec.json.Decoder[T], error: Exception) -> SourceFormatError:
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
