"""JSON lines decoded as structs of known fields, with their line numbers for the messages about wrong values."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec
import polars as pl

from recsys_assets.errors import SourceFormatError
from recsys_assets.lake.files.rows_aside import BAD_ROW, RowsAside
from recsys_assets.lake.files.text_blocks import BLOCK_BYTES, Block, first_line, line_blocks

T = TypeVar("T", bound=msgspec.Struct)


@dataclass(frozen=True, kw_only=True)
class Records(Generic[T]):
    """Objects of the JSON lines of one block, in the file's order; blank lines are skipped."""

    rows: list[T]
    """One object a line."""
    block: Block
    """The lines that the objects come from."""
    numbers: list[int] | None = None
    """Line of each object in the block, from 0; None where each line that isn't blank is one."""

    def finish(
        self, events: pl.DataFrame, *, bad: pl.Series, fault: Callable[[int], str], aside: RowsAside
    ) -> pl.DataFrame:
        """Return the events of the rows that are not bad, and count the others.

        Args:
            events: one a row, in the order of `rows`.
            bad: True for each row that is left out.
            fault: text about one of them, by its number.
            aside: takes the count.
        """
        if not bad.any():
            return events
        row = int(bad.arg_max() or 0)
        aside.add(
            BAD_ROW,
            rows=int(bad.sum()),
            example=lambda: f"{self.block.path}: {self.place(row)} {fault(row)}",
        )
        return events.filter(~bad)

    def place(self, row: int) -> str:
        """Return the place of row `row`, from 0: `line 12`. The file is read again."""
        if self.numbers is not None:
            return f"line {self.block.line(self.numbers[row])}"
        number, _ = next(islice(self.block.records(), row, None))
        return f"line {self.block.line(number)}"


def json_records(
    path: Path, record: type[T], aside: RowsAside, *, block_bytes: int = BLOCK_BYTES
) -> Iterator[Records[T]]:
    """Decode every JSON line as a `record`; undeclared keys are skipped, and numbers may be quoted.

    Args:
        path: the file.
        record: the struct of one line.
        aside: takes the lines that are no JSON, or have a field of another type.
        block_bytes: approximate decompressed size of the lines of one block.

    Raises:
        InputError: as in `line_blocks`.
    """
    decoder = msgspec.json.Decoder(record, strict=False)
    for block in line_blocks(path, block_bytes=block_bytes):
        numbers: list[int] | None = None
        try:
            rows = decoder.decode_lines(block.data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            rows, numbers = _good_records(block, decoder, aside)
        if rows:
            yield Records(rows=rows, block=block, numbers=numbers)


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


def _good_records(
    block: Block, decoder: msgspec.json.Decoder[T], aside: RowsAside
) -> tuple[list[T], list[int]]:
    """Return the records of the lines that can be decoded, and each one's line in the block."""
    rows, numbers, bad = list[T](), list[int](), list[tuple[int, str]]()
    for number, line in block.records():
        try:
            rows.append(decoder.decode(line))
            numbers.append(number)
        except (msgspec.DecodeError, UnicodeDecodeError) as fault:
            bad.append((number, json_fault(line, fault)))
    if bad:
        aside.add(
            BAD_ROW,
            rows=len(bad),
            example=lambda: f"{block.path}: line {block.line(bad[0][0])}{bad[0][1]}",
        )
    return rows, numbers


def json_fault(line: bytes, fault: Exception) -> str:
    """Return the text about a line that cannot be decoded; it follows the line's number."""
    if isinstance(fault, msgspec.ValidationError):
        return f": {fault}"
    start = line[:60].decode(errors="replace").rstrip()
    return f" is not a JSON object ({fault}), it starts with {start!r}"
