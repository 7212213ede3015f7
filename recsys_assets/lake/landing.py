"""Events in the source's order into one frame a day, in bounded memory: an external merge sort by day.

Batches are collected into runs of about `RUN_ROWS` rows, each sorted by day. While one run holds
everything, nothing touches the disk; otherwise each run is spilled as Arrow IPC, and the days are put
together from slices of the runs, as many days at once as fit into `RUN_ROWS` rows. So memory is about two
runs whatever the size of the source, unless a single day is larger than that. Rows of other days than
those asked for are dropped as they are read, so that landing one day of a large source spills nothing.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from recsys_assets import columns
from recsys_assets.lake.sources.source import Source

RUN_ROWS: Final = 500_000
"""Rows sorted in memory at once; about 100 MB."""

_SPILL_BATCH_ROWS: Final = 1 << 14
_POSITION: Final = "__position"


def iter_days(
    source: Source, days: Sequence[date], *, scratch: Path, run_rows: int = RUN_ROWS
) -> Iterator[tuple[date, pl.DataFrame]]:
    """Each asked-for day in the order given, with its events in the source's order.

    A day without events has an empty frame of the contract's schema. The source is read once, to its end,
    before the first day comes, so that a source broken anywhere yields no day at all.

    Args:
        source: where the events come from.
        days: UTC days, without repetition.
        scratch: a folder for spilled runs, made if needed; nothing is left in it.
        run_rows: rows sorted in memory at once, > 0.

    Raises:
        InputError: the source cannot be read; the message names file and line.
    """
    if not days:
        return
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="landing-", dir=scratch) as folder:
        runs = list(_runs(source, _Positions(days), folder=Path(folder), run_rows=run_rows))
        for (first, end), frame in _groups(runs, count=len(days), rows=run_rows):
            bounds = np.searchsorted(frame[_POSITION].to_numpy(), np.arange(first, end + 1))
            rows = frame.drop(_POSITION)
            for position in range(first, end):
                start, stop = bounds[position - first], bounds[position - first + 1]
                yield days[position], rows.slice(start, stop - start)


class _Positions:
    """Which rows are wanted, and the position of each one's day in the days asked for."""

    def __init__(self, days: Sequence[date]) -> None:
        epochs = pl.Series(list(days), dtype=pl.Date).to_physical().to_numpy()
        self.count = len(days)
        self._first = int(epochs.min())
        by_epoch = np.full(int(epochs.max()) - self._first + 1, -1, dtype=np.int32)
        by_epoch[epochs - self._first] = np.arange(self.count, dtype=np.int32)
        self._by_epoch = pl.Series(by_epoch)

    def of(self, batch: pl.DataFrame) -> pl.DataFrame:
        """The wanted rows, with the column `_POSITION`."""
        offset = batch[columns.TIMESTAMP].dt.date().to_physical() - self._first
        inside = offset.is_between(0, len(self._by_epoch) - 1)
        if not inside.all():
            batch, offset = batch.filter(inside), offset.filter(inside)
        batch = batch.with_columns(self._by_epoch.gather(offset).alias(_POSITION))
        return batch.filter(pl.col(_POSITION) >= 0)


@dataclass(frozen=True, kw_only=True)
class _Run:
    """Rows sorted by position, in memory or in a spilled file."""

    rows: pl.LazyFrame
    """The rows, with `_POSITION`."""
    bounds: np.ndarray[Any, np.dtype[np.int64]]
    """Row where each position starts, one more than positions."""

    def slice(self, first: int, end: int) -> pl.DataFrame:
        """The rows of the positions from `first` to before `end`."""
        start, stop = self.bounds[first], self.bounds[end]
        return self.rows.slice(start, stop - start).collect()


def _runs(source: Source, positions: _Positions, *, folder: Path, run_rows: int) -> Iterator[_Run]:
    """At least one run; the only one stays in memory."""
    waiting = [positions.of(source.contract.polars_schema().to_frame())]
    rows = spilled = 0
    for batch in source.batches():
        wanted = positions.of(batch)
        if wanted.is_empty():
            continue
        if wanted.height < batch.height:
            wanted = _copied(wanted)
        if rows and rows + wanted.height > run_rows:
            yield _sorted(waiting, count=positions.count, spill=folder / f"{spilled}.arrow")
            waiting, rows, spilled = [], 0, spilled + 1
        waiting.append(wanted)
        rows += wanted.height
    yield _sorted(waiting, count=positions.count, spill=folder / f"{spilled}.arrow" if spilled else None)


def _copied(frame: pl.DataFrame) -> pl.DataFrame:
    """The same rows in memory of their own; filtered strings keep all of the batch's text alive otherwise."""
    return pl.DataFrame(frame.to_arrow(compat_level=pl.CompatLevel.oldest()))


def _sorted(batches: list[pl.DataFrame], *, count: int, spill: Path | None) -> _Run:
    frame = pl.concat(batches).sort(_POSITION, maintain_order=True)
    bounds = np.searchsorted(frame[_POSITION].to_numpy(), np.arange(count + 1))
    if spill is None:
        return _Run(rows=frame.lazy(), bounds=bounds)
    frame.write_ipc(spill, compression="uncompressed", record_batch_size=_SPILL_BATCH_ROWS)
    return _Run(rows=pl.scan_ipc(spill), bounds=bounds)


def _groups(runs: list[_Run], *, count: int, rows: int) -> Iterator[tuple[tuple[int, int], pl.DataFrame]]:
    """Consecutive positions, together at most about so many rows, with their rows sorted by position."""
    bounds = np.sum([run.bounds for run in runs], axis=0)
    first = 0
    while first < count:
        end = max(first + 1, int(np.searchsorted(bounds, bounds[first] + rows, side="right")) - 1)
        parts = [run.slice(first, end) for run in runs]
        frame = parts[0] if len(parts) == 1 else pl.concat(parts).sort(_POSITION, maintain_order=True)
        yield (first, end), frame
        first = end
