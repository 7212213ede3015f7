"""The release, one immutable folder of everything that serving needs, and the external API that serves it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from recsys_assets.index.index_report import read_report
from recsys_assets.orchestration.checks.release import GATE_CHECKS, answers_of_gate
from recsys_assets.orchestration.fingerprints import CODE_VERSIONS, Inputs
from recsys_assets.orchestration.metadata import OWNER, column_schema, rows_table
from recsys_assets.orchestration.promotion_gate import Judgement, judge, served_already
from recsys_assets.orchestration.recalled_days import RECALLED_DAYS
from recsys_assets.orchestration.repair.made_artifacts import making
from recsys_assets.orchestration.resources import Artifacts, HomeReleases, Lake, StageProgress
from recsys_assets.quality.quarantine import lineage_notes
from recsys_assets.release.list_audit import RECOMMENDATIONS
from recsys_assets.release.manifest import Manifest
from recsys_assets.release.publish import publish
from recsys_assets.settings import Settings
from recsys_assets.storage.atomic import replace_file

PARTS = ("choice", "embeddings", "features", "index", "evaluation")
"""The artifacts that a release holds."""
_K = 10


@dg.asset(
    deps=[
        "model_choice",
        "user_embeddings",
        "item_embeddings",
        "evaluation",
        "user_features",
        "item_features",
        "item_index",
        RECALLED_DAYS,
    ],
    group_name="release",
    owners=[OWNER],
    kinds={"file"},
    code_version=CODE_VERSIONS["release"],
    description="One immutable folder: embeddings, features, index, rules, manifest, checksums. "
    "The same content is the same release, however often it is built. It is promoted where it passes the gate, else "
    "it stays a candidate. The columns are those of the lists in it.",
    metadata={"dagster/column_schema": column_schema(RECOMMENDATIONS)},
    check_specs=GATE_CHECKS,
)
def release(
    lake: Lake, artifacts: Artifacts, releases: HomeReleases, progress: dg.ResourceParam[StageProgress]
) -> Iterator[dg.MaterializeResult[Any]]:
    """Copy the artifacts into a new release, have the gate judge it, and point `current` at it where it passed."""
    settings = lake.settings()
    inputs = Inputs(lake.home, settings)
    marker = artifacts.folder("release")
    with lake.ledger() as ledger:
        accepted = lineage_notes(ledger)
    with making(marker, inputs=inputs.release):  # a crash before its end publishes and judges again
        manifest = publish(
            lake.home,
            parts={**{name: artifacts.folder(name) for name in PARTS}, "rules": releases.rules_part()},
            settings=settings,
            lineage=inputs.lineage,
            created_at=datetime.now(UTC),
            metrics=headline_metrics(pl.read_parquet(artifacts.folder("evaluation") / "evaluation.parquet")),
            index=read_report(artifacts.folder("index")).as_dict(),
            accepted=accepted,
            promote=False,
        )
        found = _judged(lake, settings, manifest.release_id, releases, progress)
        replace_file(marker, f"{manifest.release_id}\n".encode())
    folder = lake.home.releases / manifest.release_id
    yield dg.MaterializeResult(
        metadata=_metadata_of(manifest, folder, found), check_results=answers_of_gate(found)
    )
    if not found.report.passed:
        raise dg.Failure(found.report.in_words(), allow_retries=False)


def _judged(
    lake: Lake, settings: Settings, release_id: str, releases: HomeReleases, progress: StageProgress
) -> Judgement:
    """Judge the release, and promote it where it passed; one that is current already stays."""
    store, days = releases.store(), lake.interactions()
    if store.is_current(release_id):
        return served_already(store, release_id)
    found = judge(
        lake.home,
        settings,
        release_id,
        interactions=lambda: days.scan(days.days()),
        catalogue=lake.catalogue(),
        on_step=lambda done, total: progress.report("release", done, total),
    )
    with lake.ledger() as ledger:
        ledger.record(found.lists, at=found.report.at)
    if found.report.passed:
        store.promote(release_id, who="recsys build", why=found.report.in_words())
    return found


def _metadata_of(manifest: Manifest, folder: Path, found: Judgement) -> dict[str, Any]:
    files = [
        {"file": name, "bytes": entry.bytes, "sha256": entry.sha256} for name, entry in manifest.files.items()
    ]
    return {
        "release_id": manifest.release_id,
        "through_day": manifest.through_day.isoformat(),
        "counts": manifest.counts,
        "metrics": manifest.metrics,
        "accepted_days": {day.isoformat(): notes for day, notes in manifest.accepted.items()},
        "files": rows_table(files),
        "folder": dg.MetadataValue.path(str(folder)),
        "gate": found.report.in_words(),
    }


def headline_metrics(evaluation: pl.DataFrame) -> dict[str, float]:
    """Return `MODEL_ndcg@10` and `MODEL_recall@10` of every model, for the manifest."""
    rows = evaluation.filter(pl.col("k") == _K, pl.col("metric").is_in(["ndcg", "recall"]))
    return {f"{row['model']}_{row['metric']}@10": row["value"] for row in rows.iter_rows(named=True)}


recommendation_api = dg.AssetSpec(
    "recommendation_api",
    deps=["release"],
    group_name="serving",
    owners=[OWNER],
    kinds={"litestar"},
    description="The HTTP API of `recsys serve`: always the release that `current` points at.",
)

ASSETS: list[dg.AssetsDefinition | dg.AssetSpec] = [release, recommendation_api]
