"""The embeddings' assets: one training makes both tables; the evaluation trains on earlier days only."""

import json
from typing import Any

import dagster as dg
import msgspec

from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.model_files import save_embeddings
from recsys_assets.errors import NothingHeldOutError
from recsys_assets.orchestration.checks.embeddings import CHECKS_OF_EMBEDDINGS, CHECKS_OF_EVALUATION
from recsys_assets.orchestration.fingerprints import CODE_VERSIONS, Inputs, making
from recsys_assets.orchestration.metadata import (
    OWNER,
    figure_markdown,
    loss_figure,
    metric_figure,
    rows_table,
)
from recsys_assets.orchestration.resources import Artifacts, Lake, Progress
from recsys_assets.storage.atomic import replaced_folder


def _embedding_spec(entity: str) -> dg.AssetSpec:
    columns = [
        dg.TableColumn(f"{entity}_id", "string", description=f"The source's id of the {entity}."),
        dg.TableColumn("embedding", "float32[embedding_size]", description="A row of the factorisation."),
    ]
    return dg.AssetSpec(
        f"{entity}_embeddings",
        deps=["interactions"],
        group_name="embeddings",
        owners=[OWNER],
        kinds={"torch", "numpy"},
        code_version=CODE_VERSIONS["embeddings"],
        description=f"One float32 vector a {entity}, with the id vocabulary: a side of the factorisation.",
        metadata={"dagster/column_schema": dg.TableSchema(columns)},
    )


@dg.multi_asset(specs=[_embedding_spec("user"), _embedding_spec("item")])
def factorisation(
    context: dg.AssetExecutionContext, lake: Lake, artifacts: Artifacts, progress: dg.ResourceParam[Progress]
) -> tuple[dg.MaterializeResult[Any], dg.MaterializeResult[Any]]:
    """Factorise all landed days; both sides are written as one folder."""
    from recsys_assets.embeddings.model_files import last_trained  # noqa: PLC0415
    from recsys_assets.embeddings.models import fit, with_epochs  # noqa: PLC0415  torch takes a second to import
    from recsys_assets.orchestration.multiprocess import fit_by_processes  # noqa: PLC0415

    settings = lake.settings().training
    store, folder = lake.interactions(), artifacts.folder("embeddings")
    matrix = InteractionMatrix.from_interactions(store.scan(store.days()))
    with (
        making(folder, inputs=Inputs(lake.home, lake.settings()).embeddings),
        replaced_folder(folder) as staged,
    ):
        start = last_trained(folder, matrix, settings)
        run = settings if start is None else with_epochs(settings, settings.warm_start_epochs)
        if run.processes > 1 and run.objective == "ials":
            found = fit_by_processes(context, matrix, run, scratch=staged.parent, start=start)
        else:
            found = fit(
                matrix,
                run,
                start=start,
                on_epoch=lambda epoch, _: progress.tell("factorisation", epoch, run.epochs),
            )
        save_embeddings(staged, matrix=matrix, factorisation=found, notes={"warm_start": start is not None})
    shared: dict[str, Any] = {
        "loss": figure_markdown(loss_figure(found.losses)),
        "final_loss": found.losses[-1],
        "seconds": found.seconds,
        "settings": msgspec.to_builtins(found.settings),
        "warm_start": start is not None,
        **found.memory_mb,
        "entries": matrix.entries,
        "embedding_size": settings.embedding_size,
        "folder": dg.MetadataValue.path(str(folder)),
    }
    users, items = len(matrix.users), len(matrix.items)
    return (
        dg.MaterializeResult("user_embeddings", metadata={"dagster/row_count": users, **shared}),
        dg.MaterializeResult("item_embeddings", metadata={"dagster/row_count": items, **shared}),
    )


@dg.asset(
    deps=["interactions"],
    group_name="embeddings",
    owners=[OWNER],
    kinds={"torch", "polars"},
    code_version=CODE_VERSIONS["evaluation"],
    description="One metric of one model, ours and the baselines, on held-out time; trained on earlier days.",
)
def evaluation(lake: Lake, artifacts: Artifacts) -> dg.MaterializeResult[Any]:
    """Train on the earlier days, rank for the later ones, compare with popularity and item-kNN."""
    from recsys_assets.evaluation import comparison as evaluate  # noqa: PLC0415  torch takes a second to import

    settings, store, folder = lake.settings(), lake.interactions(), artifacts.folder("evaluation")
    with making(folder, inputs=Inputs(lake.home, settings).evaluation), replaced_folder(folder) as staged:
        try:
            found, problem = evaluate.evaluate(store.scan(store.days()), settings.training), ""
        except NothingHeldOutError as error:  # a short or sparse log: told, and a check warns
            found, problem = evaluate.NOTHING, str(error)
        found.table.write_parquet(staged / "evaluation.parquet")
        text = json.dumps(found.table.to_dicts(), indent=1)
        (staged / "evaluation.json").write_text(text + "\n", encoding="utf-8")
    return dg.MaterializeResult(
        metadata={
            "metrics": rows_table(found.table.to_dicts()),
            "segments": rows_table(found.segments.to_dicts()),
            "ndcg": figure_markdown(metric_figure(found.table, metric="ndcg", k=10)),
            "not_evaluated": problem,
            "dagster/row_count": found.table.height,
        }
    )


ASSETS = [factorisation, evaluation]
CHECKS = [*CHECKS_OF_EMBEDDINGS, *CHECKS_OF_EVALUATION]
