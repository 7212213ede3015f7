"""Any table of events: CSV, TSV, JSON lines (each plain or gzip), Parquet and others, one file or a glob of them.

A mapping, `[source.columns]` in recsys.toml, gives for each of our column names the file's; without an entry both
are the same. `user_id`, `item_id` and `timestamp` are required, `rating`, `quantity`, `value` and `kind` (view,
purchase, … of an event) are optional, and so are `order_id`, `line` and `status`; any other name in the mapping is
kept as text. With `title`, `department`, `category`, `brand` or `price` each item's last known values are its
catalogue. A column that only some of the files have is null in the others.

Each column of a file has one format: times by `file_times.py`, ids and numbers by `cell_values.py`.
"""

import hashlib
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from functools import reduce
from operator import and_
from pathlib import Path
from typing import Final, Self

import msgspec
import polars as pl

from recsys_assets import columns as names
from recsys_assets.errors import EmptySourceError
from recsys_assets.lake.contract import ITEM_CATALOGUE, RAW_INTERACTIONS
from recsys_assets.lake.files.rows_aside import RowsAside
from recsys_assets.lake.files.tabular_files import TabularFile, expand, open_tabular
from recsys_assets.lake.files.text_records import Chunk
from recsys_assets.lake.sources.source import Source, raw_contract
from recsys_assets.lake.sources.table_catalogue import last_known
from recsys_assets.lake.values.cell_values import Mark, decimal_mark, ids, is_missing, numbers, text_of
from recsys_assets.lake.values.column_mapping import OWN, Theirs, alternatives, resolve
from recsys_assets.lake.values.file_times import FileTimes, column_parts, require_zone
from recsys_assets.lake.values.order_lines import OrderLines
from recsys_assets.lake.values.time_of_day import PLUS, with_time_of_day
from recsys_assets.quality.contract import Column
from recsys_assets.settings import CANCELLED
from recsys_assets.source_settings import ReadingSettings

_IDS: Final = (names.USER_ID, names.ITEM_ID, names.ORDER_ID)


