"""The protocol for items without a past: whole items held out, ranked among all items and among themselves.

An item is new if its first event is in the held-out days. Its pairs with users that the training part knows are the
truth. How a new item is scored is in `embeddings.cold_items`; splits of known items are in `held_out`.
Shapes: U users, K known and N new items, I = K + N, D embedding_size.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
import torch
from torch import Tensor

from recsys_assets import columns
from recsys_assets.embeddings.components import ScoreUsers
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.errors import NothingHeldOutError
from recsys_assets.evaluation.held_out import (
    Split,
    by_item_scores,
    entries_where,
    rank,
    time_split,
    without_pairs_of,
)
from recsys_assets.evaluation.metrics import user_metrics
from recsys_assets.storage.arrays import NO_ITEM, Int64
from recsys_assets.storage.string_table import Vocabulary

LIST, DEPTH = 20, 50
"""Places of NDCG, and of recall."""
MOST_USERS = 5_000
"""Users ranked; more are sampled."""


@dataclass(frozen=True, kw_only=True)
class ColdSplit:
    """Known pairs to train on, and later ones with known and new items."""

    known: InteractionMatrix
    """The training part: K items."""
    among_all: Split
    """The same pairs, and all later ones new to their user, over all I items."""
    among_new: Split
    """The same pairs, and the later ones with new items."""
    known_nums: Int64
    """Place of each known item among all, (K,), ascending."""
    new_nums: Int64
    """Place of each new item among all, (N,), ascending."""
    first_day_N: Int64
    """Day of each new item's first event, days since 1970-01-01, (N,)."""
    first_held_out_day: date
    """Nothing before it is held out, nothing from it on trains."""

    def new_ids(self) -> list[str]:
        """Return the ids of the new items, in their order."""
        return [self.among_all.train.items.id(int(num)) for num in self.new_nums]


@dataclass(frozen=True, kw_only=True)
class ColdFigures:
    """Quality of new items' vectors on held-out items."""

    new_items: int
    """Items whose first event is held out. Below 100, recall at 50 says little."""
    new_pairs: int
    """Held-out pairs of known users with new items."""
    new_users: int
    """Users with such a pair who were ranked."""
    recall50_new: float
    """Mean share of a user's new items among the best 50 new ones."""
    ndcg20_new: float
    """The same ranking's NDCG at 20."""
    recall50_newest: float
    """Recall at 50 of "newest first" by the day of the first event, which nobody knows yet at the split."""
    ndcg20_newest: float
    """NDCG at 20 of "newest first"."""
    ndcg20_all: float
    """NDCG at 20 among all items, truth of known and new items."""
    ndcg20_without: float
    """The same where the model leaves new items out."""
    recall50_new_among_all: float
    """Mean share of a user's new items among the best 50 of all items."""

    @property
    def recall_ratio(self) -> float:
        """Return recall at 50 over that of "newest first"; infinite where that is 0."""
        return self.recall50_new / self.recall50_newest if self.recall50_newest else float("inf")


def hold_out_new_items(interactions: pl.LazyFrame, *, held_out_share: float) -> ColdSplit:
    """Split by time as `held_out.time_split`, and keep the items that come in the held-out days.

    Raises:
        NothingHeldOutError: too few days, nothing held out of known items, or no known user touches a new item.
    """
    cut = time_split(interactions, held_out_share=held_out_share).first_held_out_day
    day = pl.col(columns.TIMESTAMP).dt.date()
    return _split(interactions.filter(day < cut), interactions.filter(day >= cut), cut)


