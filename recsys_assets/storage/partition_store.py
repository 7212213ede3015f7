"""A table kept as one Parquet file a day, each replaced atomically. No other module knows this layout."""

import hashlib
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from recsys_assets.storage.atomic import replaced_file
from recsys_assets.storage.home import day_folder, days_under

_PART = "part-0.parquet"


@dataclass(frozen=True, kw_only=True)
class PartitionStore:
    """The files of one table, one a UTC day: `<root>/date=YYYY-MM-DD/part-0.parquet`."""

    root: Path
    """Folder of the table; created with the first day."""
    schema: pl.Schema
    """Columns and types of every file."""
    provenance: Callable[[date], Mapping[str, str]] | None = None
    """The inputs of a day's file (checksum, code version), written into its Parquet metadata."""

    def path(self, day: date) -> Path:
        """Return the path of `day`'s file, which may not exist."""
        return day_folder(self.root, day) / _PART

    def days(self) -> list[date]:
        """Return the days that have a file, oldest first."""
        return [day for day in days_under(self.root) if self.path(day).is_file()]

    def scan(self, days: Iterable[date]) -> pl.LazyFrame:
        """Return the rows of these days as a lazy frame, in the order given; typed and empty for no days."""
        files = [self.path(day) for day in days]
        if not files:
            return pl.LazyFrame(schema=self.schema)
        return pl.scan_parquet(files, hive_partitioning=False, glob=False)

    def read(self, day: date) -> pl.DataFrame:
        """Return the rows of one day."""
        return pl.read_parquet(self.path(day), hive_partitioning=False, glob=False)

    def write(self, day: date, frame: pl.DataFrame) -> Path:
        """Replace `day`'s file by `frame` atomically, and return its path."""
        target = self.path(day)
        metadata = dict(self.provenance(day)) if self.provenance else None
        with replaced_file(target) as staged:
            frame.write_parquet(staged, compression="zstd", statistics=True, metadata=metadata)
        return target

    def read_provenance(self, day: date) -> dict[str, str]:
        """Return the metadata of `day`'s file, `provenance` included; empty if there is no file."""
        try:
            return pl.read_parquet_metadata(self.path(day))
        except FileNotFoundError:
            return {}

    def remove(self, day: date) -> None:
        """Delete `day`'s file; nothing happens if there is none."""
        shutil.rmtree(self.path(day).parent, ignore_errors=True)

    def checksum(self, day: date) -> str:
        """Return the SHA-256 of `day`'s file, hexadecimal."""
        with self.path(day).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
