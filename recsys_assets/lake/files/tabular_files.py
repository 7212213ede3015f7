"""Files of a table as chunks of selected columns, in every format that is read.

The first bytes of a file show its format; its name doesn't matter. The meaning of the columns belongs to
`tabular.py`.
"""

import glob
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from recsys_assets.errors import SourceNotFoundError
from recsys_assets.lake.files.columnar_files import ARROW, PARQUET, ColumnarFile
from recsys_assets.lake.files.compressed_files import (
    is_zip,
    member_state,
    members,
    open_bytes,
    read_bytes,
)
from recsys_assets.lake.files.delimited_sniffing import DelimitedForm, sniff
from recsys_assets.lake.files.json_documents import recognise_layout
from recsys_assets.lake.files.json_tables import json_chunks
from recsys_assets.lake.files.nested_fields import names_in
from recsys_assets.lake.files.rows_aside import RowsAside
from recsys_assets.lake.files.spreadsheets import Workbook, is_workbook
from recsys_assets.lake.files.text_blocks import first_line
from recsys_assets.lake.files.text_form import TextForm
from recsys_assets.lake.files.text_records import Chunk, tables
from recsys_assets.source_settings import ReadingSettings

_BESIDE: Final = re.compile(
    r"(?i)^(readme|licen[cs]e|copying|changelog|notice|thumbs\.db|desktop\.ini|checksums?|md5sums?|manifest)\b"
    r"|\.(md|rst|pdf|html?|png|jpe?g|gif|svg|py|sh|sql|ipynb|docx?|pptx?|crc|md5|sha\d+|log|lock|tmp)$"
)


@dataclass(frozen=True, kw_only=True)
class FileFormat:
    """The format of a file, as it was recognised or given."""

    kind: str
    """`CSV`, `TSV`, `JSON lines`, `JSON`, `Python literals`, `Parquet`, `Arrow`, `Excel`,
    or `table` where rows come from no file."""
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
    def found(self) -> FileFormat:
        """The format of the file."""
        return FileFormat(kind="table")

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
        member = member_state(self.path)
        if member is not None:
            return f"{self.path}\0{member}"
        status = self.path.stat()
        return f"{self.path}\0{status.st_size}\0{status.st_mtime_ns}"


def open_tabular(path: Path, reading: ReadingSettings, *, like: TabularFile | None = None) -> TabularFile:
    """Open a file in the format that its first bytes show.

    Args:
        path: the file.
        reading: the way that it is read.
        like: another file of the source, whose form is tried first.

    Raises:
        InputError: the file is missing, empty, or in none of the formats.
    """
    if is_workbook(path):
        return _Spreadsheet(path, reading)
    with open_bytes(path) as file:
        start = read_bytes(file, path, len(ARROW))
    kind = next((kind for kind in (PARQUET, ARROW) if start.startswith(kind)), None)
    if kind is not None:
        return _Columnar(path, kind)
    line = first_line(path, reading.encoding)
    return _Json(path, reading) if line.lstrip().startswith((b"{", b"[")) else _Delimited(path, reading, like)


class _Delimited(TabularFile):
    def __init__(self, path: Path, reading: ReadingSettings, like: TabularFile | None) -> None:
        super().__init__(path)
        self.form: DelimitedForm = sniff(
            path, reading, like=like.form if isinstance(like, _Delimited) else None
        )

    @property
    def found(self) -> FileFormat:
        dialect, form = self.form.dialect, self.form.dialect.form or TextForm()
        return FileFormat(
            kind="CSV" if dialect.separator != "\t" else "TSV",
            encoding=form.encoding or "utf-8",
            delimiter=dialect.separator,
            header=self.form.header,
            line_ends=form.line_ends,
            notes=self.form.notes,
        )

    def column_names(self) -> Sequence[str]:
        return list(self.form.dialect.names or ())

    def chunks(self, columns: Sequence[str], aside: RowsAside) -> Iterator[Chunk]:
        return tables(self.path, self.form.dialect, aside, columns=columns)


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


class _Columnar(TabularFile):
    def __init__(self, path: Path, kind: bytes) -> None:
        super().__init__(path)
        self._file = ColumnarFile(path, kind)
        self._kind = "Parquet" if kind == PARQUET else "Arrow"

    @property
    def found(self) -> FileFormat:
        return FileFormat(kind=self._kind)

    def column_names(self) -> Sequence[str]:
        return self._file.column_names()

    def chunks(self, columns: Sequence[str], aside: RowsAside) -> Iterator[Chunk]:  # noqa: ARG002
        return self._file.chunks(columns)


class _Spreadsheet(TabularFile):
    def __init__(self, path: Path, reading: ReadingSettings) -> None:
        super().__init__(path)
        self._book = Workbook(path, header=reading.header)

    @property
    def found(self) -> FileFormat:
        left_out = self._book.left_out
        note = f"sheets with other columns are left out: {', '.join(left_out)}"
        return FileFormat(kind="Excel", header=self._book.header, notes=(note,) if left_out else ())

    def column_names(self) -> Sequence[str]:
        return list(self._book.names)

    def chunks(self, columns: Sequence[str], aside: RowsAside) -> Iterator[Chunk]:  # noqa: ARG002
        return self._book.chunks(columns)


def expand(pattern: Path) -> list[Path]:
    """Return the files that a path means: itself, a glob's, a folder's and an archive's, sorted by name.

    A member of an archive is `a.zip/b.csv`. Of a folder or an archive, hidden files and those that go with data,
    such as a README, are left out.

    Raises:
        InputError: there is none, or an archive cannot be read.
    """
    if pattern.is_dir():
        found = sorted(path for path in pattern.rglob("*") if path.is_file())
        found = [path for path in found if not is_beside_data(path.relative_to(pattern))]
    elif pattern.is_file() or not glob.has_magic(str(pattern)):
        found = [pattern]
    else:
        found = _matches(pattern)
    files = [file for path in found for file in _unpacked(path)]
    if not files:
        missing = "holds no data file" if pattern.exists() else "no file matches"
        raise SourceNotFoundError(f"{pattern}: {missing}; check the path in the source")
    return files


def _matches(pattern: Path) -> list[Path]:
    archive = next((parent for parent in pattern.parents if is_zip(parent)), None)
    if archive is not None:
        return [path for path in _unpacked(archive) if path.match(str(pattern))]
    top = Path(pattern.anchor)
    return sorted(path for path in top.glob(str(pattern.relative_to(top))) if path.is_file())


def _unpacked(path: Path) -> list[Path]:
    if not is_zip(path) or is_workbook(path):
        return [path]
    return [path / name for name in members(path) if not is_beside_data(Path(name))]


def is_beside_data(path: Path) -> bool:
    """Return True for a hidden file, a README, a licence, a picture and others that hold no data.

    Args:
        path: relative to the folder or archive.
    """
    return any(part.startswith((".", "_", "~")) for part in path.parts) or bool(_BESIDE.search(path.name))
