"""Delimited text into frames of strings, and strings into types, with the line of what is wrong."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from recsys_assets.errors import SourceFormatError
from recsys_assets.lake.sources.blocks import Block, first_line, line_blocks


@dataclass(frozen=True, kw_only=True)
class Table:
    """Some rows of a delimited file, every column a string; an empty field is null."""

    frame: pl.DataFrame
    """The rows."""
    path: Path
    """The file, for messages."""
    first_line: int
    """Line of the first row, from 1."""

    def typed(self, name: str, dtype: pl.DataType | type[pl.DataType]) -> pl.Series:
        """One column as `dtype`.

        Raises:
            SourceFormatError: a value that isn't one; names file, line, column and value.
        """
        text = self.frame[name].str.strip_chars()
        values = text.cast(dtype, strict=False)
        self.refuse(name, text.is_not_null() & values.is_null(), f"is not a {dtype}")
        return values

    def refuse(self, name: str, bad: pl.Series, reason: str) -> None:
        """Raise SourceFormatError for the first row where `bad`, if there is one."""
        row = bad.arg_max() if bad.any() else None
        if row is not None:
            value = self.frame[name][row]
            raise SourceFormatError(
                f"{self.path}: line {self.first_line + row}, column {name!r}: {value!r} {reason}; "
                "mend or remove the line"
            )


def header(path: Path, *, separator: str) -> list[str]:
    """The fields of the first line.

    Raises:
        InputError: as `line_blocks`.
    """
    text = first_line(path).decode("utf-8-sig", errors="replace")
    return next(csv.reader([text], delimiter=separator))


def tables(
    path: Path, *, separator: str, names: Sequence[str] | None = None, quoted: bool = True
) -> Iterator[Table]:
    """Read a delimited file in bounded memory.

    Args:
        path: the file, plain or gzip, UTF-8.
        separator: what parts the fields; more than one character is allowed where no field holds a tab.
        names: the columns of a file without a header; None takes them from the first line.
        quoted: fields may be quoted as RFC 4180 has it.

    Raises:
        SourceFormatError: a row has too many fields, or the text isn't UTF-8.
        InputError: as `line_blocks`.
    """
    fields = list(names) if names is not None else header(path, separator=separator)
    schema = dict.fromkeys(fields, pl.String)
    skip = 0 if names is not None else 1
    for block in line_blocks(path, quoted=quoted):
        data, single = block.data, separator
        if len(separator) > 1:
            data, single = data.replace(separator.encode(), b"\t"), "\t"
        try:
            frame = pl.read_csv(
                data,
                has_header=False,
                skip_rows=skip,
                separator=single,
                quote_char='"' if quoted else None,
                schema=schema,
                raise_if_empty=False,
                glob=False,
            )
        except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
            raise _first_fault(path, block, separator=separator, width=len(fields), error=error) from None
        yield Table(frame=frame, path=path, first_line=block.first_line + skip)
        skip = 0


def _first_fault(
    path: Path, block: Block, *, separator: str, width: int, error: Exception
) -> SourceFormatError:
    for number, line in enumerate(block.data.split(b"\n"), start=block.first_line):
        try:
            text = line.decode()
        except UnicodeDecodeError as fault:
            return SourceFormatError(
                f"{path}: line {number} is not UTF-8 ({fault.reason}); convert the file first"
            )
        found = (
            len(next(csv.reader(io.StringIO(text), delimiter=separator), [])) if len(separator) == 1 else 0
        )
        if found > width:
            return SourceFormatError(
                f"{path}: line {number} has {found} fields, not {width}; mend or remove the line"
            )
    reason = str(error).splitlines()[0]
    return SourceFormatError(f"{path}: lines from {block.first_line} on cannot be read ({reason}); mend them")