class Tabular(Source):
    """One or more files with the same columns, read in the order of their names."""

    def __init__(
        self,
        pattern_or_files: Path | Sequence[TabularFile],
        *,
        columns: Mapping[str, Theirs] | None = None,
        reading: ReadingSettings | None = None,
    ) -> None:
        """Find the files and the columns.

        Args:
            pattern_or_files: a file, a glob (`*`, `?`, `[…]`, `**`), or tables that are open already.
            columns: our column name -> the files', or alternatives of which each file's first is read.
            reading: the way that the files are read; None recognises all of it.

        Raises:
            InputError: a file is missing, of an unknown format, or lacks a column.
        """
        given = dict(columns or {})
        self._reading = reading or ReadingSettings()
        require_zone(self._reading.time_zone)
        self._time_format = self._reading.time_format
        """The settings' format, else the first file's: the next ones are tried in it first."""
        files = files_of(pattern_or_files, self._reading)
        self._files = [with_time_of_day(file, given.get(names.TIMESTAMP)) for file in files]
        self._all = list(self._files)
        timed = [names.TIMESTAMP] if self._reading.snapshot is None else []
        required = [names.USER_ID, names.ITEM_ID, *timed]
        resolved = resolve(self._files, given, required=required)
        self._columns = {file.path: found for file, found in zip(self._files, resolved, strict=True)}
        has = {name for found in resolved for name in found}
        extras = [name for name in dict.fromkeys([*given, *OWN]) if name in has]
        self.contract = raw_contract(
            {
                name: Column(
                    dtype=pl.String,
                    nullable=True,
                    description=f"The source's `{'`, `'.join(alternatives(given.get(name, name)))}`.",
                )
                for name in extras
                if name not in RAW_INTERACTIONS.columns
            }
        )

    def files(self) -> Sequence[Path]:
        """Return the files, sorted by name."""
        return [file.path for file in self._files]

    def parts(self) -> dict[str, str]:
        """Return each file and its fingerprint."""
        return {str(file.path): file.fingerprint() for file in self._files}

    def fingerprint(self) -> str:
        """Return a hash of all parts' fingerprints."""
        return hashlib.sha256("\n".join(self.parts().values()).encode()).hexdigest()

    def only(self, parts: Collection[str]) -> Self:
        """Return a source of these files alone."""
        restricted = super().only(parts)
        restricted._files = [file for file in self._files if str(file.path) in parts]  # noqa: SLF001
        return restricted

    def columns_of(self, file: TabularFile) -> dict[str, str]:
        """Return our name -> the file's for every column that is read of a file."""
        return self._columns[file.path]

    def read(self, aside: RowsAside) -> Generator[pl.DataFrame]:
        """Yield 10,000 to 500,000 rows a batch."""
        for file in self._files:
            theirs = self._columns[file.path]
            times = FileTimes(
                file,
                theirs.get(names.TIMESTAMP, ""),
                msgspec.structs.replace(self._reading, time_format=self._time_format),
                whole=lambda file=file: self._times_of(file),  # type: ignore[misc]
            )
            orders = OrderLines() if names.ORDER_ID in theirs else None
            marks: dict[str, Mark] = {}
            for chunk in file.chunks(list(dict.fromkeys(theirs.values())), aside):
                chunk.leave_out(_repeats_header(chunk, theirs), aside, fault="is the header again")
                events = pl.DataFrame(
                    [
                        times.utc(chunk).alias(name)
                        if name == names.TIMESTAMP
                        else self._column(chunk, name, theirs, marks)
                        for name in self.contract.columns
                    ]
                )
                events = events if orders is None else orders.filled(events)
                missing = events[names.TIMESTAMP].is_null()
                empty = missing & events[names.USER_ID].is_null() & events[names.ITEM_ID].is_null()
                chunk.leave_out(empty, aside, fault="has neither user nor item nor time")
                if chunk.bad is not None:
                    missing &= ~chunk.bad
                chunk.reject(theirs.get(names.TIMESTAMP, ""), missing, "is no timestamp")
                yield chunk.finish(events, aside)
            self._time_format = self._time_format or times.format_name

    def catalogue(self) -> pl.DataFrame | None:
        """Return each item's last known values of the columns that describe it; None if there is no such column."""
        described = [
            name for name in ITEM_CATALOGUE.columns if name in self.contract.columns and name != names.ITEM_ID
        ]
        mark: Mark = self._reading.decimal or "."
        return last_known(self.batches(), described, cancelled=CANCELLED, mark=mark) if described else None

    def _column(
        self, chunk: Chunk, name: str, theirs: Mapping[str, str], marks: dict[str, Mark]
    ) -> pl.Series:
        dtype = self.contract.columns[name].dtype
        if name not in theirs:
            value = self._reading.kind if name == names.KIND else None
            return pl.Series(name, [value], dtype=dtype).new_from_index(0, chunk.frame.height)
        found = chunk.frame[theirs[name]]
        if name in _IDS:
            return ids(found).alias(name)
        if name == names.KIND:
            return self._kinds(text_of(found)).alias(name)
        if dtype == pl.String:
            return text_of(found).alias(name)
        mark = decimal_mark(found)[0] if name not in marks else None
        mark = marks.setdefault(name, mark or self._reading.decimal or ".")
        values = numbers(found, dtype, mark=mark)
        if values.null_count() > found.null_count():
            chunk.reject(theirs[name], ~is_missing(found) & values.is_null(), "is not a number")
        return values.alias(name)

    def _kinds(self, column: pl.Series) -> pl.Series:
        """Return the source's kinds in our words."""
        if not self._reading.kinds:
            return column
        ours = {theirs.strip().lower(): kind for theirs, kind in self._reading.kinds.items()}
        lower = column.str.strip_chars().str.to_lowercase()
        return lower.replace_strict(ours, default=column, return_dtype=pl.String)

    def _times_of(self, file: TabularFile) -> Iterator[pl.Series]:
        """Yield the times of a file, then those of the others, which may tell day and month apart."""
        for one in [file, *(other for other in self._all if other is not file)]:
            yield from column_parts(one, self._columns[one.path][names.TIMESTAMP])


def _repeats_header(chunk: Chunk, theirs: Mapping[str, str]) -> pl.Series:
    """Return true for each row whose values are the names of the columns, as where exports were joined."""
    columns = [
        chunk.frame[name] == name.replace(PLUS, " ")
        for name in theirs.values()
        if chunk.frame.schema[name] == pl.String
    ]
    if len(columns) < len(theirs) or not columns[0].any():
        return pl.Series([False]).new_from_index(0, chunk.frame.height)
    return reduce(and_, columns).fill_null(value=False)


def files_of(pattern_or_files: Path | Sequence[TabularFile], reading: ReadingSettings) -> list[TabularFile]:
    """Return the open files of a source. An empty one among others is left out, and read when it has rows.

    Raises:
        InputError: there is none, or one cannot be read.
    """
    if not isinstance(pattern_or_files, Path):
        return list(pattern_or_files)
    files, empty = list[TabularFile](), list[EmptySourceError]()
    for path in expand(pattern_or_files):
        try:
            files.append(open_tabular(path, reading, like=files[-1] if files else None))
        except EmptySourceError as error:
            empty.append(error)
    if not files:
        raise empty[0]
    return files
