"""The item index: the search of the item embeddings, and what serving looks up without searching."""

from pathlib import Path
from typing import Any

import dagster as dg

from recsys_assets.index.build_index import build_item_index
from recsys_assets.index.list_shards import ListWorkers
from recsys_assets.launching.chosen import launcher_of
from recsys_assets.orchestration.checks.index import INDEX_CHECKS
from recsys_assets.orchestration.fingerprints import CODE_VERSIONS
from recsys_assets.orchestration.metadata import OWNER, rows_table
from recsys_assets.orchestration.planning.artifact_parts import parts_of
from recsys_assets.orchestration.recalled_days import RECALLED_DAYS
from recsys_assets.orchestration.repair.made_artifacts import making
from recsys_assets.orchestration.resources import Artifacts, Lake, say_in
from recsys_assets.storage.handover import remove_leftovers
from recsys_assets.storage.store_place import place_of


@dg.asset(
    deps=["item_embeddings", "user_embeddings", RECALLED_DAYS],
    group_name="index",
    owners=[OWNER],
    kinds={"usearch", "numpy"},
    code_version=CODE_VERSIONS["item_index"],
    description="The fastest search of the item embeddings that reaches the recall, exact or a usearch file, and "
    "the best items of each user and item scored ahead of serving.",
)
def item_index(
    context: dg.AssetExecutionContext, lake: Lake, artifacts: Artifacts
) -> dg.MaterializeResult[Any]:
    """Choose the search, foreseen from samples or measured, and precompute lists."""
    settings, folder = lake.settings(), artifacts.folder("index")
    inputs = lake.inputs()
    with making(folder, inputs=inputs.item_index, parts=parts_of(inputs, "index")):
        outcome = build_item_index(
            artifacts.folder("embeddings"),
            folder,
            settings.index,
            seed=settings.training.seed,
            workers=_workers(context, lake, scratch=folder.parent),
            keep_choice=lake.warm,
        )
    report, precomputed = outcome.report, outcome.precomputed
    return dg.MaterializeResult(
        metadata={
            "recall": report.recall,
            "recall_target": report.recall_target,
            "k": report.k,
            "kind": report.kind,
            "why": report.why,
            "query_us": report.chosen.query_us,
            "grid": rows_table(report.as_dict()["grid"]),
            "candidates_by": precomputed.candidates_by,
            "candidates": precomputed.candidates,
            "neighbours": precomputed.neighbours,
            "seconds": report.seconds,
            "dagster/row_count": report.items,
            "folder": dg.MetadataValue.path(str(folder)),
        }
    )


def _workers(context: dg.AssetExecutionContext, lake: Lake, *, scratch: Path) -> ListWorkers | None:
    """Return the cluster that computes lists; None where this process does, as its threads are all there is."""
    settings = lake.settings().launcher
    if settings.kind != "ray":
        return None
    place = place_of(lake.home.root)
    if place is not None:
        remove_leftovers(place)
    return ListWorkers(
        launcher=launcher_of(settings, scratch=scratch, say=say_in(context.log), printed=context.log.info),
        place=place,
        shares=settings.shards,
    )


ASSETS = [item_index]
CHECKS = INDEX_CHECKS
