"""One frame a day from events in the source's order, in bounded memory: an external merge sort by day.

Batches are collected into runs of about `RUN_ROWS` rows, each sorted by day. A single run stays in memory.
Several runs are written to disk as Arrow IPC, and the days are merged from slices of the runs, as many days at
once as fit into `RUN_ROWS` rows. So memory is about two runs for a source of any size, unless a single day is
larger. Rows of days that were not requested are dropped as they are read, so landing one day of a large source
writes no run.
"""

import os
import shutil
import tempfile
from collections.abc import Collection, Generator, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import psutil
import pyarrow as pa

from recsys_assets import columns
from recsys_assets.lake.files.text_blocks import read_ahead
from recsys_assets.lake.sources.source import Source
from recsys_assets.storage.arrays import EPOCH, Int64

RUN_ROWS: Final = 500_000
"""Rows sorted in memory at once, about 100 MB."""

_BATCHES_A_RUN: Final = 128
"""Batches in the file of a run; while merging, one batch of each run is in memory beside the merged rows."""
_PLAIN: Final = pl.CompatLevel.oldest()
"""Strings end to end instead of views into scattered buffers: they are read 5 times faster."""
_SPILL_PREFIX: Final = "landing-"
_DAY: Final = "__day"
"""Column of the day number, days since 1970-01-01."""


def iter_days(
    source: Source, days: Collection[date] | None, *, scratch: Path, run_rows: int = RUN_ROWS
) -> Iterator[tuple[date, pl.DataFrame]]:
    """Yield each requested day, oldest first, with its events in the source's order.

    A day without events has an empty frame with the contract's schema. The source is read once, to its end,
    before the first day is yielded, so a source that is broken anywhere yields no day.

    Args:
        source: the events.
        days: UTC days; None for every day from that of the first event to that of the last.
        scratch: a folder for runs, created if missing; nothing is left in it, and runs that a killed process left
            are removed.
        run_rows: rows sorted in memory at once, > 0.

    Raises:
        InputError: the source can't be read; the message names file and line.
    """
    if days is not None and not days:
        return
    wanted = None if days is None else np.unique([(day - EPOCH).days for day in days])
    scratch.mkdir(parents=True, exist_ok=True)
    remove_left_overs(scratch, _SPILL_PREFIX)
    with tempfile.TemporaryDirectory(prefix=f"{_SPILL_PREFIX}{os.getpid()}-", dir=scratch) as folder:
        runs = list(_runs(source, wanted, folder=Path(folder), run_rows=run_rows))
        for group, frame in read_ahead(_merged(runs, wanted, rows=run_rows)):
            bounds = np.searchsorted(frame[_DAY].to_numpy(), [*group, group[-1] + 1])
            events = frame.drop(_DAY)
            for day, start, stop in zip(group.tolist(), bounds, bounds[1:], strict=False):
                yield EPOCH + timedelta(days=day), events.slice(start, stop - start)


@dataclass(frozen=True, kw_only=True)
class _Run:
    """Rows sorted by day, in memory or in a file."""

    rows: pl.DataFrame | Path
    """The rows with their `_DAY`, or the file that holds them."""
    batch_rows: int
    """Rows in a batch of the file."""
    days: Int64
    """Days that have rows, ascending."""
    starts: Int64
    """Start of each day's rows, and at the end the number of rows; one longer than `days`."""

    def before(self, days: Int64) -> Int64:
        """Count the rows that are older than each of the given days."""
        return self.starts[np.searchsorted(self.days, days)]

    def read(self, start: int, stop: int) -> pl.DataFrame:
        """Return these rows. A file is read instead of mapped, since mapped pages would grow with the source."""
        if isinstance(self.rows, pl.DataFrame):
            return self.rows.slice(start, stop - start)
        first, end = start // self.batch_rows, -(-stop // self.batch_rows)
        with pa.OSFile(str(self.rows)) as file, pa.ipc.open_file(file) as reader:
            batches = [reader.get_batch(number) for number in range(first, end)]
            table = pa.Table.from_batches(batches, reader.schema)
        return pl.DataFrame(table.slice(start - first * self.batch_rows, stop - start))


