"""`recsys bench build`: the default graph in a new home, through Dagster and by direct calls.

Both run in processes of their own, in turn. The direct calls (`floor`) are those of the assets, in their order, on
the same days, without an event log, asset checks and their plots.
"""

import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from recsys_assets.drift.monitor import Monitor
from recsys_assets.embeddings.fit_release import fit_release
from recsys_assets.embeddings.recency import categories_in
from recsys_assets.evaluation.choice import choose_model
from recsys_assets.evaluation.comparison import evaluate
from recsys_assets.features.feature_database import build_features
from recsys_assets.index.build_index import build_item_index
from recsys_assets.interactions.cleaned_days import publish_interactions
from recsys_assets.interactions.report_page import write_report
from recsys_assets.interactions.wish_rule import hides_item
from recsys_assets.lake.initialise import initialise
from recsys_assets.lake.item_catalogue import catalogue_of, write_catalogue
from recsys_assets.lake.landing import iter_days
from recsys_assets.lake.raw_audit import RawAudit
from recsys_assets.lake.sources.registry import open_source
from recsys_assets.orchestration.fingerprints import Inputs
from recsys_assets.quality.audit_and_publish import prepared, publish_days
from recsys_assets.quality.ledger import Ledger
from recsys_assets.release.publish import publish
from recsys_assets.rules.rules_file import rules_part
from recsys_assets.storage.atomic import replaced_folder
from recsys_assets.storage.day_folders import days_under
from recsys_assets.storage.home import Home

_POLL_SECONDS = 0.1


def run(*, days: int | None = None, rounds: int = 3) -> dict[str, Any]:
    """Build the default graph in a new home through Dagster, against the same work by direct calls.

    Args:
        days: number of the default's first days to build; None takes the year.
        rounds: runs of each, alternating; medians are reported.

    Returns:
        `seconds`, `floor_seconds`, `ratio`, `peak_rss_mb`, `floor_peak_rss_mb`, `partitions` and every run.
    """
    runs: list[dict[str, float]] = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="recsys-bench-") as folder:
            graph, floor = Path(folder, "graph"), Path(folder, "floor")
            limit = ["--days", str(days)] if days else []
            seconds, peak = _timed(
                [sys.executable, "-m", "recsys_assets", "build", "--home", str(graph), *limit]
            )
            floor_seconds, floor_peak = _timed(
                [sys.executable, "-m", "recsys_assets.benchmarks.bench_build", str(floor), str(days or 0)]
            )
            partitions = len(days_under(Home(graph).interactions))
        runs.append(
            {
                "seconds": seconds,
                "floor_seconds": floor_seconds,
                "peak_rss_mb": peak,
                "floor_peak_rss_mb": floor_peak,
                "partitions": partitions,
            }
        )
    found: dict[str, Any] = {key: median(one[key] for one in runs) for key in runs[0]}
    found["ratio"] = found["seconds"] / found["floor_seconds"]
    return {**found, "runs": runs}


def build_without_dagster(home: Home, *, days: int | None) -> None:
    """Build everything that `recsys build` builds of the default, by direct calls."""
    settings = initialise(home, "completejourney", days=days)
    source, inputs, artifacts = open_source(settings.source.spec), Inputs(home, settings), home.artifacts
    with Ledger(home.quality_db) as ledger:
        catalogue = catalogue_of(source)
        write_catalogue(home.catalogue, catalogue)
        monitor = Monitor(
            "raw_interactions", settings.quality, store=inputs.raw_store, ledger=ledger, catalogue=catalogue
        )
        audit = RawAudit(source.contract, monitor=monitor)
        publish_days(
            prepared(iter_days(source, settings.source.days(), scratch=home.scratch), audit),
            store=inputs.raw_store,
            audit=audit,
            quarantine=home.quarantine,
            ledger=ledger,
        )
        publish_interactions(
            inputs.raw_store.days(),
            raw=inputs.raw_store,
            store=inputs.interaction_store,
            quarantine=home.quarantine,
            rule=inputs.wish_rule,
            rows=inputs.row_rule,
            taken_off=inputs.taken_off,
            ledger=ledger,
        )
    landed = inputs.interaction_store.days()
    events = inputs.interaction_store.scan(landed)
    hides, categories = hides_item(settings.interactions), categories_in(catalogue)
    choice = choose_model(events, settings.training, categories=categories, hides=hides)
    with replaced_folder(artifacts / "choice") as folder:
        choice.save(folder)
    with replaced_folder(artifacts / "embeddings") as folder:
        fit_release(events, choice.spec, settings.training, catalogue=catalogue, hides=hides).save(folder)
    with replaced_folder(artifacts / "evaluation") as folder:
        evaluate(events, choice.spec, settings.training, categories=categories, hides=hides).save(folder)
    build_features(events, catalogue, artifacts / "features", as_of=landed[-1])
    build_item_index(artifacts / "embeddings", artifacts / "index", settings.index)
    publish(
        home,
        parts={
            **{
                name: artifacts / name for name in ("choice", "embeddings", "features", "index", "evaluation")
            },
            "rules": rules_part(home),
        },
        settings=settings,
        lineage=inputs.lineage,
        created_at=datetime.now(UTC),
    )
    for day in landed[-settings.report.days :]:
        write_report(home, day)


def _timed(command: list[str]) -> tuple[float, float]:
    """Return wall seconds, and the peak resident memory of a process and its children together, MB."""
    started, peak = time.monotonic(), 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:  # noqa: S603
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            peak = max(peak, _resident(watched))
            time.sleep(_POLL_SECONDS)
        output = process.stdout.read().decode(errors="replace") if process.stdout else ""
        seconds = time.monotonic() - started
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{output}")
    return seconds, peak / 1e6


def _resident(process: psutil.Process) -> int:
    total = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            total += one.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


if __name__ == "__main__":
    build_without_dagster(Home.locate(sys.argv[1]), days=int(sys.argv[2]) or None)
