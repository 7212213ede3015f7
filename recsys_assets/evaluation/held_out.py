"""Held-out interactions: split off by time or at random, and the best k unseen items of many users ranked.

Items that a user has in the training part are never ranked. Equal scores are ordered by popularity in the training
part, then by item number, so a ranking never depends on how a sort happened to run.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from torch import Tensor

from recsys_assets import columns
from recsys_assets.embeddings.components import ScoreUsers
from recsys_assets.embeddings.interaction_matrix import (
    InteractionMatrix,
    SeenPairs,
    by_popularity,
    entries_of,
    popularity,
)
from recsys_assets.errors import NothingHeldOutError, NoWishError, TrainingDataError
from recsys_assets.storage.arrays import NO_ITEM, Bools, Float32, Int64
from recsys_assets.storage.string_table import Vocabulary
from recsys_assets.training_settings import TrainingSettings

_ENOUGH_USERS: Final = 300
"""With fewer users in one split, earlier splits are added."""
_MOST_SPLITS: Final = 3


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


def first_held_out(interactions: pl.LazyFrame, *, held_out_share: float) -> date:
    """Return the first of the last `held_out_share` of the days that have an event (at least one, never all).

    Raises:
        NothingHeldOutError: fewer than two days.
    """
    days = interactions.select(pl.col(columns.TIMESTAMP).dt.date().unique().sort()).collect().to_series()
    if len(days) < 2:  # noqa: PLR2004  one day to train on and one to hold out
        raise NothingHeldOutError(f"{len(days)} day(s) with interactions; a time split needs at least 2")
    held_out = min(max(1, round(len(days) * held_out_share)), len(days) - 1)
    found: date = days[len(days) - held_out]
    return found


def time_split(
    interactions: pl.LazyFrame, *, held_out_share: float, hides: pl.Expr | None = None
) -> TimeSplit:
    """Hold out the last `held_out_share` of the days that have an event (at least one, never all).

    The held-out pairs are wishes for items that the user has not seen in the training part. `hides` is true for
    the events that count as seen, as for `InteractionMatrix.from_interactions`.

    Raises:
        NothingHeldOutError: fewer than two days, or nothing new is held out for any known user.
    """
    day = pl.col(columns.TIMESTAMP).dt.date()
    cut = first_held_out(interactions, held_out_share=held_out_share)
    try:
        train = InteractionMatrix.from_interactions(interactions.filter(day < cut), hides=hides)
        later = InteractionMatrix.from_interactions(
            interactions.filter(day >= cut), users=train.users, items=train.items
        )
    except NoWishError as error:
        raise NothingHeldOutError(f"no event before {cut}, or none from it on, is a wish") from error
    return TimeSplit(train=train, first_held_out_day=cut, truth=without_pairs_of(train, later, cut))


def validation_splits(
    interactions: pl.LazyFrame, settings: TrainingSettings, *, hides: pl.Expr | None = None
) -> Iterator[TimeSplit]:
    """Yield splits of the days before the evaluation's held-out ones, until there are users enough to compare on.

    Raises:
        NothingHeldOutError: too few days, or nothing new is held out in the first.
    """
    share = settings.held_out_share
    cut = first_held_out(interactions, held_out_share=share)
    users = 0
    for number in range(_MOST_SPLITS):
        before = interactions.filter(pl.col(columns.TIMESTAMP).dt.date() < cut)
        try:
            split = time_split(before, held_out_share=share, hides=hides)
        except NothingHeldOutError:
            if number == 0:
                raise
            return
        yield split
        users, cut = users + len(split.users()), split.first_held_out_day
        if users >= _ENOUGH_USERS:
            return


def without_pairs_of(train: InteractionMatrix, later: InteractionMatrix, cut: date) -> InteractionMatrix:
    """Return `later` without the pairs that are seen in `train`, both over the same vocabularies.

    Raises:
        NothingHeldOutError: nothing is left.
    """
    items, seen = len(train.items), train.seen
    known = np.repeat(np.arange(len(train.users)), np.diff(seen.indptr)) * items + seen.item_nums
    pairs = later.user_nums().astype(np.int64) * items + later.item_nums
    new = np.append(known, NO_ITEM)[np.searchsorted(known, pairs)] != pairs  # both ascend
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


def sampled_users(split: Split, share: float, *, seed: int) -> Split:
    """Return the split with a share of the users only; the items stay."""
    if share >= 1:
        return split
    count = max(1, round(share * len(split.train.users)))
    chosen = np.sort(np.random.default_rng(seed).choice(len(split.train.users), count, replace=False))
    users = Vocabulary.from_strings(split.train.users[int(num)] for num in chosen)
    return Split(train=rows_of(split.train, chosen, users), truth=rows_of(split.truth, chosen, users))


def rows_of(matrix: InteractionMatrix, chosen: Int64, users: Vocabulary) -> InteractionMatrix:
    """Return the matrix with the rows of the users with these numbers, ascending, only; `users` holds their ids."""
    places, starts = _places(matrix.indptr, chosen)
    others = matrix.others_seen
    if others is not None:
        seen_places, seen_starts = _places(others.indptr, chosen)
        others = SeenPairs(indptr=seen_starts, item_nums=others.item_nums[seen_places])
    return replace(
        matrix,
        users=users,
        indptr=starts,
        item_nums=matrix.item_nums[places],
        weights=matrix.weights[places],
        last_day=matrix.last_day[places],
        others_seen=others,
    )


def _places(indptr: Int64, chosen: Int64) -> tuple[Int64, Int64]:
    """Return the places of the entries of the chosen rows, and where each row starts among them."""
    lengths = np.diff(indptr)[chosen]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    places = np.arange(starts[-1]) + np.repeat(indptr[chosen] - starts[:-1], lengths)
    return places, starts


_CHUNK_SCORES = 1 << 21
"""Scores computed at once."""


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """The recommended items of some users."""

    user_nums: Int64
    """R users."""
    items_Rk: Int64
    """Item numbers, best first; `NO_ITEM` where a user has fewer than k unseen items."""


def rank(train: InteractionMatrix, user_nums: Int64, score: ScoreUsers, *, k: int) -> Ranking:
    """Return the k best items that each of `user_nums` has not seen in `train`, chunk by chunk."""
    items = len(train.items)
    best = min(k, items)
    popular_rank = np.empty(items, dtype=np.int64)
    popular_rank[by_popularity(popularity(train, half_life_days=None))] = np.arange(items)
    tie_key_I = torch.from_numpy(items - 1 - popular_rank)
    found = np.full((len(user_nums), k), NO_ITEM, dtype=np.int64)
    for rows in _chunks(len(user_nums), items):
        scores_RI = score(user_nums[rows])
        row_n, item_n = map(torch.from_numpy, entries_of(train.seen, user_nums[rows]))
        scores_RI[row_n, item_n] = -torch.inf
        found[rows, :best] = _best_items(scores_RI, tie_key_I, best).numpy()
    return Ranking(user_nums=user_nums, items_Rk=found)


def _best_items(scores_RI: Tensor, tie_key_I: Tensor, k: int) -> Tensor:
    """Return the k best items of each row, (R, k), equal scores by descending `tie_key_I`; -inf gives `NO_ITEM`.

    The exact order is found among the items that reach a row's k-th score: few, but for equal scores.
    """
    least_R1 = torch.topk(scores_RI, k, dim=1, sorted=False).values.amin(1, keepdim=True)
    row_n, item_n = (scores_RI >= least_R1).nonzero(as_tuple=True)
    counts_R = torch.bincount(row_n, minlength=len(scores_RI))
    place_n = torch.arange(len(row_n)) - torch.repeat_interleave(counts_R.cumsum(0) - counts_R, counts_R)
    shape = (len(scores_RI), int(counts_R.max()))
    keys_RC = torch.full(shape, torch.iinfo(torch.int64).min)
    items_RC = torch.full(shape, NO_ITEM)
    keys_RC[row_n, place_n] = _ordered(scores_RI[row_n, item_n]) + tie_key_I[item_n]
    items_RC[row_n, place_n] = item_n
    keys_Rk, places_Rk = torch.topk(keys_RC, k, dim=1)
    items_Rk = items_RC.gather(1, places_Rk)
    items_Rk[keys_Rk < _SEEN_BELOW] = NO_ITEM
    return items_Rk


def by_factors(user_embeddings: Float32, item_embeddings: Float32) -> ScoreUsers:
    """Score by the inner products of a factorisation."""
    users_UD, items_DI = torch.from_numpy(user_embeddings), torch.from_numpy(item_embeddings).T
    return lambda user_nums: users_UD[user_nums] @ items_DI


def by_item_scores(scores_I: npt.NDArray[Any]) -> ScoreUsers:
    """Score the items alike for every user, (I,)."""
    scores = torch.from_numpy(scores_I.astype(np.float32))
    return lambda user_nums: scores.repeat(len(user_nums), 1)


def _ordered(scores_n: Tensor) -> Tensor:
    """Return int64 keys in the order of the float32 scores, with the lower 32 bits free to decide ties.

    A float's bits compare like integers once the negative ones are flipped (they are stored sign-magnitude).
    """
    bits = (scores_n + 0.0).view(torch.int32)  # + 0.0 makes -0.0 equal to 0.0
    return (bits ^ ((bits >> 31) & 0x7FFFFFFF)).long() << 32


_SEEN_BELOW = int(_ordered(torch.tensor([torch.finfo(torch.float32).min]))[0])
"""Smaller keys belong to -inf, the score of a seen item."""


def _chunks(users: int, items: int) -> Iterator[slice]:
    size = max(1, _CHUNK_SCORES // max(1, items))
    return (slice(start, min(start + size, users)) for start in range(0, users, size))
