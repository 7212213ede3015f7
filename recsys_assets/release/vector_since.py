"""A user's vector with the wishes since the release folded in, without retraining. Numpy only."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from recsys_assets.storage.arrays import Float32

if TYPE_CHECKING:
    from recsys_assets.release.load import Release

_NEWEST: Final = 50
"""Wishes since the release that are folded in: the newest."""
_EARLIER: Final = 200
"""Wishes of the history that are taken into account: the newest."""


def vector_since(release: "Release", user_num: int, since: Sequence[int]) -> Float32:
    """Return a user's vector as it would be if the wishes `since` had been in the history.

    The difference between two solutions of the user's normal equations (Rendle et al. 2022, eq. 6), with the wishes
    and without them, is added to the trained vector. So what training knew beyond the equations stays.

    Args:
        release: an open release.
        user_num: the user.
        since: item numbers, each once, the newest first, at least one; each has the weight 1.

    Returns:
        x_D, float32.
    """
    fold_in = release.score.fold_in
    start = int(release.history_indptr[user_num])
    end = min(int(release.history_indptr[user_num + 1]), start + _EARLIER)
    earlier, weights = release.history_items[start:end], release.history_weights[start:end]
    x_D: Float32 = release.user_embeddings[user_num]
    newest = np.asarray(since[:_NEWEST], dtype=np.int32)
    others = ~np.isin(earlier, newest)
    nums = np.concatenate([newest, earlier[others]])
    confidence = np.concatenate([np.ones(len(newest), dtype=np.float32), weights[others]])
    with_them: Float32 = fold_in.embed(nums, confidence)
    if not len(earlier):
        return with_them
    return x_D + with_them - fold_in.embed(earlier, weights)
