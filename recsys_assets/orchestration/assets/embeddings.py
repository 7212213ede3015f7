"""Assets of the model: its choice, both tables of embeddings from one fit, and its evaluation on earlier days only."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import msgspec

from recsys_assets.embeddings.model_spec import ModelSpec
from recsys_assets.embeddings.recency import categories_in
from recsys_assets.evaluation.model_choice import ModelChoice
from recsys_assets.interactions.wish_rule import hides_item
from recsys_assets.orchestration.checks.embeddings import (
    CHECKS_OF_CHOICE,
    CHECKS_OF_EMBEDDINGS,
    CHECKS_OF_EVALUATION,
)
from recsys_assets.orchestration.fingerprints import CODE_VERSIONS
from recsys_assets.orchestration.metadata import (
    OWNER,
    figure_markdown,
    loss_figure,
    metric_figure,
    rows_table,
)
from recsys_assets.orchestration.planning.artifact_parts import parts_of
from recsys_assets.orchestration.recalled_days import RECALLED_DAYS
from recsys_assets.orchestration.repair.made_artifacts import making
from recsys_assets.orchestration.resources import Artifacts, Lake, StageProgress, say_in
from recsys_assets.settings import Settings
from recsys_assets.storage.atomic import replaced_folder
from recsys_assets.storage.store_place import place_of
from recsys_assets.training_settings import TrainingSettings

if TYPE_CHECKING:
    from recsys_assets.embeddings.fit_model import FittedModel


def _embedding_spec(entity: str) -> dg.AssetSpec:
    columns = [
        dg.TableColumn(f"{entity}_id", "string", description=f"The source's id of the {entity}."),
        dg.TableColumn("embedding", "float32[embedding_size]", description="A row of the factorisation."),
    ]
    return dg.AssetSpec(
        f"{entity}_embeddings",
        deps=["interactions", "item_catalogue", "model_choice", RECALLED_DAYS],
        group_name="embeddings",
        owners=[OWNER],
        kinds={"torch", "numpy"},
        code_version=CODE_VERSIONS["embeddings"],
        description=f"One float32 vector a {entity}, with the id vocabulary: a side of the factorisation.",
        metadata={"dagster/column_schema": dg.TableSchema(columns)},
    )


@dg.asset(
    deps=["interactions", "item_catalogue", RECALLED_DAYS],
    group_name="embeddings",
    owners=[OWNER],
    kinds={"torch", "json"},
    code_version=CODE_VERSIONS["model_choice"],
    description="The model to release: of all components and blends of two the one that ranks best on held-out days "
    "before those of the evaluation, with what lost. `[training] model` and `score` fix it or parts of it.",
)
def model_choice(
    lake: Lake, artifacts: Artifacts, progress: dg.ResourceParam[StageProgress]
) -> dg.MaterializeResult[Any]:
    """Compare the models, and write the one chosen as `choice.json`."""
    from recsys_assets.evaluation.choice import choose_model  # noqa: PLC0415  imports torch

    settings, store, folder = lake.settings(), lake.interactions(), artifacts.folder("choice")
    inputs = lake.inputs()
    with (
        making(folder, inputs=inputs.choice, parts=parts_of(inputs, "choice")),
        replaced_folder(folder) as staged,
    ):
        found = choose_model(
            store.scan(store.days()),
            settings.training,
            categories=categories_in(lake.catalogue()),
            hides=hides_item(settings.interactions),
            on_step=lambda done, total: progress.report("model_choice", done, total),
        )
        found.save(staged)
    compared = [
        {
            "model": one.spec.model,
            "ndcg_at_20": one.ndcg,
            "low": one.low,
            "high": one.high,
            **{name: value for name, value in msgspec.to_builtins(one.spec).items() if name != "model"},
        }
        for one in found.compared
    ]
    return dg.MaterializeResult(
        metadata={
            "model": found.spec.model,
            "in_words": found.in_words(),
            "chosen": msgspec.to_builtins(found.spec),
            "compared": rows_table(compared),
            "users": found.users,
            "share_of_users_fitted": found.user_share,
            "first_held_out_days": ", ".join(map(str, found.first_held_out_days)),
            "not_compared": found.problem,
        }
    )


@dg.multi_asset(specs=[_embedding_spec("user"), _embedding_spec("item")])
def embeddings(
    context: dg.AssetExecutionContext,
    lake: Lake,
    artifacts: Artifacts,
    progress: dg.ResourceParam[StageProgress],
) -> tuple[dg.MaterializeResult[Any], dg.MaterializeResult[Any]]:
    """Fit the chosen model to all landed days; both sides are written as one folder."""
    from recsys_assets.embeddings.fit_release import fit_release  # noqa: PLC0415  torch takes a second to import
    from recsys_assets.embeddings.sharded_training import workers_of  # noqa: PLC0415

    settings, store, folder = lake.settings(), lake.interactions(), artifacts.folder("embeddings")
    inputs = lake.inputs()
    workers = workers_of(
        settings,
        scratch=folder.parent,
        say=say_in(context.log),
        printed=context.log.info,
        place=place_of(lake.home.root),
    )
    with (
        making(folder, inputs=inputs.embeddings, parts=parts_of(inputs, "embeddings")),
        replaced_folder(folder) as staged,
    ):
        found = fit_release(
            store.scan(store.days()),
            _chosen(artifacts),
            _as_replayed(settings) if lake.warm else settings.training,
            catalogue=lake.catalogue(),
            hides=hides_item(settings.interactions),
            earlier=folder,
            on_epoch=lambda epoch, epochs: progress.report("embeddings", epoch, epochs),
            workers=workers,
        )
        found.save(staged)
    losses = found.model.factorisation.losses
    for epoch, loss in enumerate(losses if workers is not None else (), start=1):
        line = f"epoch {epoch} of {len(losses)}: objective {loss:.6f} a pair"
        context.log.info(line)
    shared = _training_metadata(found.model, folder) | {"warm_start": found.warm_start}
    users, items = found.model.matrix.shape
    return (
        dg.MaterializeResult("user_embeddings", metadata={"dagster/row_count": users, **shared}),
        dg.MaterializeResult("item_embeddings", metadata={"dagster/row_count": items, **shared}),
    )


def _as_replayed(settings: Settings) -> TrainingSettings:
    return msgspec.structs.replace(settings.training, warm_start_epochs=settings.replay.warm_epochs)


def _chosen(artifacts: Artifacts) -> ModelSpec:
    return ModelChoice.load(artifacts.folder("choice")).spec


def _training_metadata(found: "FittedModel", folder: Path) -> dict[str, Any]:
    run = found.factorisation
    return {
        "model": found.parts.recipe.model,
        "score": msgspec.to_builtins(found.parts.recipe),
        **({"loss": figure_markdown(loss_figure(run.losses))} if len(run.losses) > 1 else {}),
        "final_loss": run.losses[-1],
        "seconds": run.seconds,
        "settings": msgspec.to_builtins(run.settings),
        **run.memory_mb,
        "entries": found.matrix.entries,
        "embedding_size": run.item_embeddings.shape[1],
        "folder": dg.MetadataValue.path(str(folder)),
    }


@dg.asset(
    deps=["interactions", "item_catalogue", "model_choice", RECALLED_DAYS],
    group_name="embeddings",
    owners=[OWNER],
    kinds={"torch", "polars"},
    code_version=CODE_VERSIONS["evaluation"],
    description="One metric of one model, the chosen one and the baselines, on held-out time; trained on earlier days.",
)
def evaluation(lake: Lake, artifacts: Artifacts) -> dg.MaterializeResult[Any]:
    """Fit the model on the earlier days, rank for the later ones, compare with the baselines."""
    from recsys_assets.evaluation.comparison import evaluate_if_possible  # noqa: PLC0415  imports torch
    from recsys_assets.evaluation.kept_baselines import evaluate_beside  # noqa: PLC0415
    from recsys_assets.evaluation.kept_fit import fit_folder, keep_fit  # noqa: PLC0415

    settings, store, folder = lake.settings(), lake.interactions(), artifacts.folder("evaluation")
    inputs = lake.inputs()
    with (
        making(folder, inputs=inputs.evaluation, parts=parts_of(inputs, "evaluation")),
        replaced_folder(folder) as staged,
    ):
        log, spec = store.scan(store.days()), _chosen(artifacts)
        items, hides = categories_in(lake.catalogue()), hides_item(settings.interactions)
        keep = partial(keep_fit, folder=fit_folder(folder))
        beside, problem = None, ""
        if lake.warm:
            replayed = _as_replayed(settings)
            beside = evaluate_beside(log, spec, replayed, folder, categories=items, hides=hides, on_fit=keep)
        if beside is None:
            found, problem = evaluate_if_possible(
                log, spec, settings.training, categories=items, hides=hides, on_fit=keep
            )
        else:
            found = beside
        found.save(staged)
    # of a replay the table is enough: drawing takes as long as a tenth of its training
    figures = {} if beside else {"ndcg": figure_markdown(metric_figure(found.table, metric="ndcg", k=10))}
    return dg.MaterializeResult(
        metadata={
            "metrics": rows_table(found.table.to_dicts()),
            "segments": rows_table(found.segments.to_dicts()),
            **figures,
            "not_evaluated": problem,
            "dagster/row_count": found.table.height,
        }
    )


ASSETS = [model_choice, embeddings, evaluation]
CHECKS = [*CHECKS_OF_CHOICE, *CHECKS_OF_EMBEDDINGS, *CHECKS_OF_EVALUATION]
