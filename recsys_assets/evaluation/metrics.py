"""Ranking metrics, one value a user, and their mean with a bootstrap interval.

Definitions (T: the user's held-out items, hits: those among the best k):
recall = hits / |T|;  hit_rate = 1 if any hit;  mrr = 1 / rank of the first hit;
ndcg = Σ_hits 1/log2(rank + 1) over the same sum for a list that starts with all of T, binary relevance.
Users without held-out items are not counted. Over all users: coverage = share of the catalogue that anyone is
recommended;  novelty = mean of -log2(share of training users who have the item) over all recommendations.
"""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.evaluation.ranking import Ranking

Values = npt.NDArray[np.float64]

Name = TypeVar("Name")

BOOTSTRAP_ROUNDS = 1000
_BLOCK = 50


def user_metrics(ranking: Ranking, truth: InteractionMatrix, *, k: int) -> dict[str, Values]:
    """`ndcg`, `recall`, `hit_rate` and `mrr` at k of each ranked user, (R,)."""
    hits_Rk = _hits(ranking, truth)[:, :k]
    sizes_R = np.diff(truth.indptr)[ranking.user_nums]
    discounts_k = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate([[0], np.cumsum(discounts_k)])
    any_hit_R = hits_Rk.any(axis=1)
    return {
        "ndcg": (hits_Rk @ discounts_k) / ideal[np.minimum(sizes_R, k)],
        "recall": hits_Rk.sum(axis=1) / sizes_R,
        "hit_rate": any_hit_R.astype(np.float64),
        "mrr": np.where(any_hit_R, 1 / (hits_Rk.argmax(axis=1) + 1), 0.0),
    }


def catalogue_metrics(ranking: Ranking, train: InteractionMatrix, *, k: int) -> dict[str, float]:
    """`coverage` and `novelty` at k over all ranked users."""
    shown = ranking.items_Rk[:, :k]
    shown = shown[shown >= 0]
    users_I = np.bincount(train.item_nums, minlength=len(train.items))
    return {
        "coverage": len(np.unique(shown)) / len(train.items),
        "novelty": float(-np.log2(np.maximum(users_I[shown], 1) / len(train.users)).mean()),
    }


def mean_intervals(values: dict[Name, Values], *, seed: int) -> dict[Name, tuple[float, float, float]]:
    """Of each metric the mean over users and its 95 % percentile-bootstrap interval: (value, low, high).

    A round counts each user as often as a Poisson(1) draw says, which is resampling with replacement but for
    the round's size (Chamandy et al. 2012); all metrics share the draws. Blocks of rounds bound the memory.

    Args:
        values: metric -> one value a user, (R,), the same R users.
        seed: of the draws.
    """
    values_RM = np.column_stack(list(values.values()))
    rng = np.random.default_rng(seed)
    means = []
    for _ in range(BOOTSTRAP_ROUNDS // _BLOCK):
        times_BR = rng.poisson(1.0, (_BLOCK, len(values_RM))).astype(np.float64)
        means.append(times_BR @ values_RM / np.maximum(times_BR.sum(axis=1, keepdims=True), 1))
    low_M, high_M = np.quantile(np.concatenate(means), [0.025, 0.975], axis=0)
    whole_M = values_RM.mean(axis=0)
    # Summation order may put a constant's mean one bit outside its own interval.
    low_M, high_M = np.minimum(low_M, whole_M), np.maximum(high_M, whole_M)
    return {name: (float(whole_M[m]), float(low_M[m]), float(high_M[m])) for m, name in enumerate(values)}


def _hits(ranking: Ranking, truth: InteractionMatrix) -> npt.NDArray[np.bool_]:
    """(R, k): whether each recommended item is held out for its user."""
    items = len(truth.items)
    wanted = truth.user_nums().astype(np.int64) * items + truth.item_nums
    shown_Rk = ranking.user_nums[:, None] * items + ranking.items_Rk
    at = np.searchsorted(wanted, shown_Rk)
    found: npt.NDArray[np.bool_] = (wanted[np.minimum(at, len(wanted) - 1)] == shown_Rk) & (
        ranking.items_Rk >= 0
    )
    return found
