"""Assets of the embeddings: one training makes both tables; the evaluation trains on earlier days only."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import msgspec

from recsys_assets.embeddings.factorisation import Factorisation, epochs_of, with_epochs
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.model_files import last_trained, save_embeddings
from recsys_assets.orchestration.checks.embeddings import CHECKS_OF_EMBEDDINGS, CHECKS_OF_EVALUATION
from recsys_assets.orchestration.fingerprints import CODE_VERSIONS, Inputs, making
from recsys_assets.orchestration.metadata import (
    OWNER,
    figure_markdown,
    loss_figure,
    metric_figure,
    rows_table,
)
from recsys_assets.orchestration.resources import Artifacts, Lake, StageProgress
from recsys_assets.settings import TrainingSettings
from recsys_assets.storage.atomic import replaced_folder

if TYPE_CHECKING:
    from recsys_assets.embeddings.ials import Workers


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
    context: dg.AssetExecutionContext,
    lake: Lake,
    artifacts: Artifacts,
    progress: dg.ResourceParam[StageProgress],
) -> tuple[dg.MaterializeResult[Any], dg.MaterializeResult[Any]]:
    """Factorise all landed days; both sides are written as one folder."""
    from recsys_assets.embeddings.training import train  # noqa: PLC0415  torch takes a second to import

    settings = lake.settings().training
    store, folder = lake.interactions(), artifacts.folder("embeddings")
    matrix = InteractionMatrix.from_interactions(store.scan(store.days()))
    with (
        making(folder, inputs=Inputs(lake.home, lake.settings()).embeddings),
        replaced_folder(folder) as staged,
    ):
        start = last_trained(folder, matrix, settings)
        run = settings if start is None else with_epochs(settings, settings.warm_start_epochs)
        found = train(
            matrix,
            run,
            start=start,
            on_epoch=lambda epoch, _: progress.report("factorisation", epoch, epochs_of(run)),
            workers=_workers(context, staged.parent),
        )
        save_embeddings(staged, matrix=matrix, factorisation=found, notes={"warm_start": start is not None})
    shared = _training_metadata(found, matrix, folder) | {"warm_start": start is not None}
    users, items = matrix.shape
    return (
        dg.MaterializeResult("user_embeddings", metadata={"dagster/row_count": users, **shared}),
        dg.MaterializeResult("item_embeddings", metadata={"dagster/row_count": items, **shared}),
    )


def _workers(context: dg.AssetExecutionContext, scratch: Path) -> "Workers":
    """Training processes that Dagster starts by torchrun; their log is in the run's.

    Where one fails, `dagster.DagsterPipesExecutionError` is raised.
    """
    from recsys_assets.embeddings.ials import Workers  # noqa: PLC0415  torch takes a second to import
    from recsys_assets.orchestration.multiprocess import torchrun_command  # noqa: PLC0415

    def run(matrix_folder: Path, out: Path, settings: TrainingSettings) -> None:
        command = torchrun_command(matrix_folder, out, settings)
        dg.PipesSubprocessClient().run(context=context, command=command)

    return Workers(run=run, scratch=scratch)


def _training_metadata(found: Factorisation, matrix: InteractionMatrix, folder: Path) -> dict[str, Any]:
    return {
        "loss": figure_markdown(loss_figure(found.losses)),
        "final_loss": found.losses[-1],
        "seconds": found.seconds,
        "settings": msgspec.to_builtins(found.settings),
        **found.memory_mb,
        "entries": matrix.entries,
        "embedding_size": found.settings.embedding_size,
        "folder": dg.MetadataValue.path(str(folder)),
    }


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
    from recsys_assets.evaluation.comparison import evaluate_if_possible  # noqa: PLC0415  imports torch

    settings, store, folder = lake.settings(), lake.interactions(), artifacts.folder("evaluation")
    with making(folder, inputs=Inputs(lake.home, settings).evaluation), replaced_folder(folder) as staged:
        found, problem = evaluate_if_possible(store.scan(store.days()), settings.training)
        found.save(staged)
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
