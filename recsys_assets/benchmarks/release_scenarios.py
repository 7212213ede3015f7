"""Commands on releases and exports under which the disk fails; days, events and keys are in `fault_scenarios`."""

import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Final

import polars as pl

from recsys_assets.benchmarks.fault_scenarios import (
    CommandEnd,
    FaultScenario,
    HomeState,
    digest,
    home_of,
    in_turn,
    recsys,
    spoken,
)
from recsys_assets.benchmarks.serving_worlds import publish_synthetic
from recsys_assets.exports.export_lists import ExportRequest, export_lists
from recsys_assets.release.current import read_recalled
from recsys_assets.release.publish import publish
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.settings import Settings
from recsys_assets.source_settings import SourceSettings

_DAY: Final = date(2024, 5, 1)
_USERS: Final = 20
_ITEMS: Final = 30


def _prepare_release(place: Path) -> None:
    publish_synthetic(home_of(place), users=_USERS, items=_ITEMS, size=8)


def prepare_releases(place: Path) -> None:
    """Publish four releases and promote two of them, so that one can be pruned."""
    _prepare_release(place)
    _publish(place, 1)
    for number in (2, 3):
        _publish(place, number, promote=False)


def _publish(place: Path, number: int = 1, *, promote: bool = True) -> str:
    """Publish the same artifacts as made from a day of other content: another release. Return its id."""
    home = home_of(place)
    manifest = publish(
        home,
        parts={name: home.artifact(name) for name in ("embeddings", "features", "index")},
        settings=Settings(source=SourceSettings(spec="tabular:synthetic", first_day=_DAY, last_day=_DAY)),
        lineage={_DAY: f"{number:064x}"},
        created_at=datetime(2030, 5, number, tzinfo=UTC),
        promote=promote,
    )
    return manifest.release_id


def newest_release(place: Path) -> str:
    """Return the id of the release that was published last."""
    found = ReleaseStore(home_of(place).releases).list()
    return max(found, key=lambda manifest: manifest.created_at).release_id


def _promote(place: Path) -> CommandEnd:
    return recsys("releases", "promote", "--home", home_of(place).root, newest_release(place))


def _prune(place: Path) -> CommandEnd:
    return recsys("releases", "prune", "--home", home_of(place).root, "--keep", "1")


def _recall(place: Path) -> CommandEnd:
    return recsys("releases", "recall", "--home", home_of(place).root, f"{_DAY}", "--why", "prices in cents")


def releases_state(place: Path) -> HomeState:
    """Return the current release, each whole release, and the recalled days.

    Raises:
        BrokenReleaseError: a release that is listed is not whole.
        ReleaseError: the current one is not there.
    """
    store = ReleaseStore(home_of(place).releases)
    state = HomeState(current=store.current_id())
    store.verify(state["current"])
    for manifest in store.list():
        state[f"release {manifest.release_id}"] = len(store.verify(manifest.release_id).files)
    for recalled in read_recalled(store.root):
        state[f"recalled {recalled.day} {recalled.checksum[-1]}"] = recalled.why
    return state


def _targets(place: Path) -> list[str]:
    database = f"sqlite:{place / 'lists.db'}?table=lists"
    return [*(f"{place / name}" for name in ("lists.parquet", "lists.csv.gz", "lists.jsonl")), database]


def _prepare_exports(place: Path) -> None:
    """Export lists of three items."""
    _prepare_release(place)
    for target in _targets(place):
        export_lists(home_of(place), ExportRequest(to=target, k=3))


def _export(place: Path) -> CommandEnd:
    """Export lists of five items."""
    home = home_of(place).root
    return in_turn(
        partial(recsys, "export", "--home", home, "--to", target, "-k", "5") for target in _targets(place)
    )


def exports_state(place: Path) -> HomeState:
    """Return the lists in each target."""
    with closing(sqlite3.connect(place / "lists.db")) as connection:
        rows = connection.execute("SELECT user_id, item_id FROM lists ORDER BY 1, 2").fetchall()
    files = {
        "parquet": pl.read_parquet(place / "lists.parquet"),
        "csv": pl.read_csv(place / "lists.csv.gz"),
        "jsonl": pl.read_ndjson(place / "lists.jsonl"),
    }
    found = {name: digest(lists.select("user_id", "item_id").rows()) for name, lists in files.items()}
    return {**found, "sqlite": digest(rows)}


SCENARIOS: Final = (
    FaultScenario(
        name="publish",
        prepare=_prepare_release,
        run=lambda place: spoken(lambda: _publish(place)),
        state=releases_state,
    ),
    FaultScenario(name="promote", prepare=prepare_releases, run=_promote, state=releases_state),
    FaultScenario(name="recall", prepare=prepare_releases, run=_recall, state=releases_state),
    FaultScenario(name="prune", prepare=prepare_releases, run=_prune, state=releases_state),
    FaultScenario(name="export", prepare=_prepare_exports, run=_export, state=exports_state),
)
