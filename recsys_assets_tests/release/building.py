"""The artifacts of a small world, built by the stages themselves."""

import random
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import polars as pl

from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.model_files import save_embeddings
from recsys_assets.embeddings.training import train
from recsys_assets.features.feature_database import build_features
from recsys_assets.index.build_index import build_item_index
from recsys_assets.interactions.contract import INTERACTIONS
from recsys_assets.lake.contract import ITEM_CATALOGUE
from recsys_assets_tests.release.world import FIRST_DAY, LAST_DAY, SETTINGS, World


def build_world(artifacts: Path, *, users: int = 40, items: int = 60) -> World:
    """Two groups of users, each with its half of the items."""
    rng = random.Random(0)
    rows = [
        (f"u{user}", f"i{2 * rng.randrange(items // 2) + user % 2}", rng.randrange(31))
        for user in range(users)
        for _ in range(15)
    ]
    events = pl.LazyFrame(
        {
            "user_id": [row[0] for row in rows],
            "item_id": [row[1] for row in rows],
            "timestamp": [datetime.combine(FIRST_DAY + timedelta(days=row[2]), time(9), UTC) for row in rows],
            "weight": 1.0,
            "rating": None,
            "quantity": 1.0,
            "value": 2.5,
            "kind": None,
        },
        schema_overrides=INTERACTIONS.polars_schema(),
    )
    catalogue = pl.DataFrame(
        {
            "item_id": [f"i{item}" for item in range(items + 5)],
            "title": [f"Thing {item}" for item in range(items + 5)],
            "department": "D",
            "category": [("even", "odd")[item % 2] for item in range(items + 5)],
            "brand": None,
            "price": None,
        },
        schema_overrides=ITEM_CATALOGUE.polars_schema(),
    )
    matrix = InteractionMatrix.from_interactions(events)
    factorisation = train(matrix, SETTINGS.training)
    save_embeddings(artifacts / "embeddings", matrix=matrix, factorisation=factorisation)
    build_features(events, catalogue, artifacts / "features", as_of=LAST_DAY)
    build_item_index(artifacts / "embeddings", artifacts / "index", SETTINGS.index)
    return World(artifacts=artifacts)
