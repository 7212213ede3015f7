"""Files of a table as chunks of selected columns: CSV, TSV, JSON lines or Parquet.

The first bytes of a file show its format; its name doesn't matter. The meaning of the columns belongs to
`tabular.py`.
"""

import glob
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from recsys_assets.errors import SourceFormatError, SourceNotFoundError
from recsys_assets.lake.sources.compressed_files import open_bytes, read_bytes
from recsys_assets.lake.sources.delimited_sniffing import sniff
from recsys_assets.lake.sources.json_documents import recognise_layout
from recsys_assets.lake.sources.json_tables import json_chunks
from recsys_assets.lake.sources.nested_fields import names_in
from recsys_assets.lake.sources.rows_aside import RowsAside
from recsys_assets.lake.sources.text_blocks import first_line
from recsys_assets.lake.sources.text_form import TextForm
from recsys_assets.lake.sources.text_records import Chunk, tables
from recsys_assets.source_settings import ReadingSettings

_PARQUET: Final = b"PAR1"
_PARQUET_BATCH_ROWS: Final = 100_000


@dataclass(frozen=True, kw_only=True)
class FileFormat:
    """The format of a file, as it was recognised or given."""

    kind: str
    """`CSV`, `TSV`, `JSON lines`, `JSON`, `Python literals`, `Parquet`, `Arrow` or `Excel`."""
    encoding: str | None = None
    """Python's name of the encoding; None where the kind fixes it."""
    delimiter: str | None = None
    """Text between two fields, of delimited text."""
    header: bool = True
    """The file names its columns; else they are called `1`, `2`, …"""
    line_ends: str | None = None
    r"""`\n`, `\r\n`, `\r` or `mixed`, of text."""
    notes: tuple[str, ...] = ()
    """Sentences on what is odd about the file."""

    def in_words(self) -> str:
        """Return one line, such as `CSV in cp1252, ";" between fields, no header`."""
        parts = [self.kind if self.encoding is None else f"{self.kind} in {self.encoding}"]
        if self.delimiter is not None:
            parts.append(f"{self.delimiter!r} between fields")
        if not self.header:
            parts.append("no header")
        if self.line_ends not in {None, r"\n"}:
            parts.append(f"line ends {self.line_ends}")
        return ", ".join([*parts, *self.notes])


class TabularFile(ABC):
    """Rows with named columns: a file, a sheet of one, or the answer to a query."""

    def __init__(self, path: Path) -> None:
        """Name the file.

        Args:
            path: the file, or what stands for it in messages where there is none.
        """
        self.path = path

    @property
    @abstractmethod
    def found(self) -> FileFormat:
        """The format of the file."""

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


def open_tabular(path: Path, reading: ReadingSettings) -> TabularFile:
    """Open a file in the format that its first bytes show.

    Raises:
        InputError: the file is missing, empty, or in none of the formats.
    """
    with open_bytes(path) as file:
        start = read_bytes(file, path, len(_PARQUET))
    if start == _PARQUET:
        return _Parquet(path)
    line = first_line(path, reading.encoding)
    return _Json(path, reading) if line.lstrip().startswith((b"{", b"[")) else _Delimited(path, reading)


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
    def __init__(self, path: Path, reading: ReadingSettings) -> None:
        super().__init__(path)
        self._form = sniff(path, reading)

    @property
    def found(self) -> FileFormat:
        dialect, form = self._form.dialect, self._form.dialect.form or TextForm()
        return FileFormat(
            kind="CSV" if dialect.separator != "\t" else "TSV",
            encoding=form.encoding or "utf-8",
            delimiter=dialect.separator,
            header=self._form.header,
            line_ends=form.line_ends,
            notes=self._form.notes,
        )

    def column_names(self) -> Sequence[str]:
        return list(self._form.dialect.names or ())

    def chunks(self, columns: Sequence[str], aside: RowsAside) -> Iterator[Chunk]:
        return tables(self.path, self._form.dialect, aside, columns=columns)


class _Json(TabularFile):
    def __init__(self, path: Path, reading: ReadingSettings) -> None:
        super().__init__(path)
        self._layout = recognise_layout(path, reading.encoding)

    @property
    def found(self) -> FileFormat:
        form = self._layout.form
        return FileFormat(kind=self._layout.kind, encoding=form.encoding or "utf-8", line_ends=form.line_ends)

    def column_names(self) -> Sequence[str]:
        return names_in(self._layout.records)

    def chunks(self, columns: Sequence[str], aside: RowsAside) -> Iterator[Chunk]:
        return json_chunks(self.path, self._layout, columns, aside)


class _Parquet(TabularFile):
    found = FileFormat(kind="Parquet")

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