def _split(before: pl.LazyFrame, later: pl.LazyFrame, cut: date) -> ColdSplit:
    """Build the split from the interactions before and from the cut.

    Raises:
        NothingHeldOutError: nothing is held out, or no known user touches a new item.
    """
    known = InteractionMatrix.from_interactions(before)
    day = pl.col(columns.TIMESTAMP).dt.date().to_physical()
    came = later.filter(pl.col(columns.WEIGHT) > 0).group_by(columns.ITEM_ID).agg(day.min()).collect()
    first_days = dict(came.iter_rows())
    items = Vocabulary.from_strings([*known.items, *first_days])
    known_nums = items.nums(list(known.items)).astype(np.int64)
    new_nums = np.setdiff1d(np.arange(len(items)), known_nums)
    train = InteractionMatrix.from_interactions(before, users=known.users, items=items)
    truth = without_pairs_of(
        train, InteractionMatrix.from_interactions(later, users=known.users, items=items), cut
    )
    of_new = np.isin(truth.item_nums, new_nums)
    if not of_new.any():
        raise NothingHeldOutError(
            f"no user known before {cut} touches one of the {len(new_nums)} items that are new from {cut} on"
        )
    return ColdSplit(
        known=known,
        among_all=Split(train=train, truth=truth),
        among_new=Split(train=train, truth=entries_where(truth, of_new)),
        known_nums=known_nums,
        new_nums=new_nums,
        first_day_N=np.asarray([first_days[items.id(int(num))] for num in new_nums], dtype=np.int64),
        first_held_out_day=cut,
    )


def over_items(score: ScoreUsers, given: Vocabulary, wanted: Vocabulary) -> ScoreUsers:
    """Return the scores of the items `wanted` from those of the items `given`; -inf where an item has none."""
    places = given.nums(list(wanted)).astype(np.int64)
    there, from_places = torch.from_numpy(places != NO_ITEM), torch.from_numpy(places[places != NO_ITEM])

    def found(user_nums: Int64) -> Tensor:
        scores_RI = torch.full((len(user_nums), len(wanted)), -torch.inf)
        scores_RI[:, there] = score(user_nums)[:, from_places]
        return scores_RI

    return found


def measure_cold(split: ColdSplit, score: ScoreUsers, *, seed: int = 0) -> ColdFigures:
    """Rank all items and the new ones alone by `score`, beside "newest first".

    Args:
        split: the held-out items.
        score: maps users of `split.known` to scores of all items.
        seed: draws the users where there are more than `MOST_USERS`.
    """
    all_users = split.among_all.sample_users(most_users=MOST_USERS, seed=seed)
    new_users = split.among_new.sample_users(most_users=MOST_USERS, seed=seed)
    newest_I = np.zeros(len(split.among_all.train.items))
    newest_I[split.new_nums] = split.first_day_N - split.first_day_N.min()
    only_new, newest = _among(score, split.known_nums), _among(by_item_scores(newest_I), split.known_nums)
    return ColdFigures(
        new_items=len(split.new_nums),
        new_pairs=split.among_new.truth.entries,
        new_users=len(new_users),
        recall50_new=_mean(split.among_new, new_users, only_new, "recall", k=DEPTH),
        ndcg20_new=_mean(split.among_new, new_users, only_new, "ndcg", k=LIST),
        recall50_newest=_mean(split.among_new, new_users, newest, "recall", k=DEPTH),
        ndcg20_newest=_mean(split.among_new, new_users, newest, "ndcg", k=LIST),
        ndcg20_all=_mean(split.among_all, all_users, score, "ndcg", k=LIST),
        ndcg20_without=_mean(split.among_all, all_users, _among(score, split.new_nums), "ndcg", k=LIST),
        recall50_new_among_all=_mean(split.among_new, new_users, score, "recall", k=DEPTH),
    )


def _among(score: ScoreUsers, others: Sequence[int] | Int64) -> ScoreUsers:
    """Score as before, without the items `others`."""
    left_out = torch.from_numpy(np.asarray(others, dtype=np.int64))

    def found(user_nums: Int64) -> Tensor:
        scores_RI = score(user_nums)
        scores_RI[:, left_out] = -torch.inf
        return scores_RI

    return found


def _mean(split: Split, users: Int64, score: ScoreUsers, metric: str, *, k: int) -> float:
    return float(user_metrics(rank(split.train, users, score, k=k), split.truth, k=k)[metric].mean())
