"""Sheets of Excel and OpenDocument files as tables; needs the extra `xlsx`.

python-calamine reads all kinds of them, is one wheel without dependencies, and is kept up with the Rust library that
it wraps. A sheet is in memory as a whole while it is read.
"""

import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, Final

import polars as pl

from recsys_assets.errors import EmptySourceError, InputError, SourceFormatError
from recsys_assets.lake.files.delimited_sniffing import has_header, unique_names
from recsys_assets.lake.files.nested_fields import text_of
from recsys_assets.lake.files.text_records import Chunk

_OLD: Final = b"\xd0\xcf\x11\xe0"
_ZIP: Final = b"PK\x03\x04"
_PARTS: Final = {"xl/workbook.xml", "xl/workbook.bin", "content.xml"}
_SAMPLE_ROWS: Final = 200
_CHUNK_ROWS: Final = 50_000


def is_workbook(path: Path) -> bool:
    """Return True for an Excel or OpenDocument file, by its content."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError:
        return False
    if start != _ZIP:
        return start == _OLD
    try:
        with zipfile.ZipFile(path) as content:
            return not _PARTS.isdisjoint(content.namelist())
    except zipfile.BadZipFile:
        return False


@dataclass(kw_only=True)
class SheetChunk(Chunk):
    """Rows of one sheet."""

    sheet: str
    first: int
    """Row of the sheet, from 1, of the chunk's first."""

    def place(self, row: int) -> str:
        """Return `sheet 'May', row 12`."""
        return f"sheet {self.sheet!r}, row {self.first + row}"


@dataclass(frozen=True, kw_only=True)
class _Sheet:
    name: str
    names: tuple[str, ...]
    header: bool
    start: int
    """Rows before the first record."""
    rows: int
    """Rows of its sample."""


class Workbook:
    """The sheets of a file that have one header, of several the one with most rows."""

    def __init__(self, path: Path, *, header: bool | None) -> None:
        """Look at the first rows of each sheet.

        Args:
            path: the file.
            header: as in the settings; None recognises it.

        Raises:
            InputError: the extra isn't installed, or the file is damaged, encrypted or empty.
        """
        self.path = path
        found = [sheet for name in self._open().sheet_names if (sheet := self._sheet(name, header))]
        if not found:
            raise EmptySourceError(f"{path}: no sheet has a row; give a sheet with at least one row")
        rows = Counter[tuple[str, ...]]()
        for sheet in found:
            rows[sheet.names] += sheet.rows
        largest = max(found, key=lambda sheet: rows[sheet.names])  # a summary may come first
        self._sheets = [sheet for sheet in found if sheet.names == largest.names]
        self.names = largest.names
        self.header = largest.header
        self.left_out = tuple(sheet.name for sheet in found if sheet not in self._sheets)

    def chunks(self, columns: Sequence[str]) -> Iterator[SheetChunk]:
        """Yield the rows; dates as datetimes, everything else as text."""
        for sheet in self._sheets:
            rows = self._open().get_sheet_by_name(sheet.name).to_python(skip_empty_area=False)[sheet.start :]
            filled = [
                number for number, row in enumerate(rows) if any(cell not in {"", None} for cell in row)
            ]
            last = filled[-1] + 1 if filled else 0
            at = [sheet.names.index(name) for name in columns]
            table = pl.DataFrame(
                [_column(name, [row[n] for row in rows[:last]]) for name, n in zip(columns, at, strict=True)]
            )
            for first in range(0, last, _CHUNK_ROWS):
                frame = table.slice(first, _CHUNK_ROWS)
                number = sheet.start + first + 1
                yield SheetChunk(frame=frame, path=self.path, sheet=sheet.name, first=number)

    def _sheet(self, name: str, header: bool | None) -> _Sheet | None:  # noqa: FBT001
        rows = [list(row) for row in islice(self._open().get_sheet_by_name(name).iter_rows(), _SAMPLE_ROWS)]
        widths = [sum(cell not in {"", None} for cell in row) for row in rows]
        if not any(widths):
            return None
        first = next(n for n, width in enumerate(widths) if width > max(widths) / 2)
        texts = [[_text(cell) or "" for cell in row] for row in rows[first:]]
        named = has_header(texts[0], texts[1:]) if header is None else header
        names, _ = unique_names(texts[0] if named else [""] * len(texts[0]))
        return _Sheet(
            name=name, names=tuple(names), header=named, start=first + named, rows=len(rows) - first
        )

    def _open(self) -> Any:
        try:
            calamine = import_module("python_calamine")
        except ImportError:
            raise InputError(
                f"{self.path}: reading a spreadsheet needs an extra; run `pip install 'recsys-assets[xlsx]'`, "
                "or save it as CSV"
            ) from None
        try:
            return calamine.load_workbook(str(self.path))
        except calamine.CalamineError as error:
            raise SourceFormatError(
                f"{self.path}: the spreadsheet is damaged or encrypted ({error}); save it as CSV"
            ) from None


def _column(name: str, cells: list[Any]) -> pl.Series:
    found = [None if cell in {"", None} else cell for cell in cells]
    if any(isinstance(cell, date) for cell in found) and all(isinstance(cell, date | None) for cell in found):
        moments = [
            cell if isinstance(cell, datetime | None) else datetime.combine(cell, time()) for cell in found
        ]
        return pl.Series(name, moments, dtype=pl.Datetime("us"))
    return pl.Series(name, [_text(cell) for cell in found], dtype=pl.String)


def _text(cell: Any) -> str | None:
    if isinstance(cell, date | time):
        return cell.isoformat(sep=" ") if isinstance(cell, datetime) else cell.isoformat()
    return str(cell) if isinstance(cell, timedelta) else text_of(None if cell == "" else cell)
