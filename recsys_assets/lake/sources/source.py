"""The interface of a source of events, and the conversion of timestamps of any kind to UTC microseconds."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from copy import copy
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, Self

import polars as pl
from polars.io.plugins import register_io_source

from recsys_assets.lake.contract import RAW_INTERACTIONS
from recsys_assets.lake.files.rows_aside import RowsAside
from recsys_assets.lake.sources.date_range import DateRange, choose_range
from recsys_assets.lake.sources.survey import Survey
from recsys_assets.quality.contract import Column, Contract
from recsys_assets.source_settings import BAD_ROWS


class Source(ABC):
    """A log of events in one format, read in bounded memory.

    A subclass names its files, reads them as batches of typed rows, and describes its items.
    """

    contract: Contract
    """The columns of `raw_interactions`, in order, then the source's own."""
    bad_rows: float = BAD_ROWS
    """Share of rows that may be unreadable, 0 to 1."""
    rating_positive: ClassVar[float | None] = None
    """Least rating that is a wish, where the format fixes the scale; None where the source has none or any scale."""

    @abstractmethod
    def files(self) -> Sequence[Path]:
        """Return every file that the source reads, in a fixed order."""

    @abstractmethod
    def read(self, aside: RowsAside) -> Generator[pl.DataFrame]:
        """Yield the events in the source's order, in frames of bounded size with the contract's schema.

        Args:
            aside: takes the rows that cannot be read; the caller counts those yielded.

        Raises:
            InputError: the file is missing, broken or in another format; the message names file and line.
        """

    def batches(self, aside: RowsAside | None = None) -> Generator[pl.DataFrame]:
        """Yield the events as `read` does, and account for every row.

        Args:
            aside: takes the account; None for one of `bad_rows` that nobody reads.

        Raises:
            InputError: as in `read`, or more rows cannot be read than `bad_rows` allows.
        """
        account = RowsAside(allowed=self.bad_rows) if aside is None else aside
        for batch in self.read(account):
            account.kept += batch.height
            yield batch
        account.require_few()

    @abstractmethod
    def catalogue(self) -> pl.DataFrame | None:
        """Return one row an item, in `ITEM_CATALOGUE`'s schema, sorted by item id; None if the source has none."""

    def scan(self) -> pl.LazyFrame:
        """Return the events as a lazy frame, which polars' streaming engine reads a batch at a time."""

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

    def parts(self) -> dict[str, str]:
        """Return the parts that `only` can read alone, in order: name -> text that changes when the part does.

        A file by default where the events are in files of one kind, else the source as a whole.
        """
        return {str(self.files()[0]): self.fingerprint()}

    def only(self, parts: Collection[str]) -> Self:  # noqa: ARG002
        """Return a source of these parts alone. It rejects no share of bad rows: that is one of the whole source."""
        restricted = copy(self)
        restricted.bad_rows = 1.0
        return restricted

    def survey(self) -> Survey:
        """Read the source once, and count its events by day (wherever its dates lie), by rating and by kind.

        Raises:
            InputError: as in `batches`.
        """
        return Survey.of(self.batches())

    def date_range(self) -> DateRange:
        """Read the source once, and return the days that it covers, by the rules of `choose_range`.

        Raises:
            InputError: as in `batches` and `choose_range`.
        """
        read_on = datetime.now(UTC).date()
        return choose_range(self.survey().rows, name=str(self.files()[0]), read_on=read_on)

    def fingerprint(self) -> str:
        """Return a hash of the files' paths, sizes and modification times, which shows changes cheaply."""
        digest = hashlib.sha256(self.contract.name.encode())
        for file in self.files():
            status = file.stat()
            digest.update(f"{file}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
        return digest.hexdigest()


def raw_contract(extras: Mapping[str, Column] | None = None) -> Contract:
    """Return the contract of a source's `raw_interactions`: the common columns, then the source's own."""
    return Contract(
        name=RAW_INTERACTIONS.name,
        description=RAW_INTERACTIONS.description,
        columns={**RAW_INTERACTIONS.columns, **(extras or {})},
        key=RAW_INTERACTIONS.key,
    )
