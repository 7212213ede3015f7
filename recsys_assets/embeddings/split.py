"""One global time split: everything before a day trains, everything from it on is held out. No leakage."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_assets import columns
from recsys_assets.embeddings.matrix import InteractionMatrix
from recsys_assets.errors import TrainingDataError


@dataclass(frozen=True, kw_only=True)
class Split:
    """The training part, and what its users touched for the first time afterwards."""

    train: InteractionMatrix
    """Everything before `first_held_out_day`."""
    first_held_out_day: date
    """Where the cut is."""
    truth: InteractionMatrix
    """Held-out pairs of users and items that `train` knows, without `train`'s pairs. Same vocabularies."""

    def users(self) -> npt.NDArray[np.int64]:
        """The users with anything to find, ascending."""
        return np.flatnonzero(np.diff(self.truth.indptr))


def time_split(interactions: pl.LazyFrame, *, held_out_share: float) -> Split:
    """Hold out the last `held_out_share` of the days that have an event (at least one, never all).

    Raises:
        TrainingDataError: fewer than two days, or nothing new is held out for any known user.
    """
    day = pl.col(columns.TIMESTAMP).dt.date()
    days = interactions.select(day.unique().sort()).collect().to_series()
    if len(days) < 2:  # noqa: PLR2004  one day to train on and one to hold out
        raise TrainingDataError(f"{len(days)} day(s) with interactions; a time split needs at least 2")
    held_out = min(max(1, round(len(days) * held_out_share)), len(days) - 1)
    cut = days[len(days) - held_out]
    train = InteractionMatrix.from_interactions(interactions.filter(day < cut))
    later = InteractionMatrix.from_interactions(
        interactions.filter(day >= cut), users=train.users, items=train.items
    )
    return Split(train=train, first_held_out_day=cut, truth=without_pairs_of(train, later, cut))


def without_pairs_of(train: InteractionMatrix, later: InteractionMatrix, cut: date) -> InteractionMatrix:
    """`later` without the pairs that `train` has, both over the same vocabularies.

    Raises:
        TrainingDataError: nothing is left.
    """
    items = len(train.items)
    known = train.user_nums().astype(np.int64) * items + train.item_nums
    later_users = later.user_nums()
    new = ~np.isin(later_users.astype(np.int64) * items + later.item_nums, known, kind="sort")
    if not new.any():
        raise TrainingDataError(
            f"no user of before {cut} touches a known item for the first time from {cut} on"
        )
    counts = np.bincount(later_users[new], minlength=len(train.users))
    return InteractionMatrix(
        users=train.users,
        items=train.items,
        indptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        item_nums=later.item_nums[new],
        weights=later.weights[new],
        last_day=later.last_day[new],
    )
