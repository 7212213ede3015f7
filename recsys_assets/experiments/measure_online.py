"""The table `lake/online_metrics`, a file a day, and its newest days as JSON.

A day's metrics change until its window is over, and when its events land late. So each file has the fingerprint of all
that its day depends on, and a run makes those days again whose fingerprint is another now.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path

import msgspec
import polars as pl

from recsys_assets.experiments.attribution import DAY
from recsys_assets.experiments.daily_metrics import ONLINE_METRICS, metrics_of_days
from recsys_assets.experiments.impression_days import impression_store
from recsys_assets.experiments.online_results import (
    KEPT_DAYS,
    PERIOD_DAYS,
    OnlineMetric,
    OnlineResults,
    write_results,
)
from recsys_assets.experiments.shown_days import days_around, shown_days
from recsys_assets.interactions.contract import INTERACTIONS
from recsys_assets.quality.contract import validate
from recsys_assets.storage.home import Home
from recsys_assets.storage.partition_store import PartitionStore

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class MeasuredOnline:
    """The outcome of a run."""

    results: OnlineResults
    """Also in the JSON file."""
    days: Sequence[date]
    """Days that were made, oldest first."""
    impressions: int
    """Impressions of answers first shown on these days."""
    unknown_series: int
    """Those of them whose answer's series is not known, so that neither list nor arm is."""
    named: int
    """Events on these days that name an answer."""
    named_unshown: int
    """Those of them whose answer was never reported to have shown the item."""


def metrics_store(
    home: Home, provenance: Callable[[date], Mapping[str, str]] | None = None
) -> PartitionStore:
    """Return the table `online_metrics`."""
    return PartitionStore(
        root=home.online_metrics, schema=ONLINE_METRICS.polars_schema(), provenance=provenance
    )


def measure_online(
    home: Home,
    folder: Path,
    *,
    provenance: Callable[[date], Mapping[str, str]],
    attribution_days: float,
    catalogue_items: int,
    now: datetime,
    progress: Progress = lambda _done, _total: None,
) -> MeasuredOnline:
    """Make the metrics of the days that are missing or stale, and write the newest ones into `folder`.

    A day whose impressions are lost keeps its metrics.

    Args:
        home: the home; at least one day of impressions has landed.
        folder: the artifact's folder.
        provenance: the metadata of a day's file; a file with another one is stale.
        attribution_days: the window, days.
        catalogue_items: number of items in the catalogue; 0 where it is not known.
        now: the time, UTC.
        progress: called with the days done and all of them.

    Raises:
        ContractError: a metric is not as declared.
    """
    store, shown_on = metrics_store(home, provenance), impression_store(home).days()
    made = {day: file.provenance for day, file in store.files().items()}
    stale = [day for day in shown_on if not made.get(day, {}).items() >= provenance(day).items()]
    impressions = unknown = named = named_unshown = done = 0
    for found in shown_days(home, stale, attribution_days=attribution_days):
        frame = validate(
            ONLINE_METRICS, metrics_of_days(found.answers, found.items, catalogue_items=catalogue_items)
        )
        for day in found.days:
            store.write(day, frame.filter(pl.col(DAY) == day))
        store.settle()
        impressions += found.items.height
        unknown += found.items["list"].null_count()
        named, named_unshown, done = (
            named + found.named,
            named_unshown + found.named_unshown,
            done + len(found.days),
        )
        progress(done, len(stale))
    results = _results(home, store, attribution_days=attribution_days, now=now)
    write_results(folder, results)
    return MeasuredOnline(
        results=results,
        days=stale,
        impressions=impressions,
        unknown_series=unknown,
        named=named,
        named_unshown=named_unshown,
    )


def metrics_of_day(home: Home, day: date) -> list[OnlineMetric]:
    """Return the metrics of one day of the table, which has it."""
    return list(_metrics(metrics_store(home).read(day)))


def _results(home: Home, store: PartitionStore, *, attribution_days: float, now: datetime) -> OnlineResults:
    days = store.days()
    last = days[-1]
    first = max(days[0], last - timedelta(days=PERIOD_DAYS - 1))
    within = [day for day in days if first <= day]
    answers, no_items = [], pl.DataFrame()
    for found in shown_days(home, within, attribution_days=attribution_days):
        answers.append(found.answers)
        no_items = found.items.clear()
    together = pl.concat(answers).with_columns(pl.lit(last).alias(DAY))
    period = metrics_of_days(together, no_items, catalogue_items=0)
    landed = PartitionStore(root=home.interactions, schema=INTERACTIONS.polars_schema()).days()
    final = [
        day
        for day in days
        if landed and days_around(day, day, attribution_days=attribution_days)[1] <= landed[-1]
    ]
    return OnlineResults(
        made_at=now,
        attribution_days=attribution_days,
        final_through=final[-1] if final else None,
        period_first=first,
        period_last=last,
        period=list(_metrics(period)),
        days=list(_metrics(store.scan(days[-KEPT_DAYS:]).collect())),
    )


def _metrics(frame: pl.DataFrame) -> Iterator[OnlineMetric]:
    return map(partial(msgspec.convert, type=OnlineMetric), frame.sort(ONLINE_METRICS.key).to_dicts())
