"""What every source offers, and what follows from it: a lazy frame, the date range, the fingerprint."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import cast

import polars as pl
from polars.io.plugins import register_io_source

from recsys_assets import columns
from recsys_assets.errors import EmptySourceError
from recsys_assets.lake.contract import RAW_INTERACTIONS
from recsys_assets.quality.contract import Column, Contract


@dataclass(frozen=True, kw_only=True)
class DateRange:
    """Which UTC days a source's events cover."""

    first_day: date
    """UTC day of the oldest event."""
    last_day: date
    """UTC day of the newest event, inclusive; it may be incomplete."""
    rows: int
    """Events in the whole source, > 0."""


class Source(ABC):
    """A log of events in somebody's format, read in bounded memory.

    A subclass says which files it reads, how they become batches of typed rows, and what its items are.
    """

    contract: Contract
    """The columns of `raw_interactions`, in order, then the source's own."""

    @abstractmethod
    def files(self) -> Sequence[Path]:
        """Every file that the source reads, in a fixed order."""

    @abstractmethod
    def batches(self) -> Generator[pl.DataFrame]:
        """The events in the source's order, in frames of the contract's schema and of bounded size.

        Raises:
            InputError: the file is missing, broken or in another format; the message names file and line.
        """

    @abstractmethod
    def catalogue(self) -> pl.DataFrame | None:
        """One row an item, `ITEM_CATALOGUE`'s schema, sorted by item id; None where the source has none."""

    def scan(self) -> pl.LazyFrame:
        """The events as a lazy frame; polars' streaming engine reads it a batch at a time."""

        def read(
            with_columns: list[str] | None,
            predicate: pl.Expr | None,
            n_rows: int | None,
            _batch_size: int | None,
        ) -> Iterator[pl.DataFrame]:
            left = n_rows
            for batch in self.batches():
                frame = batch if predicate is None else batch.filter(predicate)
                frame = frame if left is None else frame.head(left)
                yield frame if with_columns is None else frame.select(with_columns)
                if left is not None:
                    left -= frame.height
                    if left <= 0:
                        return

        return register_io_source(read, schema=self.contract.polars_schema())

    def date_range(self) -> DateRange:
        """Read the source once and tell which days it covers.

        Raises:
            EmptySourceError: there is no event at all.
            InputError: as `batches`.
        """
        rows = 0
        oldest: date | None = None
        newest: date | None = None
        for batch in self.batches():
            if batch.is_empty():
                continue
            rows += batch.height
            days = batch[columns.TIMESTAMP].dt.date()
            low, high = cast("date", days.min()), cast("date", days.max())
            oldest = low if oldest is None else min(oldest, low)
            newest = high if newest is None else max(newest, high)
        if oldest is None or newest is None:
            raise EmptySourceError(f"{self.files()[0]}: holds no event; give a file with at least one row")
        return DateRange(first_day=oldest, last_day=newest, rows=rows)

    def fingerprint(self) -> str:
        """Tell cheaply whether the files changed: a hash over their paths, sizes and modification times."""
        digest = hashlib.sha256(self.contract.name.encode())
        for file in self.files():
            status = file.stat()
            digest.update(f"{file}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
        return digest.hexdigest()


def raw_contract(extras: Mapping[str, Column] | None = None) -> Contract:
    """`raw_interactions` as a source has it: the common columns first, then its own."""
    return Contract(
        name=RAW_INTERACTIONS.name,
        description=RAW_INTERACTIONS.description,
        columns={**RAW_INTERACTIONS.columns, **(extras or {})},
        key=RAW_INTERACTIONS.key,
    )
