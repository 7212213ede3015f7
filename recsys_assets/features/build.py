"""The features folder from the lake: both tables, the registry and the search index, swapped in whole."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from recsys_assets.features.compute import feature_tables
from recsys_assets.features.tables import (
    DATABASE_FILE,
    finish,
    write_item_features,
    write_registry,
    write_user_features,
)
from recsys_assets.storage.atomic import replaced_folder


@dataclass(frozen=True, kw_only=True)
class FeatureReport:
    """What was written."""

    users: int
    """Rows of `user_features`."""
    items: int
    """Rows of `item_features`."""
    as_of: date
    """The day at whose end the values hold."""


def build_features(
    interactions: pl.LazyFrame, catalogue: pl.DataFrame | None, folder: Path, *, as_of: date
) -> FeatureReport:
    """Compute both tables as of `as_of` and replace `folder` by a new one that holds them."""
    users, items = feature_tables(interactions, catalogue, as_of=as_of)
    write_features(users, items, folder)
    return FeatureReport(users=users.height, items=items.height, as_of=as_of)


def write_features(users: pl.DataFrame, items: pl.DataFrame, folder: Path) -> None:
    """Replace `folder` by one with `features.sqlite` and `features.json` of these rows."""
    with replaced_folder(folder) as staged:
        write_user_features(staged / DATABASE_FILE, users)
        write_item_features(staged / DATABASE_FILE, items)
        write_registry(staged)
        finish(staged / DATABASE_FILE)
