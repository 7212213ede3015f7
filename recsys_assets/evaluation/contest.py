"""A contest of models on one split: the scores of all components on the items that can matter, ranked together.

Of each user only a pool of items is looked at: the best of every component, the most popular by every half-life, and
the held-out ones. A blend's best items are among them but for rare exceptions, and ranking a pool takes a hundredth
of the time. Shapes: R users, P items of a pool, I items.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from recsys_assets.embeddings.components import FittedComponent, ScoreUsers, own_weights
from recsys_assets.embeddings.fit_model import spread
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix, entries_of
from recsys_assets.embeddings.model_spec import TIE_BREAK, ModelSpec
from recsys_assets.embeddings.recency import log_popularity
from recsys_assets.evaluation.held_out import Split
from recsys_assets.storage.arrays import NO_ITEM, Float64, Int64

K: Final = 20
"""Length of the lists compared."""
_POOLED: Final = 100
"""Best items of each component and half-life in a user's pool."""
_SCORES_AT_ONCE: Final = 1 << 24
"""64 MB."""

Variant = tuple[str, float | None]
"""A component and the half-life of a user's own wishes."""


@dataclass(frozen=True, kw_only=True)
class Contest:
    """Scores of some users' pools, in units of their spread."""

    scores: Mapping[Variant, Tensor]
    """Component and own half-life -> (R, P) float32; None alone where the component knows no own recency."""
    priors: Mapping[float, Tensor]
    """Half-life of popularity -> log popularity, (R, P) float32; -inf where a pool ends."""
    wanted_RP: Tensor
    """True for the held-out items, bool."""
    ideal_R: Tensor
    """The best DCG possible."""

    def ndcg(self, spec: ModelSpec) -> Float64:
        """Return NDCG at 20 of each user, (R,), for a model whose parts are here."""
        return self.ndcg_of(self.blended(spec), spec.prior_half_life_days, spec.prior_weight)

    def blended(self, spec: ModelSpec) -> Tensor:
        """Return the score of the components together, (R, P), without the prior."""
        total = torch.zeros_like(self.wanted_RP, dtype=torch.float32)
        for name, share in spec.shares.items():
            if name != "popular":
                scores = self.scores.get((name, spec.own_half_life_days))
                total += share * (self.scores[name, None] if scores is None else scores)
        return total

    def ndcg_of(self, blended_RP: Tensor, half_life_days: float, weight: float) -> Float64:
        """Return NDCG at 20 of each user, (R,), for components' scores and a prior."""
        # the -inf of the prior ends every pool
        total_RP = torch.add(blended_RP, self.priors[half_life_days], alpha=weight + TIE_BREAK)
        best_Rk = torch.topk(total_RP, min(K, total_RP.shape[1]), dim=1).indices
        hits_Rk = self.wanted_RP.gather(1, best_Rk).double()
        discounts_k = 1 / torch.log2(torch.arange(2, 2 + hits_Rk.shape[1], dtype=torch.float64))
        found: Float64 = ((hits_Rk @ discounts_k) / self.ideal_R).numpy()
        return found


