"""The sets that the factorisation is measured on, each split twice: to choose settings and to report.

Also the quality of a model on a split, the same for every model.
"""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_assets import columns
from recsys_assets.benchmarks.synthetic import matrix as synthetic_matrix
from recsys_assets.benchmarks.synthetic import world
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.errors import InputError
from recsys_assets.evaluation.held_out import Split, by_factors, entries_where, random_split, rank, time_split
from recsys_assets.evaluation.metrics import user_metrics
from recsys_assets.interactions.cleaning import clean
from recsys_assets.interactions.wish_rule import WishRule
from recsys_assets.lake.landing import iter_days
from recsys_assets.lake.sources.registry import open_source
from recsys_assets.quality.contract import UTC_MICROSECONDS
from recsys_assets.storage.arrays import Float32

TEST_DATA = "RECSYS_TEST_DATA"
HELD_OUT = 0.2
SYNTHETIC_EVENTS = 5_000_000


@dataclass(frozen=True, kw_only=True)
class BenchmarkSet:
    """One set of interactions."""

    name: str
    """Name in the report."""
    validation: Split
    """Split of the training part of `test`; settings are chosen on it."""
    test: Split
    """Split that is reported."""


def quality(
    train: InteractionMatrix, truth: InteractionMatrix, users_UD: Float32, items_ID: Float32
) -> dict[str, float]:
    """Return the mean `ndcg20` and `recall20` over the users of `truth`, items of `train` left out.

    Shapes: U users, I items of both matrices, D embedding_size.
    """
    users = np.flatnonzero(np.diff(truth.indptr))
    values = user_metrics(rank(train, users, by_factors(users_UD, items_ID), k=20), truth, k=20)
    return {f"{name}20": float(values[name].mean()) for name in ("ndcg", "recall")}


def default_events() -> pl.LazyFrame:
    """Return the embedded default's interactions, cleaned."""
    source = open_source("completejourney")
    found = source.date_range()
    days = pl.date_range(found.first_day, found.last_day, eager=True).to_list()
    with tempfile.TemporaryDirectory(prefix="recsys-landing-") as scratch:
        landed = iter_days(source, days, scratch=Path(scratch))
        return pl.concat([clean(raw, day=day, rule=WishRule()).frame for day, raw in landed]).lazy()


def default_set() -> BenchmarkSet:
    """Return the embedded default: the last 20 % of the days held out, pairs new to the household."""
    events = default_events()
    test = time_split(events, held_out_share=HELD_OUT)
    before = events.filter(pl.col(columns.TIMESTAMP).dt.date() < test.first_held_out_day)
    return BenchmarkSet(name="default", validation=time_split(before, held_out_share=HELD_OUT), test=test)


def default_increment() -> tuple[InteractionMatrix, Split]:
    """Return the default without its last training day, as a matrix, and `default_set`'s test split."""
    events = default_events()
    test = time_split(events, held_out_share=HELD_OUT)
    last = test.first_held_out_day - timedelta(days=1)
    return InteractionMatrix.from_interactions(
        events.filter(pl.col(columns.TIMESTAMP).dt.date() < last)
    ), test


def movielens_set() -> BenchmarkSet:
    """Return MovieLens 1M: a random 20 % held out, seed 0."""
    matrix, _ = pairs_matrix(data_file("movielens_1m_pairs.parquet"))
    return _with_validation("movielens_1m", random_split(matrix, held_out_share=HELD_OUT, seed=0))


def gowalla_set() -> BenchmarkSet:
    """Return Gowalla in its published split."""
    return published_set("gowalla", data_file("gowalla_pairs.parquet"))


def published_set(name: str, file: Path) -> BenchmarkSet:
    """Return the pairs of a Parquet file, split by its column `split`: `train` or `test`."""
    matrix, held_out = pairs_matrix(file)
    test = Split(train=entries_where(matrix, ~held_out), truth=entries_where(matrix, held_out))
    return _with_validation(name, test)


def synthetic_set() -> BenchmarkSet:
    """Return 5 million synthetic events: a random 20 % of the pairs held out."""
    test = random_split(synthetic_matrix(world(SYNTHETIC_EVENTS)), held_out_share=HELD_OUT, seed=0)
    return _with_validation("synthetic_5m", test)


SETS: dict[str, Callable[[], BenchmarkSet]] = {
    "default": default_set,
    "movielens_1m": movielens_set,
    "gowalla": gowalla_set,
    "synthetic_5m": synthetic_set,
}


def available_sets() -> list[str]:
    """Return the names of the sets whose data is here."""
    return [name for name in SETS if TEST_DATA in os.environ or name in {"default", "synthetic_5m"}]


def data_file(name: str) -> Path:
    """Return the path of a file in the folder that `RECSYS_TEST_DATA` names.

    Raises:
        InputError: the variable is unset or the folder lacks the file.
    """
    folder = os.environ.get(TEST_DATA)
    if folder is None:
        raise InputError(f"{TEST_DATA} is not set; set it to the folder that holds {name}")
    if not (Path(folder) / name).is_file():
        raise InputError(
            f"{Path(folder) / name}: no such file; {TEST_DATA} should name the folder that holds it"
        )
    return Path(folder) / name


def pairs_matrix(file: Path) -> tuple[InteractionMatrix, npt.NDArray[np.bool_]]:
    """Return pairs without time as a matrix, and the mask of its entries that a column `split` calls test."""
    frame = pl.read_parquet(file)
    user, item, *rest = frame.columns
    held_out = (pl.col("split") == "test") if "split" in rest else pl.lit(value=False)
    # The weight carries the split through `from_interactions`; every pair then weighs 1.
    events = frame.select(
        pl.col(user).cast(pl.String).alias(columns.USER_ID),
        pl.col(item).cast(pl.String).alias(columns.ITEM_ID),
        pl.when(held_out).then(2.0).otherwise(1.0).cast(pl.Float32).alias(columns.WEIGHT),
        pl.lit(0).cast(UTC_MICROSECONDS).alias(columns.TIMESTAMP),
    ).unique(subset=[columns.USER_ID, columns.ITEM_ID], keep="first", maintain_order=True)
    matrix = InteractionMatrix.from_interactions(events.lazy())
    return replace(matrix, weights=np.ones_like(matrix.weights)), matrix.weights > 1


def _with_validation(name: str, test: Split) -> BenchmarkSet:
    validation = random_split(test.train, held_out_share=HELD_OUT, seed=1)
    return BenchmarkSet(name=name, validation=validation, test=test)
