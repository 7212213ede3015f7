"""The releases that `recsys bench serve` drives: the embedded default, and a synthetic one of any size."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_assets.benchmarks.datasets import default_events
from recsys_assets.benchmarks.synthetic import taste_centres, vectors_around
from recsys_assets.embeddings.fold_in import FoldIn, FoldInEquations
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.model_files import load_embeddings, save_embeddings
from recsys_assets.embeddings.score_parts import ScoreParts
from recsys_assets.embeddings.score_recipe import ScoreRecipe
from recsys_assets.embeddings.training import train
from recsys_assets.features.contract import ITEM_FEATURES, USER_FEATURES
from recsys_assets.features.feature_database import build_features, write_features
from recsys_assets.index.build_index import build_item_index
from recsys_assets.index.candidate_rows import (
    CANDIDATE_ITEMS,
    CANDIDATE_SCORES,
    CandidateInputs,
    write_candidates,
)
from recsys_assets.index.index_report import read_report
from recsys_assets.index.item_index import ItemIndex
from recsys_assets.lake.sources.registry import open_source
from recsys_assets.quality.contract import Column
from recsys_assets.release.publish import publish
from recsys_assets.settings import IndexSettings, Settings
from recsys_assets.source_settings import SourceSettings
from recsys_assets.storage.arrays import EPOCH
from recsys_assets.storage.home import Home
from recsys_assets.storage.string_table import Vocabulary
from recsys_assets.training_settings import TrainingSettings

_SPEC = "completejourney"
_DAY = date(2024, 1, 1)
_TOUCHED = 5
_TASTES = 1_000

USERS_WITH_CANDIDATES = 4_000
"""Users of the synthetic release that have candidates: the ones to send requests for."""


def publish_default(home: Home) -> None:
    """Build the embedded default by direct calls, without Dagster and evaluation, and publish it."""
    source, interactions = open_source(_SPEC), default_events()
    dates = source.date_range()
    settings = Settings(source=SourceSettings(spec=_SPEC, first_day=dates.first_day, last_day=dates.last_day))
    matrix = InteractionMatrix.from_interactions(interactions)
    save_embeddings(
        home.artifact("embeddings"),
        matrix=matrix,
        factorisation=train(matrix, settings.training),
    )
    build_features(interactions, source.catalogue(), home.artifact("features"), as_of=dates.last_day)
    build_item_index(home.artifact("embeddings"), home.artifact("index"), settings.index)
    _publish(home, settings)


def publish_synthetic(home: Home, *, users: int, items: int, size: int = 64, fill: bool = False) -> None:
    """Publish a release of users and items with drawn embeddings, both around taste centres.

    Each user has touched five items. The arrays of candidates are as large as for all users, but filled only for
    the first `USERS_WITH_CANDIDATES`: a search for a million users takes longer than a benchmark should. With `fill`
    the other users have these users' rows.
    """
    rng = np.random.default_rng(0)
    centres = taste_centres(_TASTES, size=size, rng=rng)
    embeddings = home.artifact("embeddings")
    embeddings.mkdir(parents=True)
    items_ID = vectors_around(centres, items, spread=0.5, rng=rng)
    item_ids, user_ids = _ids("i", items), _ids("u", users)
    Vocabulary.from_strings(user_ids).save(embeddings, "users")
    Vocabulary.from_strings(item_ids).save(embeddings, "items")
    popular = np.argsort(-np.linalg.norm(items_ID, axis=1)).astype(np.int32)
    history = rng.integers(0, items, users * _TOUCHED).astype(np.int32)
    arrays: dict[str, npt.NDArray[Any]] = {
        "user_embeddings": vectors_around(centres, users, spread=0.2, rng=rng),
        "item_embeddings": items_ID,
        "history_indptr": np.arange(users + 1, dtype=np.int64) * _TOUCHED,
        "history_items": history,
        "history_days": np.full(len(history), (_DAY - EPOCH).days, dtype=np.int32),
        "history_weights": np.ones(len(history), dtype=np.float32),
        "seen_indptr": np.arange(users + 1, dtype=np.int64) * _TOUCHED,
        "seen_items": np.sort(history.reshape(users, _TOUCHED), axis=1).ravel(),
        "popular_items": popular,
        "popular_scores": np.linspace(1, 0, items, dtype=np.float32),
    }
    for name, array in arrays.items():
        np.save(embeddings / f"{name}.npy", array, allow_pickle=False)
    training = TrainingSettings(embedding_size=size, unobserved_weight=0.3, regularization=0.005)
    equations = FoldInEquations(
        gram_DD=training.unobserved_weight * (items_ID.T @ items_ID),
        items=items,
        unobserved_weight=training.unobserved_weight,
        regularization=training.regularization,
        frequency_exponent=training.frequency_exponent,
    )
    recipe = ScoreRecipe.of_one("ials", size)
    ScoreParts(
        recipe=recipe,
        fold_in=FoldIn(item_embeddings=items_ID, recipe=recipe, equations={"ials": equations}),
    ).save(embeddings)
    (embeddings / "training.json").write_text(
        json.dumps({"through_day": _DAY.isoformat(), "users": users, "items": items})
    )
    write_features(
        _plain_rows(USER_FEATURES.columns, "user_id", user_ids),
        _plain_rows(ITEM_FEATURES.columns, "item_id", item_ids),
        home.artifact("features"),
    )
    settings = Settings(
        source=SourceSettings(spec="tabular:synthetic", first_day=_DAY, last_day=_DAY),
        training=training,
        index=IndexSettings(candidates_per_user=0, neighbours_per_item=0),
    )
    build_item_index(embeddings, home.artifact("index"), settings.index)
    write_some_candidates(home, fill=fill)
    _publish(home, settings)


def write_some_candidates(home: Home, *, kept: int = 50, fill: bool = False) -> None:
    """Write candidates for the first `USERS_WITH_CANDIDATES`; the other rows are empty, or `fill`ed by them."""
    found, index = load_embeddings(home.artifact("embeddings")), home.artifact("index")
    first = min(USERS_WITH_CANDIDATES, len(found.users))
    with tempfile.TemporaryDirectory() as folder:
        write_candidates(
            Path(folder),
            CandidateInputs(
                user_embeddings=found.user_embeddings[:first],
                item_embeddings=found.item_embeddings,
                seen_indptr=found.seen_indptr[: first + 1],
                seen_items=found.seen_items,
                index=ItemIndex.load(index, found.item_embeddings),
            ),
            IndexSettings(candidates_per_user=kept),
        )
        for name, empty in ((CANDIDATE_ITEMS, -1), (CANDIDATE_SCORES, -np.inf)):
            some = np.load(Path(folder, name))
            every = np.full((len(found.users), some.shape[1]), empty, dtype=some.dtype)
            every[:first] = some
            if fill:
                every[:] = some[np.arange(len(every)) % first]
            np.save(index / name, every, allow_pickle=False)


def _publish(home: Home, settings: Settings) -> None:
    parts = {name: home.artifact(name) for name in ("embeddings", "features", "index")}
    publish(
        home,
        parts=parts,
        settings=settings,
        lineage={settings.source.last_day: "benchmark"},
        created_at=datetime.now(UTC),
        index=read_report(parts["index"]).as_dict(),
    )


def _ids(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{num:07d}" for num in range(count)]


def _plain_rows(contract: Mapping[str, Column], key: str, ids: list[str]) -> pl.DataFrame:
    """Return rows that the contract allows, with ids and names; the other columns are empty or least values."""

    def values() -> Iterator[pl.Expr]:
        for name, column in contract.items():
            if name == "title":
                yield pl.format("Product {}", pl.col(key)).alias(name)
            elif name == "category":
                yield pl.format("Category {}", pl.col(key).str.slice(-2)).alias(name)
            elif name != key:
                value = None if column.nullable else column.ge or 0
                yield pl.lit(value, column.dtype).alias(name)

    return pl.DataFrame({key: ids}).with_columns(*values()).select(*contract)
