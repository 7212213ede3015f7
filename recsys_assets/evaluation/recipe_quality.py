"""Both recipes for the same users with held-out items: their lists, the NDCG of each user, and the change of it.

The models are fitted elsewhere (`recipe_comparison`).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from recsys_assets.embeddings.fit_model import FittedModel
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.evaluation import metrics
from recsys_assets.evaluation.evaluated_users import paired_difference
from recsys_assets.evaluation.held_out import rank
from recsys_assets.evaluation.recipe_result import MetricChange
from recsys_assets.evaluation.sample_interval import interval_on_all
from recsys_assets.storage.arrays import NO_ITEM, Float64, Int64

DEPTHS: Final = (10, 20)
"""Lengths of the lists that are measured."""
Models = tuple[FittedModel, FittedModel]
"""Those of the present and of the proposed recipe."""


@dataclass(frozen=True, kw_only=True)
class RankedByBoth:
    """The lists of both recipes for the same users with held-out items. Shapes: R users, k places."""

    users: Int64
    """Their numbers in the truth, R."""
    own: tuple[Int64, Int64]
    """Item numbers of each in its own model's numbering, (R, k) each."""
    here: tuple[Int64, Int64]
    """The same in the truth's numbering; `NO_ITEM` in the place of an item that it does not know."""


def rank_by_both(models: Models, users: Int64) -> RankedByBoth:
    """Return the lists of both models for users with held-out items, given by their numbers in the second."""
    before, after = models
    k = max(DEPTHS)
    ids = [after.matrix.users[num] for num in users.tolist()]
    nums = before.matrix.users.nums(ids).astype(np.int64)
    known = nums >= 0  # a user whom only the corrected days know has no list before
    was_Rk = rank(before.matrix, nums[known], before.score(), k=k).items_Rk
    is_Rk = rank(after.matrix, users[known], after.score(), k=k).items_Rk
    in_after_I = after.matrix.items.nums(list(before.matrix.items)).astype(np.int64)
    here_Rk = np.where(was_Rk == NO_ITEM, NO_ITEM, in_after_I[was_Rk])
    return RankedByBoth(users=users[known], own=(was_Rk, is_Rk), here=(here_Rk, is_Rk))


@dataclass(frozen=True, kw_only=True)
class NdcgOfBoth:
    """NDCG of both recipes for the same R users."""

    ids: list[str]
    """The users' ids, R."""
    before: list[Float64]
    """By the present recipe, at each of `DEPTHS`; (R,) each."""
    after: list[Float64]
    """The same by the proposed one."""

    def differences(self, place: int) -> dict[str, float]:
        """Return the difference of each user at one of the depths."""
        return dict(zip(self.ids, (self.after[place] - self.before[place]).tolist(), strict=True))


def ndcg_of_both(models: Models, ranked: RankedByBoth, truth: InteractionMatrix) -> NdcgOfBoth:
    """Return the NDCG of both models for the ranked users; `truth` holds the items held out."""
    was, now = (
        [metrics.ndcg(lists_Rk[:, :k], ranked.users, truth) for k in DEPTHS] for lists_Rk in ranked.here
    )
    ids = [models[1].matrix.users[num] for num in ranked.users.tolist()]
    return NdcgOfBoth(ids=ids, before=was, after=now)


def diversities(models: Models, tops: list[Int64]) -> tuple[float, float] | None:
    """Return the intra-list diversity of both lists by the present item vectors; None where they have none."""
    before, after = models
    items_IF = before.factorisation.item_embeddings[:, : before.parts.recipe.factor_size]
    norms_I = np.linalg.norm(items_IF, axis=1)
    inverse_I = np.divide(1, norms_I, out=np.zeros_like(norms_I), where=norms_I > 0)
    in_before_I = before.matrix.items.nums(list(after.matrix.items)).astype(np.int64)
    in_its_space = np.where(tops[1] == NO_ITEM, NO_ITEM, in_before_I[tops[1]])
    was, now = (
        metrics.mean_known(metrics.intra_list_diversity(lists_Rk, items_IF, inverse_I))
        for lists_Rk in (tops[0], in_its_space)
    )
    return (was, now) if np.isfinite(was) and np.isfinite(now) else None


def ndcg_change(
    whole: NdcgOfBoth, halves: list[NdcgOfBoth], place: int, *, share: float, seed: int
) -> MetricChange:
    """Return the change of NDCG, with the interval of the one that all users would show.

    Args:
        whole: the users of the sample.
        halves: the same users, each by recipes fitted to the half of the sample that the user is in; none where the
            sample is all users, or both models are one.
        place: the place of the depth in `DEPTHS`.
        share: share of all users in the sample.
        seed: of the bootstrap.
    """
    was_R, is_R = whole.before[place], whole.after[place]
    difference, low, high = paired_difference(was_R, is_R, seed=seed)
    chance = high - low
    if halves:
        of_half = {user: value for half in halves for user, value in half.differences(place).items()}
        of_whole = whole.differences(place)
        both = [user for user in whole.ids if user in of_half]
        sample_R, halves_R = (np.array([of[user] for user in both]) for of in (of_whole, of_half))
        _, low, high = interval_on_all(sample_R, halves_R, share=share, seed=seed)
    return MetricChange(
        metric="ndcg",
        k=DEPTHS[place],
        before=float(was_R.mean()),
        after=float(is_R.mean()),
        difference=difference,
        low=min(low, difference),
        high=max(high, difference),
        allowance=max(0.0, high - low - chance),
    )
