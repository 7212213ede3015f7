"""A table kept as one Parquet file a day, each replaced atomically. No other module knows this layout.

Many days are written and then settled together: one pass of syncs instead of two a file.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Final, Literal

import polars as pl

from recsys_assets.errors import ObjectStoreError
from recsys_assets.storage.atomic import remove_folder
from recsys_assets.storage.day_folders import JOURNAL, PART, day_folder, day_name, days_under
from recsys_assets.storage.day_frames import file_content, in_chunks
from recsys_assets.storage.day_journal import DayFile, DayJournal
from recsys_assets.storage.day_versions import DayVersions
from recsys_assets.storage.table_copy import TableCopy, copy_of_table

_FILE: Final = "__file"


@dataclass(frozen=True, kw_only=True)
class PartitionStore:
    """The files of one table, one a UTC day: `<root>/date=YYYY-MM-DD/part-0.parquet`."""

    root: Path
    """Folder of the table; created with the first day."""
    schema: pl.Schema
    """Columns and types of the rows that are read; a file may have others, and a column that it lacks is null."""
    provenance: Callable[[date], Mapping[str, str]] | None = None
    """The inputs of a day's file (checksum, code version), written into its Parquet metadata."""
    note: Callable[[pl.DataFrame], Mapping[str, str]] | None = None
    """Facts about a day's rows, which are found without opening its file; written beside the provenance."""
    versions: DayVersions | None = None
    """Keeps the file that another one replaces, and the time of each landing; None keeps neither."""

    @cached_property
    def _journal(self) -> DayJournal:
        return DayJournal(self.root / JOURNAL)

    @cached_property
    def _copy(self) -> TableCopy | None:
        """The days in the home's object store; None where it has none: the files are the table then."""
        return copy_of_table(self.root)

    def path(self, day: date) -> Path:
        """Return the path of `day`'s file, which may not exist; one that an object store has is fetched."""
        if self._copy is not None:
            self._copy.bring(day, self._journal)
        return day_folder(self.root, day) / PART

    def days(self) -> list[date]:
        """Return the days that have a file, oldest first."""
        if self._copy is not None:
            return list(self._copy.objects.days())
        return [day for day in days_under(self.root) if os.path.isfile(self._file(day))]  # noqa: PTH113  a third of the time

    def scan(self, days: Iterable[date]) -> pl.LazyFrame:
        """Return the rows of `schema`'s columns of these days, in the order given; typed and empty for no days.

        Files without rows are not opened: a sparse history has thousands.

        Raises:
            FileNotFoundError: one of the days has no file.
        """
        wanted = [self._known(day) for day in days]
        wanted = self._near([file for file in wanted if file.rows != 0] or wanted[:1])
        runs = [(far, [*files]) for far, files in groupby(wanted, key=self._is_far)]
        scans = [self._scan([self._place(file) for file in files], far=far) for far, files in runs]
        if len(scans) > 1:
            return pl.concat(scans)
        return scans[0] if scans else pl.LazyFrame(schema=self.schema)

    def _scan(self, files: list[str], *, far: bool) -> pl.LazyFrame:
        return pl.scan_parquet(
            files,
            schema=self.schema,
            storage_options=self._options if far else None,
            missing_columns="insert",  # a file of an earlier version, which stays while its day is rejected
            extra_columns="ignore",
            hive_partitioning=False,
            glob=False,
        )

    def read(self, day: date) -> pl.DataFrame:
        """Return the rows of one day, with all columns of its file; those of `schema` that it lacks are null."""
        if self._copy is None:
            frame = pl.read_parquet(self._file(day), hive_partitioning=False, glob=False)
        else:
            (file,) = self._near([self._known(day)])
            options = self._options if self._is_far(file) else None
            frame = pl.read_parquet(
                self._place(file), hive_partitioning=False, glob=False, storage_options=options
            )
        lacking = [
            pl.lit(None, t).alias(name) for name, t in self.schema.items() if name not in frame.columns
        ]
        if not lacking:
            return frame
        others = [name for name in frame.columns if name not in self.schema]
        return frame.with_columns(lacking).select(*self.schema, *others)

    def read_chunks(
        self,
        days: Iterable[date],
        *,
        every_column: bool = False,
        where: Callable[[pl.DataFrame], pl.DataFrame] | None = None,
    ) -> Iterator[list[tuple[date, pl.DataFrame]]]:
        """Yield the days that have a file, each with its rows, in chunks (`in_chunks`).

        The files of a chunk are read by one scan: 64 files of a few rows take 4 ms instead of 33.

        Args:
            days: the days.
            every_column: the files' own columns too, after those of `schema`; else `schema`'s only. All days of a
                chunk have the same columns then.
            where: keeps some of the rows, in their order; None keeps all.
        """
        found = (file for day in days if (file := self.file(day)) is not None)
        for chunk in in_chunks(found, rows=lambda file: file.rows or 0):
            together = self._read_together(chunk, every_column=every_column, where=where)
            yield [(file.day, together.get(file.day, together[None])) for file in chunk]

    def write(self, day: date, frame: pl.DataFrame) -> Path:
        """Replace `day`'s file by `frame` atomically, and return its path; `settle` makes it durable."""
        target = day_folder(self.root, day) / PART
        provenance = dict(self.provenance(day)) if self.provenance else {}
        provenance |= self.note(frame) if self.note else {}
        content, columns = file_content(frame, provenance)
        if self._copy is not None and self.versions is not None:
            with suppress(ObjectStoreError):  # a damaged one is not worth keeping
                self._copy.bring(day, self._journal)
        sealed, file = self._journal.write(
            day,
            target,
            content,
            rows=frame.height,
            columns=columns,
            provenance=provenance,
            versions=self.versions,
        )
        if self._copy is not None:
            self._copy.objects.write(day, sealed, file=file)
        return target

    def settle(self) -> None:
        """Wait until every file that was written is on the disk: a power cut takes none of them after this.

        In a home with an object store wait until they are there.
        """
        self._journal.settle()
        if self._copy is not None:
            self._copy.objects.settle()
        if self.versions is not None:
            self.versions.settle()

    def file(self, day: date) -> DayFile | None:
        """Return rows, checksum and provenance of `day`'s file; None if there is no file.

        The file is opened only where the table's journal does not know it.
        """
        if self._copy is not None:
            found = self._copy.file(day, self._journal)
        else:
            found = self._journal.find(day, self._file(day))
        if self._journal.examined:
            self._journal.settle()
        return found

    def files(self) -> dict[date, DayFile]:
        """Return what `file` returns of each day, oldest first."""
        found: Mapping[date, DayFile | None]
        if self._copy is not None:
            found = self._copy.files(self._journal)
        else:
            found = {day: self._journal.find(day, self._file(day)) for day in days_under(self.root)}
        if self._journal.examined:
            self._journal.settle()
        return {day: file for day, file in found.items() if file is not None}

    def remove(self, day: date) -> None:
        """Delete `day`'s file; nothing happens if there is none."""
        known = self.file(day) if self.versions is not None else None
        if self.versions is not None and known is not None:
            self.versions.keep(day, self.path(day), known)
            self.versions.landed(day, "")
            self.versions.settle()
        remove_folder(day_folder(self.root, day))
        if self._copy is not None:
            self._copy.objects.remove(day)

    def checksum(self, day: date) -> str:
        """Return the SHA-256 of `day`'s file, hexadecimal.

        Raises:
            FileNotFoundError: there is none.
        """
        return self._known(day).checksum

    def _known(self, day: date) -> DayFile:
        file = self.file(day)
        if file is None:
            raise FileNotFoundError(self._file(day))
        return file

    @property
    def _options(self) -> dict[str, str] | None:
        return dict(self._copy.options) if self._copy is not None and self._copy.options else None

    def _is_far(self, file: DayFile) -> bool:
        """Return whether a day is read from the store, since there is no right copy of it here."""
        return self._copy is not None and not self._copy.is_here(file)

    def _place(self, file: DayFile) -> str:
        return self._file(file.day) if self._copy is None else self._copy.place_of_day(file)

    def _file(self, day: date) -> str:
        return f"{self.root}/{day_name(day)}/{PART}"

    def _near(self, files: list[DayFile]) -> list[DayFile]:
        return files if self._copy is None else self._copy.near(files, self._journal)

    def _read_together(
        self,
        days: Sequence[DayFile],
        *,
        every_column: bool,
        where: Callable[[pl.DataFrame], pl.DataFrame] | None,
    ) -> dict[date | None, pl.DataFrame]:
        """Return the rows of each day that has any, and no rows under None, read by one scan; at least one day."""
        near = self._near([*days])
        files, far = {self._place(file): file.day for file in near}, self._is_far(near[0])
        if every_column:
            first = pl.scan_parquet(next(iter(files)), storage_options=self._options if far else None)
            own = pl.Schema(self.schema | first.collect_schema())
            try:
                together = self._scan_together(list(files), own, far=far, extra_columns="raise")
            except pl.exceptions.PolarsError:  # days of two versions, with other columns or types
                rows = [self.read(day).with_columns(pl.lit(file).alias(_FILE)) for file, day in files.items()]
                together = pl.concat(rows, how="diagonal_relaxed")
        else:
            together = self._scan_together(list(files), self.schema, far=far, extra_columns="ignore")
        together = where(together) if where else together
        runs = together[_FILE].rle().struct.unnest()
        rows_of = together.drop(_FILE)
        found: dict[date | None, pl.DataFrame] = {None: rows_of.clear()}
        start = 0
        for length, file in runs.iter_rows():
            found[files[file]] = rows_of.slice(start, length)
            start += length
        return found

    def _scan_together(
        self, files: list[str], schema: pl.Schema, *, far: bool, extra_columns: Literal["ignore", "raise"]
    ) -> pl.DataFrame:
        return pl.scan_parquet(
            files,
            schema=schema,
            missing_columns="insert",
            extra_columns=extra_columns,
            hive_partitioning=False,
            glob=False,
            storage_options=self._options if far else None,
            include_file_paths=_FILE,
        ).collect()