def contest(
    split: Split,
    users: Int64,
    fitted: Mapping[str, FittedComponent],
    *,
    own_half_lives: Mapping[str, tuple[float | None, ...]],
    half_lives: tuple[float, ...],
    categories_I: Int64 | None,
) -> Contest:
    """Score the pools of some users with held-out items.

    Args:
        split: the pairs that were fitted to, and the held-out ones.
        users: R user numbers.
        fitted: the components, by name.
        own_half_lives: component -> half-lives of a user's own wishes to try.
        half_lives: half-lives of popularity to try.
        categories_I: code of each item's category, as for `log_popularity`.
    """
    variants: dict[Variant, tuple[ScoreUsers, float]] = {}
    for name, one in fitted.items():
        for own in own_half_lives[name]:
            score = one.scores(split.train, own_weights(split.train, own))
            variants[name, own] = (score, spread(score, split.train))
    priors = {
        days: torch.from_numpy(
            log_popularity(split.train, half_life_days=days, categories_I=categories_I).astype(np.float32)
        )
        for days in half_lives
    }
    items = len(split.train.items)
    size = max(1, _SCORES_AT_ONCE // (items * (len(variants) + 2)))
    chunks = [
        _pooled(split, users[first : first + size], variants, priors) for first in range(0, len(users), size)
    ]
    width = max(pool.shape[1] for pool, _ in chunks)
    pool_RP = torch.cat([_padded(pool, width, NO_ITEM) for pool, _ in chunks])
    places_RP = pool_RP.clamp(min=0)
    ended_RP = pool_RP == NO_ITEM
    wanted_RP = _wanted(split.truth, users, pool_RP)
    sizes_R = torch.from_numpy(np.diff(split.truth.indptr)[users])
    discounts = 1 / torch.log2(torch.arange(2, K + 2, dtype=torch.float64))
    return Contest(
        scores={
            variant: torch.cat([_padded(scores[place], width, 0.0) for _, scores in chunks])
            for place, variant in enumerate(variants)
        },
        priors={
            days: prior_I[places_RP].masked_fill(ended_RP, -torch.inf) for days, prior_I in priors.items()
        },
        wanted_RP=wanted_RP,
        ideal_R=discounts.cumsum(0)[sizes_R.clamp(max=K) - 1],
    )


def _pooled(
    split: Split,
    users: Int64,
    variants: Mapping[Variant, tuple[ScoreUsers, float]],
    priors: Mapping[float, Tensor],
) -> tuple[Tensor, list[Tensor]]:
    """Return the pools of a chunk of users, (R, P) with `NO_ITEM` at the end, and each variant's scores of them."""
    items = len(split.train.items)
    seen = tuple(map(torch.from_numpy, entries_of(split.train.seen, users)))
    marked_RI = torch.zeros(len(users), items, dtype=torch.bool)
    truth = tuple(map(torch.from_numpy, entries_of(split.truth, users)))
    marked_RI[truth] = True
    kept = min(_POOLED, items)
    scored = []
    for score, of_it in variants.values():
        scores_RI = score(users) / of_it
        scored.append(scores_RI)
        masked_RI = scores_RI.clone()
        masked_RI[seen] = -torch.inf
        marked_RI.scatter_(1, torch.topk(masked_RI, kept, dim=1, sorted=False).indices, value=True)
    for prior_I in priors.values():
        masked_RI = prior_I.repeat(len(users), 1)
        masked_RI[seen] = -torch.inf
        marked_RI.scatter_(1, torch.topk(masked_RI, kept, dim=1, sorted=False).indices, value=True)
    marked_RI[seen] = False
    row_n, item_n = marked_RI.nonzero(as_tuple=True)
    counts_R = marked_RI.sum(1)
    place_n = torch.arange(len(row_n)) - torch.repeat_interleave(counts_R.cumsum(0) - counts_R, counts_R)
    pool_RP = torch.full((len(users), int(counts_R.max())), NO_ITEM, dtype=torch.int64)
    pool_RP[row_n, place_n] = item_n
    return pool_RP, [scores_RI.gather(1, pool_RP.clamp(min=0)) for scores_RI in scored]


def _padded(rows_RP: Tensor, width: int, value: float) -> Tensor:
    return torch.nn.functional.pad(rows_RP, (0, width - rows_RP.shape[1]), value=value)


def _wanted(truth: InteractionMatrix, users: Int64, pool_RP: Tensor) -> Tensor:
    """Mark the held-out items of each pool, (R, P)."""
    items = len(truth.items)
    row_n, item_n = entries_of(truth, users)
    wanted = np.append(row_n.astype(np.int64) * items + item_n, np.iinfo(np.int64).max)
    cells_RP = (torch.arange(len(users))[:, None] * items + pool_RP).numpy()
    cells_RP = np.where(pool_RP.numpy() == NO_ITEM, -1, cells_RP)
    return torch.from_numpy(wanted[np.searchsorted(wanted, cells_RP)] == cells_RP)
