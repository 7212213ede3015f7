"""Words for a score: its parts by component, and a sentence for each. Made on request only.

Shapes: n items, C components.
"""

from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np

from recsys_assets.embeddings.score_recipe import ScoreRecipe
from recsys_assets.release.load import Release
from recsys_assets.release.taste import Taste
from recsys_assets.rules.engine.item_facts import ItemLookups
from recsys_assets.rules.engine.requests import Request
from recsys_assets.rules.engine.sources import Asker, history_of
from recsys_assets.rules.language.evaluator import Nums
from recsys_assets.storage.arrays import NO_ITEM, Bools, Float64, Int32

Component = Literal["factors", "related", "prior", "new"]
"""A part of the score: the inner product of factors, or for an item without events that of the vector mapped from its
catalogue row (`new`); the related items of the wishes; the recency prior."""
COMPONENTS: Final[tuple[Component, ...]] = get_args(Component)
_FACTORS, _RELATED, _PRIOR, _NEW = range(4)

_WISHES: Final = 300
"""Most recent wishes that a sentence may name."""
_POPULARITY_DAYS: Final = 30.0
"""Half-life of the popularity that strangers get, days; see `embeddings/interaction_matrix`."""
_PERIODS: Final = ((10.0, " this week"), (45.0, " this month"), (400.0, " lately"))
"""Longest half-life in days, and the period that popularity of such a half-life speaks of."""


@dataclass(frozen=True, kw_only=True)
class ScorePart:
    """The part of one component in one item's score."""

    component: Component
    """The component."""
    share: float
    """Its share, 0-1, in what lifts the item above the mean of the list's candidates."""
    text: str
    """The same in words."""


def parts_of_scores(
    release: Release, lookups: ItemLookups, asker: Asker, request: Request, nums: Nums, *, shown: int
) -> list[list[ScorePart]]:
    """Return for each of the ranked candidates `nums` the parts of its score, the main one first.

    Args:
        release: the release that answers.
        lookups: over the same release.
        asker: the scores of the asker; None for a stranger, whose items are the popular ones.
        request: the request.
        nums: the n ranked candidates, best first.
        shown: number of them that are in the list.
    """
    if not len(nums):
        return []
    shares_nC, main_n = _shares(release, asker, nums)
    totals_C = shares_nC[:shown].sum(axis=0)
    words = _Words(release, lookups, asker, request, nums, popular=bool(totals_C.argmax() == _PRIOR))
    found = []
    for place, shares_C in enumerate(shares_nC):
        order = [c for c in np.argsort(-shares_C, kind="stable").tolist() if shares_C[c] > 0]
        found.append(
            [
                ScorePart(
                    component=COMPONENTS[c], share=round(float(shares_C[c]), 4), text=words.text(c, place)
                )
                for c in order or [int(main_n[place])]
            ]
        )
    return found


def _shares(release: Release, asker: Asker, nums: Nums) -> tuple[Float64, Int32]:
    """Return (n, C) the share of each component in what lifts an item above the mean, and (n,) the main component.

    An item below the mean in every component has shares of 0, and its main one is the least below.
    """
    values_nC = np.zeros((len(nums), len(COMPONENTS)))
    if asker is None:
        values_nC[:, _PRIOR] = 1
        return values_nC, np.full(len(nums), _PRIOR, dtype=np.int32)
    rows_nD, size = release.item_embeddings.take(nums, axis=0), release.score.recipe.factor_size
    values_nC[:, _FACTORS] = rows_nD[:, :size] @ asker.x_D[:size]
    if asker.related is not None:
        values_nC[:, _RELATED] = asker.related.at(nums)
    values_nC[:, _PRIOR] = rows_nD[:, size:] @ asker.x_D[size:]
    above_nC = values_nC - values_nC.mean(axis=0, keepdims=True)
    there_nC = np.tile(_used(release.score.recipe, asker), (len(nums), 1))
    new_n = _new(release, nums)
    above_nC[:, _NEW] = above_nC[:, _FACTORS]
    there_nC[new_n, _NEW], there_nC[new_n, _FACTORS] = there_nC[new_n, _FACTORS], False
    main_n = np.where(there_nC, above_nC, -np.inf).argmax(axis=1).astype(np.int32)
    lifts_nC = np.where(there_nC, above_nC.clip(0), 0)
    total_n1 = lifts_nC.sum(axis=1, keepdims=True)
    shares_nC = np.divide(lifts_nC, total_n1, out=np.zeros_like(lifts_nC), where=total_n1 > 0)
    return shares_nC, main_n


def _used(recipe: ScoreRecipe, asker: Taste) -> Bools:
    """Return (C,): whether the asker's scores have each component at all."""
    found_C = np.zeros(len(COMPONENTS), dtype=np.bool_)
    found_C[_FACTORS] = bool(asker.x_D[: recipe.factor_size].any())
    found_C[_RELATED] = asker.related is not None and len(asker.related.nums) > 0
    found_C[_PRIOR] = recipe.prior is not None
    if not found_C.any():
        found_C[_FACTORS] = True
    return found_C


def _new(release: Release, nums: Nums) -> Bools:
    """Return (n,): whether each item has no events."""
    like_items = release.score.like_items
    return np.zeros(len(nums), dtype=np.bool_) if like_items is None else like_items.take(nums) != NO_ITEM


class _Words:
    """Sentences about the candidates of one request."""

    def __init__(
        self,
        release: Release,
        lookups: ItemLookups,
        asker: Asker,
        request: Request,
        nums: Nums,
        *,
        popular: bool,
    ) -> None:
        """Take the candidates, and whether the list is mostly `popular` items."""
        self._release = release
        self._nums: list[int] = nums.tolist()
        self._popular = popular
        recipe = release.score.recipe
        days = _POPULARITY_DAYS if asker is None or recipe.prior is None else recipe.prior.half_life_days
        self._period = next((words for longest, words in _PERIODS if days <= longest), "")
        wishes = list(dict.fromkeys(history_of(request, release)[:_WISHES].tolist()))
        self._nearest = lookups.nearest(self._nums, wishes)
        self._strongest = [NO_ITEM] * len(self._nums)
        if release.related is not None and asker is not None:
            self._strongest = release.related.strongest(request.user_num, request.session, nums).tolist()

    def text(self, component: int, place: int) -> str:
        """Return the sentence of a component for the candidate at a place."""
        num = self._nums[place]
        if component == _RELATED:
            return self._together(self._strongest[place])
        if component == _PRIOR:
            category = self._release.categories[num]
            if not self._popular:
                return "popular lately" if self._period else "popular"
            return f"popular{self._period} in {category}" if category else f"popular{self._period}"
        if component == _NEW:
            like_items = self._release.score.like_items
            assert like_items is not None  # noqa: S101  else nothing is new
            return f"new, like {self._title(int(like_items[num]))}"
        nearest = self._nearest[place]
        return "fits the whole history" if nearest is None else f"goes with {self._title(nearest)}"

    def _together(self, wish: int) -> str:
        verb = "bought" if self._release.score.recipe.purchases else "chosen together"
        return f"{verb} with {'the rest of the history' if wish == NO_ITEM else self._title(wish)}"

    def _title(self, num: int) -> str:
        return self._release.titles[num] or self._release.items[num]