def remove_left_overs(scratch: Path, prefix: str) -> None:
    """Remove the folders named by `prefix` and the id of a process, where that was killed."""
    for folder in scratch.glob(f"{prefix}*"):
        owner = folder.name.removeprefix(prefix).partition("-")[0]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _runs(source: Source, wanted: Int64 | None, *, folder: Path, run_rows: int) -> Iterator[_Run]:
    """Yield at least one run; a single one stays in memory."""
    batch_rows = max(1, run_rows // _BATCHES_A_RUN)
    waiting = [_dated(source.contract.polars_schema().to_frame(), None)]
    rows = spilled = 0
    for batch in read_ahead(source.batches()):
        dated = _dated(batch, wanted)
        if dated.is_empty():
            continue
        if rows and rows + dated.height > run_rows:
            yield _sorted(waiting, batch_rows=batch_rows, spill=folder / f"{spilled}.arrow")
            waiting, rows, spilled = [], 0, spilled + 1
        waiting.append(dated)
        rows += dated.height
    yield _sorted(waiting, batch_rows=batch_rows, spill=folder / f"{spilled}.arrow" if spilled else None)


def _dated(batch: pl.DataFrame, wanted: Int64 | None) -> pl.DataFrame:
    """Return the rows of the wanted days with their `_DAY`."""
    dated = batch.with_columns(pl.col(columns.TIMESTAMP).dt.date().to_physical().alias(_DAY))
    if wanted is None:
        return dated
    kept = dated.filter(pl.col(_DAY).is_in(wanted))
    if kept.height == batch.height:
        return dated
    # filtered strings keep all text of the batch in memory: copy them
    return pl.DataFrame(kept.to_arrow(compat_level=_PLAIN))


def _sorted(batches: list[pl.DataFrame], *, batch_rows: int, spill: Path | None) -> _Run:
    frame = pl.concat(batches).sort(_DAY, maintain_order=True)
    days, starts = np.unique(frame[_DAY].to_numpy(), return_index=True)
    starts = np.append(starts, frame.height)
    if spill is None:
        return _Run(rows=frame, batch_rows=batch_rows, days=days, starts=starts)
    frame.rechunk().write_ipc(
        spill, compression="uncompressed", compat_level=_PLAIN, record_batch_size=batch_rows
    )
    return _Run(rows=spill, batch_rows=batch_rows, days=days, starts=starts)


def _every_day(runs: list[_Run]) -> Int64:
    """Return all days from that of the oldest row to that of the newest; none if there is no row."""
    days = np.concatenate([run.days for run in runs])
    return np.arange(days.min(), days.max() + 1) if len(days) else days


def _merged(runs: list[_Run], wanted: Int64 | None, *, rows: int) -> Generator[tuple[Int64, pl.DataFrame]]:
    """Yield groups of consecutive days with their rows, sorted by day: at most `rows` rows, or a single day."""
    days = _every_day(runs) if wanted is None else wanted
    before = np.sum([run.before(np.append(days, days[-1:] + 1)) for run in runs], axis=0)
    first = 0
    while first < len(days):
        end = max(first + 1, int(np.searchsorted(before, before[first] + rows, side="right")) - 1)
        yield days[first:end], _rows_of(runs, days[first:end])
        first = end


def _rows_of(runs: list[_Run], group: Int64) -> pl.DataFrame:
    """Return the rows of the group's days, sorted by day, and within a day in the source's order."""
    spans = [run.before(np.array([group[0], group[-1] + 1])) for run in runs]
    parts = [run.read(start, stop) for run, (start, stop) in zip(runs, spans, strict=True)]
    return parts[0] if len(parts) == 1 else pl.concat(parts).sort(_DAY, maintain_order=True)
