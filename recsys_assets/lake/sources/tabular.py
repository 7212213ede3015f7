"""Any table of events: CSV, TSV, JSON lines (each plain or gzip) or Parquet, one file or a glob of them.

A mapping, `[source.columns]` in recsys.toml, gives for each of our column names the file's; without an entry both
are the same. `user_id`, `item_id` and `timestamp` are required, `rating`, `quantity`, `value` and `kind` (view,
purchase, … of an event) are optional, and any other name in the mapping is kept as text. If the mapping names `title`,
`department`, `category`, `brand` or `price`, each item's last known values are its catalogue.

A timestamp may be ISO 8601 text, a date, a datetime (UTC if it has no zone), or a number of seconds, milliseconds,
microseconds or nanoseconds since 1970, distinguished by the size of a file's first one.
"""

import difflib
from collections.abc import Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, cast

import polars as pl

from recsys_assets import columns as names
from recsys_assets.errors import SourceFormatError
from recsys_assets.lake.contract import ITEM_CATALOGUE, RAW_INTERACTIONS
from recsys_assets.lake.sources.rows_aside import RowsAside
from recsys_assets.lake.sources.source import (
    Source,
    microseconds_per_unit,
    raw_contract,
    utc_from_epoch,
    utc_from_text,
)
from recsys_assets.lake.sources.tabular_files import TabularFile, expand, open_tabular
from recsys_assets.lake.sources.text_records import Chunk
from recsys_assets.quality.contract import UTC_MICROSECONDS, Column
from recsys_assets.source_settings import ReadingSettings

_REQUIRED: Final = (names.USER_ID, names.ITEM_ID, names.TIMESTAMP)


class Tabular(Source):
    """One or more files with the same columns, read in the order of their names."""

    def __init__(
        self,
        pattern: Path | Sequence[TabularFile],
        *,
        columns: Mapping[str, str] | None = None,
        reading: ReadingSettings | None = None,
    ) -> None:
        """Find the files and the columns.

        Args:
            pattern: a file, or a glob (`*`, `?`, `[…]`, `**`), or the files themselves.
            columns: our column name -> the files'.
            reading: the way that the files are read; None recognises all of it.

        Raises:
            InputError: a file is missing, of an unknown format, or lacks a column.
        """
        given = dict(columns or {})
        self._reading = reading or ReadingSettings()
        self._files = (
            [open_tabular(path, self._reading) for path in expand(pattern)]
            if isinstance(pattern, Path)
            else list(pattern)
        )
        self._columns = _resolve(self._files[0], given)
        for file in self._files[1:]:
            _resolve(file, self._columns)
        extras = [name for name in given if name not in RAW_INTERACTIONS.columns]
        self.contract = raw_contract(
            {
                name: Column(dtype=pl.String, nullable=True, description=f"The source's `{given[name]}`.")
                for name in extras
            }
        )

    def files(self) -> Sequence[Path]:
        """Return the files, sorted by name."""
        return [file.path for file in self._files]

    def read(self, aside: RowsAside) -> Generator[pl.DataFrame]:
        """Yield 10,000 to 500,000 rows a batch."""
        for file in self._files:
            unit: float | None = None
            for chunk in file.chunks(list(dict.fromkeys(self._columns.values())), aside):
                times, unit = _utc(chunk, self._columns[names.TIMESTAMP], unit)
                events = pl.DataFrame([self._column(chunk, name, times) for name in self.contract.columns])
                yield chunk.finish(events, aside)

    def catalogue(self) -> pl.DataFrame | None:
        """Return each item's last known values of the mapped columns; None if no such column is mapped."""
        described = [
            name for name in ITEM_CATALOGUE.columns if name in self.contract.columns and name != names.ITEM_ID
        ]
        return _last_known(self.batches(), described) if described else None

    def _column(self, chunk: Chunk, name: str, times: pl.Series) -> pl.Series:
        if name == names.TIMESTAMP:
            return times.alias(name)
        dtype = self.contract.columns[name].dtype
        if name not in self._columns:
            return pl.Series(name, [None], dtype=dtype).new_from_index(0, chunk.frame.height)
        return chunk.typed(self._columns[name], dtype).alias(name)


