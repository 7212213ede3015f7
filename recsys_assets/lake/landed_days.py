"""Raw days read from the source and measured, in the order of the days: by this process, or by workers of a launcher.

A worker takes a stretch of days, and reads only the files that have rows of them. It needs the source and the home at
the paths that the sender has: on a shared disk, or in an object store.
"""

import os
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Final

from recsys_assets.errors import LauncherError, SourceNotFoundError
from recsys_assets.lake.event_days import event_store
from recsys_assets.lake.event_rows import EventRows
from recsys_assets.lake.forgotten_rows import ForgottenRows
from recsys_assets.lake.landing import iter_days
from recsys_assets.lake.raw_audit import MeasuredDay, measure_days
from recsys_assets.lake.source_days import SourceDays, files_as_counted
from recsys_assets.lake.sources.registry import source_of
from recsys_assets.lake.sources.source import Source
from recsys_assets.launching.launcher import Launcher, in_order
from recsys_assets.source_settings import SourceSettings
from recsys_assets.storage.day_frames import in_chunks
from recsys_assets.storage.forgotten import Forgotten
from recsys_assets.storage.home import Home

_SCRATCH: Final = f"recsys-landing-{os.getuid()}"
_ON_EVERY_NODE: Final = "home and source have the same path on every node, on a shared disk"


@dataclass(frozen=True, kw_only=True)
class LandedDay:
    """A raw day, ready for its audit."""

    measured: MeasuredDay
    """Its rows, measured."""
    as_counted: bool
    """The files it was read from are those that were counted: else the day stays stale, and lands again."""
    provenance: Mapping[str, str]
    """Numbers of its events by HTTP and of rows left out, for its file."""


@dataclass(frozen=True, kw_only=True)
class DaysToLand:
    """Days of a source, and all that their rows depend on."""

    home: Home
    """The home, for its events by HTTP."""
    source: SourceSettings
    """The source."""
    days: tuple[date, ...]
    """The days, ascending."""
    counted: SourceDays
    """The source as it was counted."""
    users_now: Mapping[str, str]
    """User who was merged -> the one whom the id means now."""
    forgotten: Forgotten
    """Users whose rows do not land."""

    def stretches(self, days: int) -> "list[DaysToLand]":
        """Return the same in parts of at most `days` days, in their order."""
        starts = range(0, len(self.days), days)
        return [replace(self, days=self.days[start : start + days]) for start in starts]


def landed_here(wanted: DaysToLand, source: Source, *, scratch: Path) -> Iterator[list[LandedDay]]:
    """Read the source once, and yield its days in chunks (`in_chunks`), measured.

    Args:
        wanted: the days.
        source: the open source of `wanted`.
        scratch: a folder of this machine for runs of rows, as in `iter_days`.

    Raises:
        InputError: the source cannot be read.
    """
    read = source.only(wanted.counted.files_with(wanted.days))
    rows = EventRows(
        store=event_store(wanted.home), last_day=wanted.source.own_last_day, users_now=wanted.users_now
    )
    forgotten = ForgottenRows(wanted.forgotten)
    frames = forgotten.without(rows.joined(iter_days(read, wanted.days, scratch=scratch)))
    as_counted: bool | None = None
    for chunk in in_chunks(frames, rows=lambda of_day: of_day[1].height):
        if as_counted is None:  # all has been read by now
            as_counted = files_as_counted(read, wanted.counted)
        yield [
            LandedDay(
                measured=measured,
                as_counted=as_counted,
                provenance={**rows.provenance(measured.day), **forgotten.provenance(measured.day)},
            )
            for measured in measure_days(source.contract, chunk)
        ]


def landed_by(launcher: Launcher, wanted: DaysToLand, *, stretch_days: int) -> Iterator[list[LandedDay]]:
    """Read and measure stretches of days by workers, and yield the chunks in the order of the days.

    Args:
        launcher: the workers.
        wanted: the days.
        stretch_days: days a task.

    Raises:
        InputError: the source cannot be read.
        LauncherError: a worker sees no such home or source, or workers were killed again and again.
    """
    for chunks in in_order(launcher.map(land_stretch, wanted.stretches(stretch_days))):
        yield from chunks


def land_stretch(wanted: DaysToLand) -> Sequence[list[LandedDay]]:
    """Read and measure a stretch of days in a worker.

    Raises:
        LauncherError: this worker has no such home or source.
        InputError: the source cannot be read.
    """
    require_home(wanted.home)
    source = _source_on_this_node(wanted)
    scratch = Path(tempfile.gettempdir()) / _SCRATCH  # the home's is shared with other machines
    return list(landed_here(wanted, source, scratch=scratch))


def _source_on_this_node(wanted: DaysToLand) -> Source:
    """Open the source with all files that have rows of the days: without one, they would land with fewer rows.

    Raises:
        LauncherError: this node does not see them.
    """
    needed, node = wanted.counted.files_with(wanted.days), socket.gethostname()
    try:
        source = source_of(wanted.source)
    except SourceNotFoundError as error:
        raise LauncherError(f"{node}: {error}; {_ON_EVERY_NODE}") from error
    here = source.only(needed).parts()
    missing = [name for name in needed if name not in here]
    if missing:
        more = f", nor {len(missing) - 1} others" if len(missing) > 1 else ""
        raise LauncherError(f"{node}: {missing[0]} is not here{more}: {_ON_EVERY_NODE}")
    return source


def require_home(home: Home) -> None:
    """Check that a worker sees the home of the sender.

    Raises:
        LauncherError: it does not.
    """
    if not home.root.is_dir():
        raise LauncherError(f"{socket.gethostname()}: no home at {home.root}: {_ON_EVERY_NODE}")
