"""Everything that a score needs beside the two arrays of vectors, as one part of the embeddings' folder.

The API imports this module: numpy and msgspec only. Shapes: U users, I items, D embedding_size, n wishes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from recsys_assets.embeddings.fold_in import FoldIn
from recsys_assets.embeddings.score_recipe import ItemSums, Nums, RelatedRows, ScoreRecipe
from recsys_assets.storage.arrays import Float32, Int32, Int64, map_array

_LIKE_ITEMS: Final = "like_items.npy"
_PAIRS_AT_ONCE: Final = 4_096
"""Wishes whose rows are added up at once: some MB at 200 related items each."""


@dataclass(frozen=True, kw_only=True)
class ScoreParts:
    """The parts of a model's score beside the vectors."""

    recipe: ScoreRecipe
    """Their names, dimensions and weights."""
    fold_in: FoldIn
    """Vectors for users and sessions from their items."""
    related: RelatedRows | None = None
    """The sparse part; None where the score is one inner product."""
    like_items: Int32 | None = None
    """(I,): for an item without events the known item it is most like, -1 for all others; None: no such items."""

    def save(self, folder: Path) -> None:
        """Write the files of the parts that there are."""
        self.recipe.save(folder)
        self.fold_in.save(folder)
        if self.related is not None:
            self.related.save(folder)
        if self.like_items is not None:
            np.save(folder / _LIKE_ITEMS, self.like_items.astype(np.int32), allow_pickle=False)

    @classmethod
    def load(cls, folder: Path, item_embeddings: Float32) -> "ScoreParts":
        """Read what `save` wrote, to go with the (memory-mapped) `item_embeddings`.

        Raises:
            BrokenReleaseError: the recipe or one of two files is missing.
        """
        recipe, like_items = ScoreRecipe.load(folder), folder / _LIKE_ITEMS
        return cls(
            recipe=recipe,
            fold_in=FoldIn.load(folder, item_embeddings, recipe),
            related=RelatedRows.load(folder),
            like_items=map_array(like_items) if like_items.is_file() else None,
        )


class Histories(Protocol):
    """Arrays of all users' wishes, as an open release and saved embeddings have them."""

    @property
    def history_indptr(self) -> Int64:
        """Where each user's wishes start, U + 1."""

    @property
    def history_items(self) -> Int32:
        """Item numbers of the wishes, n."""

    @property
    def history_days(self) -> Int32:
        """Day of each wish, n."""

    @property
    def history_weights(self) -> Float32:
        """Confidence in each wish, n."""


@dataclass(frozen=True, kw_only=True)
class RelatedByUser:
    """The related part of every user's score: the same sums ahead of serving and in a request."""

    rows: RelatedRows
    """The related items of each item."""
    recipe: ScoreRecipe
    """Its `own_half_life_days` weighs a user's wishes."""
    history_indptr: Int64
    """Where each user's wishes start, U + 1."""
    history_items: Int32
    """Item numbers of the wishes, n."""
    history_days: Int32
    """Day of each wish, n."""

    @classmethod
    def of(cls, score: ScoreParts, histories: Histories) -> "RelatedByUser | None":
        """Return the related part of the scores of these users; None where the model has none."""
        if score.related is None:
            return None
        return cls(
            rows=score.related,
            recipe=score.recipe,
            history_indptr=histories.history_indptr,
            history_items=histories.history_items,
            history_days=histories.history_days,
        )

    def of_user(self, user_num: int, since: Sequence[int] = ()) -> ItemSums:
        """Return the sums of a user: the wishes, and the items `since`, each once, with a weight of 1."""
        return self.rows.sum_rows(*self._wishes(user_num, since))

    def of_items(self, nums: Sequence[int]) -> ItemSums:
        """Return the sums of a session of items, each once, with a weight of 1."""
        return self.rows.sum_rows(*self._wishes(None, nums))

    def strongest(self, user_num: int | None, since: Sequence[int], nums: Nums) -> Int32:
        """Return for each of n items the wish that speaks for it most, (n,), `NO_ITEM` where none does.

        The wishes are those of `of_user`; without a user those of `of_items`.
        """
        return self.rows.strongest(*self._wishes(user_num, since), nums)

    def _wishes(self, user_num: int | None, since: Sequence[int]) -> tuple[Int32, Float32]:
        """Return the item numbers of a user's wishes and a_n, their weights."""
        if user_num is None:
            return np.asarray(since, dtype=np.int32), np.ones(len(since), dtype=np.float32)
        start, end = self.history_indptr[user_num : user_num + 2].tolist()
        nums = self.history_items[start:end]
        weights = self.recipe.own_weights(self.history_days[start:end])
        if since:
            later = np.asarray(since, dtype=np.int32)
            earlier = ~np.isin(nums, later)
            nums = np.concatenate([later, nums[earlier]])
            weights = np.concatenate([np.ones(len(later), dtype=np.float32), weights[earlier]])
        return nums, weights

    def add_to(self, scores_BI: Float32, users: slice) -> None:
        """Add the sums of consecutive users to their scores of all items, (B, I) float32, C-contiguous, in place."""
        bounds = self.history_indptr[users.start : users.stop + 1]
        items = scores_BI.shape[1]
        rows_n = np.repeat(np.arange(len(scores_BI)), np.diff(bounds))
        start, end = int(bounds[0]), int(bounds[-1])
        nums_n = self.history_items[start:end]
        weights_n = np.concatenate(
            [np.zeros(0, np.float32)]
            + [
                self.recipe.own_weights(self.history_days[first:last])
                for first, last in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)
            ]
        )
        flat_scores = scores_BI.reshape(-1)
        for first in range(0, end - start, _PAIRS_AT_ONCE):
            block = slice(first, first + _PAIRS_AT_ONCE)
            # where a row ends, the weight is 0 and so the item does not matter
            found = np.maximum(self.rows.items_IN.take(nums_n[block], axis=0), 0)
            values = self.rows.weights_IN.take(nums_n[block], axis=0) * weights_n[block, None]
            places = rows_n[block, None] * items + found
            np.add.at(flat_scores, places.ravel(), values.ravel())
