"""Splits of the interactions into a training and a held-out part: by time without leakage, or at random."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from recsys_assets import columns
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.errors import NothingHeldOutError, TrainingDataError
from recsys_assets.storage.arrays import Bools, Int64


@dataclass(frozen=True, kw_only=True)
class Split:
    """The training part, and the pairs that its users touch for the first time in the held-out part."""

    train: InteractionMatrix
    """The pairs that models are trained on."""
    truth: InteractionMatrix
    """Held-out pairs of users and items that `train` knows, without `train`'s pairs. Same vocabularies."""

    def users(self) -> Int64:
        """Return the numbers of the users with held-out pairs, ascending."""
        return np.flatnonzero(np.diff(self.truth.indptr))

    def sample_users(self, *, most_users: int, seed: int) -> Int64:
        """Return users with held-out pairs, ascending: all, or `most_users` drawn by `seed` where there are more."""
        users = self.users()
        if len(users) <= most_users:
            return users
        return np.sort(np.random.default_rng(seed).choice(users, most_users, replace=False))


@dataclass(frozen=True, kw_only=True)
class TimeSplit(Split):
    """A split at a day."""

    first_held_out_day: date
    """Everything before it trains, everything from it on is held out."""


def time_split(interactions: pl.LazyFrame, *, held_out_share: float) -> TimeSplit:
    """Hold out the last `held_out_share` of the days that have an event (at least one, never all).

    Raises:
        NothingHeldOutError: fewer than two days, or nothing new is held out for any known user.
    """
    day = pl.col(columns.TIMESTAMP).dt.date()
    days = interactions.select(day.unique().sort()).collect().to_series()
    if len(days) < 2:  # noqa: PLR2004  one day to train on and one to hold out
        raise NothingHeldOutError(f"{len(days)} day(s) with interactions; a time split needs at least 2")
    held_out = min(max(1, round(len(days) * held_out_share)), len(days) - 1)
    cut = days[len(days) - held_out]
    train = InteractionMatrix.from_interactions(interactions.filter(day < cut))
    later = InteractionMatrix.from_interactions(
        interactions.filter(day >= cut), users=train.users, items=train.items
    )
    return TimeSplit(train=train, first_held_out_day=cut, truth=without_pairs_of(train, later, cut))


def without_pairs_of(train: InteractionMatrix, later: InteractionMatrix, cut: date) -> InteractionMatrix:
    """Return `later` without the pairs that `train` has, both over the same vocabularies.

    Raises:
        NothingHeldOutError: nothing is left.
    """
    items = len(train.items)
    known = train.user_nums().astype(np.int64) * items + train.item_nums
    pairs = later.user_nums().astype(np.int64) * items + later.item_nums
    new = ~np.isin(pairs, known, kind="sort")
    if not new.any():
        raise NothingHeldOutError(
            f"no user known before {cut} touches a known item for the first time from {cut} on"
        )
    return entries_where(later, new)


def random_split(matrix: InteractionMatrix, *, held_out_share: float, seed: int) -> Split:
    """Hold out pairs at random, each with the same chance: only for data without time.

    Raises:
        TrainingDataError: too few pairs for both parts.
    """
    held_out = np.random.default_rng(seed).random(matrix.entries) < held_out_share
    if held_out.all() or not held_out.any():
        raise TrainingDataError(f"{matrix.entries} pairs are too few to hold {held_out_share:.0%} out")
    return Split(train=entries_where(matrix, ~held_out), truth=entries_where(matrix, held_out))


def entries_where(matrix: InteractionMatrix, chosen: Bools) -> InteractionMatrix:
    """Return the matrix with the chosen entries only, over the same vocabularies; `chosen` is (n,)."""
    counts = np.bincount(matrix.user_nums()[chosen], minlength=len(matrix.users))
    return InteractionMatrix(
        users=matrix.users,
        items=matrix.items,
        indptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        item_nums=matrix.item_nums[chosen],
        weights=matrix.weights[chosen],
        last_day=matrix.last_day[chosen],
    )
