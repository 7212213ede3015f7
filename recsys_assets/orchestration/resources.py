"""The resources that the assets share: the lake, the artifacts, the releases, and the report of progress.

A resource holds a path and opens nothing until an asset calls it.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Final, Protocol, Self

import dagster as dg
import polars as pl

from recsys_assets.drift.monitor import Monitor
from recsys_assets.interactions.contract import INTERACTIONS
from recsys_assets.lake.contract import RAW_INTERACTIONS
from recsys_assets.lake.item_catalogue import read_catalogue
from recsys_assets.lake.raw_audit import RawAudit
from recsys_assets.lake.raw_returns import raw_store
from recsys_assets.lake.sources.registry import source_of
from recsys_assets.lake.sources.source import Source
from recsys_assets.orchestration.fingerprints import Inputs
from recsys_assets.orchestration.recalled_days import recalled_rows
from recsys_assets.quality.check_ledger import CheckLedger
from recsys_assets.quality.open_ledger import open_ledger
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.rules.rules_file import rules_part
from recsys_assets.settings import Settings, load_or_default_settings
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import build_lock
from recsys_assets.storage.partition_store import PartitionStore
from recsys_assets.storage.waiting import say_on_log

_PATIENCE: Final = 86_400.0
"""Seconds that a run of Dagster's waits for a build."""


class StageProgress(Protocol):
    """The progress of a long asset, as it is shown to the user."""

    def report(self, stage: str, done: int, total: int) -> None:
        """Show that `done` of `total` units of `stage` are finished."""


class SilentProgress:
    """Shows nothing: Dagster's own event log has the steps."""

    def report(self, stage: str, done: int, total: int) -> None:
        """Ignore it."""


def progress_of(stage: str, days: Sequence[date], progress: StageProgress) -> Callable[[date], None]:
    """Return a function that reports a day of `days` as done."""
    place = {day: number for number, day in enumerate(days, start=1)}
    return lambda day: progress.report(stage, place[day], len(days))


def say_in(log: dg.DagsterLogManager) -> Callable[[str], None]:
    """Return a function that writes a line on a run's log, and on standard error: a build shows no run's log."""

    def say(line: str) -> None:
        log.warning(line)
        say_on_log(line)

    return say


class Lake(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The lake of one home: its source, its daily tables and the catalogue."""

    home_path: str
    """The home's folder, absolute."""
    warm: bool = False
    """A warm replay, see `Inputs`."""

    @property
    def home(self) -> Home:
        """The home, as paths."""
        return Home(Path(self.home_path))

    def inputs(self) -> Inputs:
        """Return the fingerprints that the assets of this run have."""
        return Inputs(self.home, self.settings(), warm=self.warm)

    def settings(self) -> Settings:
        """Read the home's settings as they are now."""
        return load_or_default_settings(self.home)

    def source(self) -> Source:
        """Open the source that the settings name."""
        return source_of(self.settings().source)

    def raw(self, provenance: Callable[[date], dict[str, str]] | None = None) -> PartitionStore:
        """Return the table `raw_interactions`."""
        return raw_store(self.home, provenance=provenance)

    def interactions(self, provenance: Callable[[date], dict[str, str]] | None = None) -> PartitionStore:
        """Return the table `interactions`."""
        return PartitionStore(
            root=self.home.interactions, schema=INTERACTIONS.polars_schema(), provenance=provenance
        )

    def ledger(self) -> CheckLedger:
        """Open the record of every check result by day."""
        return open_ledger(self.home)

    def catalogue(self) -> pl.DataFrame | None:
        """Read the item catalogue; None before it is landed."""
        return read_catalogue(self.home.catalogue) if self.home.catalogue.exists() else None

    def raw_audit(self, source: Source, ledger: CheckLedger, *, in_part: Collection[date] = ()) -> RawAudit:
        """Return the audit of raw days: expectations, and drift against the days published before.

        Args:
            source: the source.
            ledger: the record of results.
            in_part: days whose amount and hours say nothing yet.
        """
        catalogue = self.catalogue()
        settings = self.settings()
        monitor = Monitor(
            RAW_INTERACTIONS.name,
            settings.quality,
            store=self.raw(),
            ledger=ledger,
            catalogue=catalogue,
            recalled={
                day: {one.fingerprint for one in rows} for day, rows in recalled_rows(self.home).items()
            },
        )
        return RawAudit(source.contract, monitor=monitor, in_part=in_part)


class HeldLake(Lake):
    """The lake in the runs of a code location: one that Dagster started waits for a build, and a build for it."""

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Self]:
        """Hold the home's build lock during a run; a sensor, which has no run, does not."""
        if context.run is None:
            yield self
            return
        with build_lock(self.home, patience=_PATIENCE):
            yield self


class Artifacts(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The newest embeddings, feature tables and index of one home, before they are released together."""

    home_path: str
    """The home's folder, absolute."""

    def folder(self, name: str) -> Path:
        """Return the folder of the artifact `name`."""
        return Home(Path(self.home_path)).artifact(name)


class HomeReleases(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The immutable releases of one home."""

    home_path: str
    """The home's folder, absolute."""

    def store(self) -> ReleaseStore:
        """Return the store that lists, promotes, rolls back and verifies them."""
        return ReleaseStore(Home(Path(self.home_path)).releases)

    def rules_part(self) -> Path:
        """Return the folder of the next release's rules, checked against the features just built.

        Raises:
            RulesError: the home's `rules.toml` is not valid.
        """
        return rules_part(Home(Path(self.home_path)))
