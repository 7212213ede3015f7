"""Files of a table as chunks of selected columns: CSV, TSV, JSON lines or Parquet.

The first bytes of a file show its format; its name doesn't matter. The meaning of the columns belongs to
`tabular.py`.
"""

import glob
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from recsys_assets.errors import SourceFormatError, SourceNotFoundError
from recsys_assets.lake.sources.json_records import Records, first_object, json_records
from recsys_assets.lake.sources.rows_aside import RowsAside
from recsys_assets.lake.sources.text_blocks import first_line, line_blocks
from recsys_assets.lake.sources.text_records import Chunk, Dialect, header, tables
from recsys_assets.source_settings import ReadingSettings

_PARQUET: Final = b"PAR1"
_PARQUET_BATCH_ROWS: Final = 100_000
_KEYS_FROM_LINES: Final = 1_000
_SEPARATORS: Final = (",", "\t", ";", "|")


class TabularFile(ABC):
    """Rows with named columns: a file, a sheet of one, or the answer to a query."""

    def __init__(self, path: Path) -> None:
        """Name the file.

        Args:
            path: the file, or what stands for it in messages where there is none.
        """
        self.path = path

    @abstractmethod
    def column_names(self) -> Sequence[str]:
        """Return the file's own column names; `a.b` is a field within a field, `a[].b` one of each list element."""

    @abstractmethod
    def chunks(self, columns: Sequence[str], aside: RowsAside) -> Iterator[Chunk]:
        """Yield the rows in order, with these columns at least, in bounded memory; no chunk is empty.

        Args:
            columns: of `column_names`.
            aside: takes the lines that are no rows of the file.

        Raises:
            InputError: the file is broken; the message names file and place.
        """

    def fingerprint(self) -> str:
        """Return text that changes when the rows change; cheap, and it may change without need."""
        status = self.path.stat()
        return f"{self.path}\0{status.st_size}\0{status.st_mtime_ns}"


def open_tabular(path: Path, reading: ReadingSettings) -> TabularFile:  # noqa: ARG001
    """Open a file in the format that its first bytes show.

    Raises:
        InputError: the file is missing, empty, or in none of the formats.
    """
    try:
        with path.open("rb") as file:
            start = file.read(len(_PARQUET))
    except OSError as error:
        raise SourceNotFoundError(
            f"{path}: cannot be read ({error.strerror}); check the path in the source"
        ) from None
    if start == _PARQUET:
        return _Parquet(path)
    line = first_line(path)
    return _JsonLines(path) if line.lstrip().startswith((b"{", b"[")) else _Delimited(path, line)


def expand(pattern: Path) -> list[Path]:
    """Return the files of a path: itself, or those that a glob names, sorted."""
    if pattern.is_file() or not glob.has_magic(str(pattern)):
        return [pattern]
    top = Path(pattern.anchor)
    found = sorted(path for path in top.glob(str(pattern.relative_to(top))) if path.is_file())
    if not found:
        raise SourceNotFoundError(f"{pattern}: no file matches; check the pattern in the source")
    return found


class _Delimited(TabularFile):
    def __init__(self, path: Path, line: bytes) -> None:
        super().__init__(path)
        text = line.decode(errors="replace")
        self._dialect = Dialect(separator=max(_SEPARATORS, key=text.count))

    def column_names(self) -> Sequence[str]:
        return header(self.path, self._dialect)

    def chunks(self, columns: Sequence[str], aside: RowsAside) -> Iterator[Chunk]:
        return tables(self.path, self._dialect, aside, columns=columns)


class _JsonLines(TabularFile):
    def column_names(self) -> Sequence[str]:
        names = dict.fromkeys(first_object(self.path))
        for _, line in islice(next(line_blocks(self.path)).records(), _KEYS_FROM_LINES):
            try:
                names.update(dict.fromkeys(json.loads(line)))
            except (ValueError, TypeError):
                break  # reading the file reports what is wrong with this line
        return list(names)

    def chunks(self, columns: Sequence[str], aside: RowsAside) -> Iterator[Chunk]:
        fields = [(f"c{number}", str | int | float | bool | None, None) for number in range(len(columns))]
        row = msgspec.defstruct(
            "Row", fields, rename={f"c{n}": name for n, name in enumerate(columns)}, gc=False
        )
        for records in json_records(self.path, row, aside):
            frame = pl.DataFrame(
                [
                    _series(name, [getattr(record, f"c{number}") for record in records.rows])
                    for number, name in enumerate(columns)
                ]
            )
            yield _JsonChunk(frame=frame, path=self.path, records=records)


@dataclass(kw_only=True)
class _JsonChunk(Chunk):
    records: Records[Any]

    def place(self, row: int) -> str:
        return self.records.place(row)


def _series(name: str, values: list[Any]) -> pl.Series:
    """Return text if one value is text, else numbers."""
    if any(isinstance(value, str) for value in values):
        return pl.Series(name, [None if value is None else str(value) for value in values], dtype=pl.String)
    return pl.Series(name, values, strict=False)


class _Parquet(TabularFile):
    def column_names(self) -> Sequence[str]:
        with self._open() as file:
            names: list[str] = file.schema_arrow.names
            return names

    def chunks(self, columns: Sequence[str], aside: RowsAside) -> Iterator[Chunk]:  # noqa: ARG002
        first = 0
        with self._open() as file:
            try:
                for batch in file.iter_batches(_PARQUET_BATCH_ROWS, columns=list(columns)):
                    frame = pl.DataFrame(batch)
                    if frame.height:
                        yield _ParquetChunk(frame=frame, path=self.path, first=first)
                    first += frame.height
            except (pa.ArrowException, OSError) as error:
                raise self._broken(error) from None

    def _open(self) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(self.path)
        except (pa.ArrowException, OSError) as error:
            raise self._broken(error) from None

    def _broken(self, error: Exception) -> SourceFormatError:
        reason = str(error).splitlines()[0]
        return SourceFormatError(
            f"{self.path}: the Parquet file is truncated or damaged ({reason}); write it again"
        )


@dataclass(kw_only=True)
class _ParquetChunk(Chunk):
    first: int

    def place(self, row: int) -> str:
        return f"row {self.first + row + 1}"
