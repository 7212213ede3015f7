"""The contents of the model development notebook: settings tried on held-out time, and a picture of the embeddings."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import msgspec
import numpy as np
import polars as pl
from matplotlib.figure import Figure

from recsys_assets import columns
from recsys_assets.embeddings.training import train
from recsys_assets.evaluation.metrics import user_metrics
from recsys_assets.evaluation.held_out import by_factors, rank
from recsys_assets.evaluation.held_out import time_split
from recsys_assets.interactions.contract import INTERACTIONS
from recsys_assets.settings import load_or_default_settings
from recsys_assets.training_settings import TrainingSettings
from recsys_assets.storage.home import Home
from recsys_assets.storage.partition_store import PartitionStore

_K: Final = 20
_USERS: Final = 2_000
_COLOURED: Final = 8


@dataclass(frozen=True, kw_only=True)
class TrialData:
    """A home's interactions, catalogue and training settings."""

    interactions: pl.LazyFrame
    """The columns of the INTERACTIONS contract."""
    rows: int
    """Number of events."""
    first_day: date
    """First day with events."""
    last_day: date
    """Last day with events."""
    catalogue: pl.DataFrame
    """The columns of the ITEM_CATALOGUE contract; empty where there is no catalogue."""
    settings: TrainingSettings
    """The home's training settings."""


def load(home: Home, *, last_days: int = 0) -> TrialData:
    """Read the landed days: all, or the last `last_days` of them where that is not 0.

    Raises:
        ValueError: no day has landed.
    """
    store = PartitionStore(root=home.interactions, schema=INTERACTIONS.polars_schema())
    days = store.days()[-last_days:]
    if not days:
        raise ValueError(f"{home.interactions}: no day has landed; run `recsys build` first")
    frame = store.scan(days)
    return TrialData(
        interactions=frame,
        rows=frame.select(pl.len()).collect().item(),
        first_day=days[0],
        last_day=days[-1],
        catalogue=pl.read_parquet(home.catalogue) if home.catalogue.exists() else pl.DataFrame(),
        settings=load_or_default_settings(home).training,
    )


def try_settings(
    data: TrialData, *, sizes: Sequence[int], regularizations: Sequence[float], seed: int = 0
) -> pl.DataFrame:
    """Train every combination on the days before the held-out ones, and rank for up to 2,000 users.

    Returns:
        `embedding_size, regularization, ndcg@20, recall@20, seconds`, best NDCG first.
    """
    split = time_split(data.interactions, held_out_share=data.settings.held_out_share)
    users = split.sample_users(most_users=_USERS, seed=seed)
    rows = []
    for size in sizes:
        for strength in regularizations:
            settings = msgspec.structs.replace(data.settings, embedding_size=size, regularization=strength)
            found = train(split.train, settings)
            score = by_factors(found.user_embeddings, found.item_embeddings)
            metrics = user_metrics(rank(split.train, users, score, k=_K), split.truth, k=_K)
            rows.append(
                {
                    "embedding_size": size,
                    "regularization": strength,
                    f"ndcg@{_K}": float(np.mean(metrics["ndcg"])),
                    f"recall@{_K}": float(np.mean(metrics["recall"])),
                    "seconds": found.seconds,
                }
            )
    return pl.DataFrame(rows).sort(f"ndcg@{_K}", descending=True)


def trials_figure(trials: pl.DataFrame) -> Figure:
    """Plot NDCG by regularisation, with one line for each size."""
    figure = Figure(figsize=(9.0, 3.0), layout="constrained")
    axes = figure.subplots()
    for (size,), rows in trials.sort("embedding_size", "regularization").group_by(
        "embedding_size", maintain_order=True
    ):
        axes.plot(rows["regularization"], rows[f"ndcg@{_K}"], marker="o", label=f"{size} dimensions")
    axes.set(title="Held-out quality", xlabel="regularization", ylabel=f"NDCG@{_K}", xscale="log")
    axes.legend()
    return figure


def shape_figure(data: TrialData) -> Figure:
    """Plot the items on their first two principal components, with the largest departments in colour."""
    split = time_split(data.interactions, held_out_share=data.settings.held_out_share)
    items_ID = train(split.train, data.settings).item_embeddings
    centred_ID = items_ID - items_ID.mean(axis=0)
    _, _, directions_DD = np.linalg.svd(centred_ID, full_matrices=False)
    points_I2 = centred_ID @ directions_DD[:2].T
    groups = _groups(data.catalogue, list(split.train.items))
    figure = Figure(figsize=(9.0, 6.0), layout="constrained")
    axes = figure.subplots()
    shown = [name for name in groups.value_counts(sort=True)[groups.name] if name != "other"][:_COLOURED]
    rest = ~groups.is_in(shown).to_numpy()
    axes.scatter(points_I2[rest, 0], points_I2[rest, 1], s=3, color="lightgray", label="other")
    for name in shown:
        own_I2 = points_I2[(groups == name).to_numpy()]
        axes.scatter(own_I2[:, 0], own_I2[:, 1], s=4, label=name)
    axes.set(title="Items, first two principal components")
    axes.legend(markerscale=3, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _groups(catalogue: pl.DataFrame, items: list[str]) -> pl.Series:
    """Return each item's department, else its category, else `other`."""
    ids = pl.DataFrame({columns.ITEM_ID: items}, schema={columns.ITEM_ID: pl.String})
    if catalogue.is_empty():
        return pl.repeat("other", len(items), eager=True).alias("group")
    named = ids.join(catalogue, on=columns.ITEM_ID, how="left", maintain_order="left")
    return named.select(
        pl.coalesce(columns.DEPARTMENT, columns.CATEGORY, pl.lit("other")).alias("group")
    ).to_series()