def _resolve(file: TabularFile, given: Mapping[str, str]) -> dict[str, str]:
    """Return our name -> the file's for every column to read."""
    has = file.column_names()
    for name, column in given.items():
        if column not in has:
            raise SourceFormatError(f"{file.path}: {_missing(column, has)}; mend {name} in [source.columns]")
    wanted = {name: given.get(name, name) for name in RAW_INTERACTIONS.columns}
    found = {name: column for name, column in wanted.items() if column in has}
    for name in _REQUIRED:
        if name not in found:
            raise SourceFormatError(
                f"{file.path}: {_missing(name, has)}; name it by --column {name}=… or in [source.columns]"
            )
    return {**found, **given}


def _missing(column: str, has: Sequence[str]) -> str:
    close = difflib.get_close_matches(column, has, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return f"no column {column!r}{hint}, only {', '.join(has)}"


def _utc(chunk: Chunk, column: str, unit: float | None) -> tuple[pl.Series, float | None]:
    """Return the chunk's timestamps, and the unit of this file's numbers once it is known."""
    found = chunk.frame[column]
    chunk.reject(column, found.is_null(), "is no timestamp")
    if isinstance(found.dtype, pl.Datetime) and found.dtype.time_zone is not None:
        return found.dt.convert_time_zone("UTC").cast(UTC_MICROSECONDS), unit
    if isinstance(found.dtype, pl.Date | pl.Datetime):
        return found.cast(pl.Datetime("us")).dt.replace_time_zone("UTC").cast(UTC_MICROSECONDS), unit
    numbers = found if found.dtype.is_numeric() else found.cast(pl.Float64, strict=False)
    if unit is None and numbers[0] is not None:
        unit = microseconds_per_unit(cast("float", numbers.quantile(0.5, "lower")))
    if unit is None:
        times = utc_from_text(found.cast(pl.String))
        chunk.reject(column, times.is_null(), "is neither ISO 8601 nor a number")
        return times, unit
    integers = numbers if numbers.dtype == found.dtype else found.cast(pl.Int64, strict=False)
    times = utc_from_epoch(numbers if integers.null_count() else integers, microseconds=unit)
    chunk.reject(column, times.is_null(), "is no date")
    return times, unit


def _last_known(batches: Iterable[pl.DataFrame], described: Sequence[str]) -> pl.DataFrame:
    """Return the newest known value of each described column for each item.

    Args:
        batches: events, with the described columns as text.
        described: columns of the catalogue that the events have.

    Returns:
        One row an item, in `ITEM_CATALOGUE`'s schema, sorted by item id. A price that is no number, or below
        zero, is null.
    """
    schema = ITEM_CATALOGUE.polars_schema()
    key, when = names.ITEM_ID, names.TIMESTAMP
    items = pl.DataFrame(schema={key: pl.String})
    newest: dict[str, pl.DataFrame] = {}
    for batch in batches:
        known = batch.filter(pl.col(key).str.len_chars() > 0)
        items = pl.concat([items, known.select(key)]).unique()
        for name in described:
            value = pl.col(name).cast(schema[name], strict=False)
            usable = value.is_not_null() & (value >= 0 if name == names.PRICE else True)
            found = known.filter(usable).select(key, when, value)
            earlier = newest.get(name, found.clear())
            newest[name] = (
                pl.concat([earlier, found]).sort(when, maintain_order=True).unique(key, keep="last")
            )
    for name in described:
        items = items.join(newest[name].drop(when), on=key, how="left") if name in newest else items
    unknown = [pl.lit(None, dtype).alias(name) for name, dtype in schema.items() if name not in items.columns]
    return items.with_columns(unknown).select(schema.names()).sort(key)
