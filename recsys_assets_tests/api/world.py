"""A small installation with a real release, made through the stages' public functions."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.model_files import save_embeddings
from recsys_assets.embeddings.training import train
from recsys_assets.features.feature_database import build_features
from recsys_assets.index.build_index import build_item_index
from recsys_assets.index.index_report import read_report
from recsys_assets.interactions.contract import INTERACTIONS
from recsys_assets.lake.contract import ITEM_CATALOGUE
from recsys_assets.release.publish import publish
from recsys_assets.settings import IndexSettings, Settings
from recsys_assets.source_settings import SourceSettings
from recsys_assets.storage.home import Home
from recsys_assets.training_settings import TrainingSettings

FIRST_DAY = date(2024, 3, 1)
LAST_DAY = date(2024, 3, 30)
CATEGORIES = ("Tea", "Coffee", "Bread", "Cheese")
SMALL_INDEX = IndexSettings(candidates_per_user=20, neighbours_per_item=10)
ODD_ITEM = 'it\'s "odd" ☕'
"""An item id with quotes, blanks and an emoji."""


def interactions(*, users: int, items: int, seed: int, prefix: str = "i") -> pl.DataFrame:
    """Users mostly want items of their own block; every item is wanted by somebody."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        block = user % len(CATEGORIES)
        own = [item for item in range(items) if item % len(CATEGORIES) == block]
        wanted = {
            *rng.choice(own, size=min(9, len(own)), replace=False).tolist(),
            *rng.integers(0, items, 2).tolist(),
        }
        rows += [(f"u{user}", item) for item in sorted(wanted)]
    rows += [(f"u{item % users}", item) for item in range(items)]
    days = rng.integers(0, (LAST_DAY - FIRST_DAY).days + 1, len(rows))
    return pl.DataFrame(
        {
            "user_id": [user for user, _ in rows],
            "item_id": [item_id(item, prefix) for _, item in rows],
            "timestamp": [
                datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, 12, tzinfo=UTC)
                + timedelta(days=int(day))
                for day in days
            ],
            "weight": [1.0] * len(rows),
            "rating": [None] * len(rows),
            "quantity": [1.0] * len(rows),
            "value": [2.5] * len(rows),
            "kind": [None] * len(rows),
        },
        schema=INTERACTIONS.polars_schema(),
    )


def item_id(item: int, prefix: str = "i") -> str:
    """The id of the item at a place."""
    return ODD_ITEM if item == 0 else f"{prefix}{item}"


def catalogue(items: int, prefix: str = "i") -> pl.DataFrame:
    """Titles and categories; the last item has neither."""
    named = range(items - 1)
    return pl.DataFrame(
        {
            "item_id": [item_id(item, prefix) for item in range(items)],
            "title": [f"{CATEGORIES[item % 4]} number {item}" for item in named] + [None],
            "department": ["Food"] * items,
            "category": [CATEGORIES[item % 4] for item in named] + [None],
            "brand": [f"Brand {item % 7}" for item in range(items)],
            "price": [float(item % 13) + 0.5 for item in range(items)],
        },
        schema=ITEM_CATALOGUE.polars_schema(),
    )


def publish_release(
    home: Home,
    *,
    users: int = 40,
    items: int = 80,
    seed: int = 0,
    prefix: str = "i",
    spec: str = "tabular:nowhere",
    promote: bool = True,
    index: IndexSettings = SMALL_INDEX,
    created_at: datetime = datetime(2024, 4, 1, tzinfo=UTC),
    save: Callable[..., None] = save_embeddings,
    evaluation: Path | None = None,
) -> str:
    """Build everything and publish it, the embeddings as `save` writes them, with an evaluation; the release's id."""
    frame = interactions(users=users, items=items, seed=seed, prefix=prefix)
    settings = Settings(
        source=SourceSettings(spec=spec, first_day=FIRST_DAY, last_day=LAST_DAY),
        training=TrainingSettings(embedding_size=8, epochs=4, seed=seed),
        index=index,
    )
    matrix = InteractionMatrix.from_interactions(frame.lazy())
    parts = {name: home.artifacts / name for name in ("embeddings", "features", "index")}
    save(parts["embeddings"], matrix=matrix, factorisation=train(matrix, settings.training))
    build_features(frame.lazy(), catalogue(items, prefix), parts["features"], as_of=LAST_DAY)
    build_item_index(parts["embeddings"], parts["index"], settings.index)
    manifest = publish(
        home,
        parts=parts if evaluation is None else {**parts, "evaluation": evaluation},
        settings=settings,
        lineage={
            FIRST_DAY + timedelta(days=n): f"{seed}-{n}" for n in range((LAST_DAY - FIRST_DAY).days + 1)
        },
        created_at=created_at,
        metrics={"ials_ndcg@10": 0.25},
        index=read_report(parts["index"]).as_dict(),
        promote=promote,
    )
    return manifest.release_id


def make_home(root: Path) -> Home:
    """A home with one release."""
    home = Home(root)
    publish_release(home)
    return home
