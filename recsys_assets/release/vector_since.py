"""A user's vector with the wishes since the release folded in, without retraining. Numpy only."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from recsys_assets.embeddings.fold_in import FoldIn
from recsys_assets.embeddings.score_parts import Histories
from recsys_assets.storage.arrays import Float32, Int32, Int64

_NEWEST: Final = 50
"""Wishes since the release that are folded in: the newest."""
_EARLIER: Final = 200
"""Wishes of the history that are taken into account: the newest."""
_KEPT: Final = 4_096
"""Vectors that are kept, 256 bytes each at 64 dimensions: a user who acts requests several lists."""


@dataclass(frozen=True, kw_only=True)
class VectorsSince:
    """The vectors of users of one release who did something since; threads may share it."""

    fold_in: FoldIn
    """The equations of the release."""
    user_embeddings: Float32
    """(U, D): the trained vectors."""
    history_indptr: Int64
    """Where each user's wishes start, U + 1."""
    history_items: Int32
    """Item numbers of the wishes, the most recent of a user first, n."""
    history_weights: Float32
    """Confidence in each, n."""
    _made: dict[tuple[int, ...], Float32] = field(default_factory=dict)
    _solved: dict[int, Float32] = field(default_factory=dict)

    @classmethod
    def of(cls, fold_in: FoldIn, user_embeddings: Float32, histories: Histories) -> "VectorsSince":
        """Take the arrays alone, so that the release is let go with its last request."""
        return cls(
            fold_in=fold_in,
            user_embeddings=user_embeddings,
            history_indptr=histories.history_indptr,
            history_items=histories.history_items,
            history_weights=histories.history_weights,
        )

    def of_user(self, user_num: int, since: Sequence[int]) -> Float32:
        """Return a user's vector as it would be if the wishes `since` had been in the history.

        The difference between two solutions of the user's normal equations (Rendle et al. 2022, eq. 6), with the
        wishes and without them, is added to the trained vector. So what training knew beyond the equations stays.

        Args:
            user_num: the user.
            since: item numbers, each once, the newest first, at least one; each has the weight 1.

        Returns:
            x_D, float32.
        """
        newest = since[:_NEWEST]
        key = (user_num, *newest)
        found = self._made.get(key)
        if found is None:
            if len(self._made) >= _KEPT:
                self._made.clear()
            found = self._made[key] = self._folded(user_num, np.asarray(newest, dtype=np.int32))
        return found

    def _folded(self, user_num: int, newest: Int32) -> Float32:
        start, stop = self.history_indptr[user_num : user_num + 2].tolist()
        wishes = slice(start, min(stop, start + _EARLIER))
        earlier, weights = self.history_items[wishes], self.history_weights[wishes]
        others = ~np.isin(earlier, newest)
        nums = np.concatenate([newest, earlier[others]])
        confidence = np.concatenate([np.ones(len(newest), dtype=np.float32), weights[others]])
        with_them = self.fold_in.embed(nums, confidence)
        if not len(earlier):
            return with_them
        without = self._solved.get(user_num)
        if without is None:
            if len(self._solved) >= _KEPT:
                self._solved.clear()
            without = self._solved[user_num] = self.fold_in.embed(earlier, weights)
        x_D: Float32 = self.user_embeddings[user_num] + with_them - without
        return x_D
