"""JSON lines into typed Python objects, a block at a time, with the file and line of what is wrong.

msgspec decodes only the fields that the given struct declares; on Amazon's reviews that takes a third of
the processor time of a reader that builds whole documents, since the review texts are skipped, not copied.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from recsys_assets.errors import SourceFormatError
from recsys_assets.lake.sources.blocks import Block, first_line, line_blocks

T = TypeVar("T", bound=msgspec.Struct)


@dataclass(frozen=True, kw_only=True)
class Records(Generic[T]):
    """The objects of one block, in the file's order."""

    rows: list[T]
    """One object a line that isn't blank."""
    first_line: int
    """Number of the first line in the file, from 1; exact for every row while no line is blank."""


def json_records(path: Path, record: type[T]) -> Iterator[Records[T]]:
    """Decode every line as a `record`; keys that it doesn't declare are skipped, numbers may be quoted.

    Raises:
        SourceFormatError: a line isn't JSON, or a field has another type: file, line, what was found.
        InputError: as `line_blocks`.
    """
    decoder = msgspec.json.Decoder(record, strict=False)
    for block in line_blocks(path):
        try:
            rows = decoder.decode_lines(block.data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise _first_fault(path, block, decoder) from None
        yield Records(rows=rows, first_line=block.first_line)


def first_object(path: Path) -> dict[str, Any]:
    """The first line's object, to tell a file's format by its keys.

    Raises:
        SourceFormatError: the line isn't a JSON object.
        InputError: as `line_blocks`.
    """
    line = first_line(path)
    try:
        found = json.loads(line)
    except ValueError as error:
        raise SourceFormatError(
            f"{path}: line 1 is not JSON ({error}); give JSON lines, one object a line"
        ) from None
    if not isinstance(found, dict):
        raise SourceFormatError(
            f"{path}: line 1 is a JSON {type(found).__name__}, not an object; give one object a line"
        )
    return found


def _first_fault(path: Path, block: Block, decoder: msgspec.json.Decoder[T]) -> SourceFormatError:
    for number, line in enumerate(block.data.split(b"\n"), start=block.first_line):
        if not line.strip():
            continue
        try:
            decoder.decode(line)
        except msgspec.ValidationError as error:
            return SourceFormatError(f"{path}: line {number}: {error}; mend or remove the line")
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            start = line[:60].decode(errors="replace")
            return SourceFormatError(
                f"{path}: line {number} is not a JSON object ({error}), it starts with {start!r}; "
                "mend or remove the line"
            )
    return SourceFormatError(
        f"{path}: lines from {block.first_line} on are not JSON lines; give one object a line"
    )
