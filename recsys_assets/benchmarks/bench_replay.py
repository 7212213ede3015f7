"""`recsys bench replay`: one day of the default year replayed, against the build of the year.

Every time is of a `recsys` process of its own, its start and its imports included. The default does not change, so a
mistake is made at landing: a part of a day's rows is lost, and a release is built on the rest.
"""

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import polars as pl

from recsys_assets import columns
from recsys_assets.benchmarks.harness import machine
from recsys_assets.orchestration.fingerprints import Inputs
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.settings import load_settings
from recsys_assets.storage.home import Home

_PLACE: Final = 2 / 3
"""Place of the day in the history, 0-1: well before those that the evaluation holds out."""
_KEPT: Final = 0.7
"""Share of the day's rows that the mistake leaves."""


def run(*, days: int | None = None) -> dict[str, Any]:
    """Build the default, lose rows of one day, release, and replay the day: warm, then in full.

    Args:
        days: the default's first days; None takes the whole year.

    Returns:
        `share_of_full_build` and `replay_seconds` of the warm replay, `full_share` and `full_replay_seconds` of the
        full one, `build_seconds`, `impact_seconds` of the comparison of releases, `lists_changed` (share of users),
        whether the full replay gave `the_same_release` as the clean build, and `rows_of_partials`: rows of partial
        feature tables, one a user, item and day, as a share of the events that they would replace.
    """
    with tempfile.TemporaryDirectory(prefix="recsys-bench-") as folder:
        home = Home(Path(folder) / "home")
        build_seconds, _ = _recsys(home, "build", *(["--days", str(days)] if days else []))
        clean = ReleaseStore(home.releases).current_id()
        day = _day_of(home)
        _lose_rows(home, day)
        _recsys(home, "build")
        warm_seconds, warm = _recsys(home, "replay", str(day), "--warm", "--json")
        _lose_rows(home, day)
        full_seconds, full = _recsys(home, "replay", str(day), "--full", "--json")
        report, after = json.loads(warm), json.loads(full)
        return {
            "share_of_full_build": warm_seconds / build_seconds,
            "full_share": full_seconds / build_seconds,
            "impact_seconds": report["impact_seconds"],
            "build_seconds": build_seconds,
            "replay_seconds": warm_seconds,
            "full_replay_seconds": full_seconds,
            "lists_changed": report["diff"]["lists"]["changed"],
            "the_same_release": after["release"] == clean,
            "rows_of_partials": _rows_of_partials(home),
            "stages": report["made"],
            "machine": machine("dagster", "polars", "torch"),
        }


def _day_of(home: Home) -> date:
    source = load_settings(home).source
    return source.first_day + timedelta(days=int(len(source.days()) * _PLACE))


def _lose_rows(home: Home, day: date) -> None:
    """Replace a raw day by its first rows, as a delivery that was cut short would have landed."""
    inputs = Inputs(home, load_settings(home))
    rows = inputs.raw_store.read(day)
    store = replace(inputs.raw_store, provenance=inputs.landing)
    store.write(day, rows.head(int(rows.height * _KEPT)))
    store.settle()


def _rows_of_partials(home: Home) -> float:
    store = Inputs(home, load_settings(home)).interaction_store
    events = store.scan(store.days()).select(
        columns.USER_ID, columns.ITEM_ID, pl.col(columns.TIMESTAMP).dt.date().alias("day")
    )
    rows, distinct = (frame.select(pl.len()).collect().item() for frame in (events, events.unique()))
    return float(distinct / rows)


def _recsys(home: Home, *arguments: str) -> tuple[float, str]:
    """Run a `recsys` command, and return its wall seconds and what it printed.

    Raises:
        RuntimeError: it failed; with the end of its error output.
    """
    started = time.monotonic()
    done = subprocess.run(  # noqa: S603  our own command
        [sys.executable, "-W", "ignore", "-m", "recsys_assets", *arguments, "--home", str(home.root)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed: {done.stdout[-1000:]}{done.stderr[-1000:]}")
    return time.monotonic() - started, done.stdout
