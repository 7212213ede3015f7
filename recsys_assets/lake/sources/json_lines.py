"""JSON lines into typed Python objects, a block at a time, with the file and line of what is wrong.

msgspec decodes only the fields that the given struct declares. Amazon's review texts are so skipped, not
copied, which takes a quarter of the processor time of a reader that builds whole documents.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from recsys_assets.errors import SourceFormatError
from recsys_assets.lake.sources.text_blocks import BLOCK_BYTES, Block, first_line, line_blocks

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
            raise _first_fault(block, decoder, error) from None
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


def _first_fault(block: Block, decoder: msgspec.json.Decoder[T], error: Exception) -> SourceFormatError:
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
