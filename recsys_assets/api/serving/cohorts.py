"""What is popular among users who have a feature in common: for strangers of whom only that is known.

A cohort is named `COLUMN:VALUE`, a text column of the user features and what it has to be. Its users' items are
added up when it is first asked for, and the sums of the last few cohorts are kept.
"""

from collections import OrderedDict
from typing import Final, NamedTuple

import numpy as np

from recsys_assets.api.serving.retrieval import WouldBlockError
from recsys_assets.errors import UnknownCohortError
from recsys_assets.release.load import Release
from recsys_assets.rules.language.expressions import closest
from recsys_assets.rules.language.item_table import columns_of
from recsys_assets.storage.arrays import Float32, Int32
from recsys_assets.storage.home import FEATURE_DATABASE

LEAST_USERS: Final = 5
"""A cohort of fewer says more about its members than about a stranger, and would show what they have."""
_KEPT: Final = 64
_USERS_AT_ONCE: Final = 50_000
"""Users that may be looked through on the event loop, some milliseconds."""


class Cohort(NamedTuple):
    """The users with one value of one feature."""

    users: int
    """How many there are."""
    nums: Int32
    """Item numbers that any of them has, most wanted first; none where there are fewer than `LEAST_USERS`."""
    scores: Float32
    """Sum of the weights of their interactions with each."""


class Cohorts:
    """The cohorts of one release."""

    def __init__(self, release: Release) -> None:
        self._release = release
        self._kept: OrderedDict[str, Cohort] = OrderedDict()

    def get(self, name: str, *, may_block: bool) -> Cohort:
        """A cohort by `COLUMN:VALUE`; of no users where nobody has the value.

        Raises:
            UnknownCohortError: not of that form, or the users have no such text feature.
            WouldBlockError: many users have to be looked through, and `may_block` is False.
        """
        kept = self._kept.get(name)
        if kept is not None:
            return kept
        column, colon, value = name.partition(":")
        kinds = columns_of(self._release.folder / FEATURE_DATABASE).users
        known = sorted(found for found, kind in kinds.items() if kind == "text" and found != "user_id")
        if not colon or column not in known:
            raise UnknownCohortError(
                f"cohort {name!r}: expected FEATURE:VALUE with a text feature of users; {closest(column, known)}"
            )
        if len(self._release.users) > _USERS_AT_ONCE and not may_block:
            raise WouldBlockError
        cohort = self._gather(self._release.features.users_with(column, value))
        self._kept[name] = cohort
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return cohort

    def _gather(self, user_ids: list[str]) -> Cohort:
        release = self._release
        users = release.users.nums(user_ids)
        users = users[users >= 0]
        if len(users) < LEAST_USERS:
            return Cohort(len(users), np.empty(0, np.int32), np.empty(0, np.float32))
        spans = zip(
            release.history_indptr[users].tolist(), release.history_indptr[users + 1].tolist(), strict=True
        )
        rows = np.concatenate([np.arange(start, end) for start, end in spans])
        totals_I = np.bincount(
            release.history_items[rows], weights=release.history_weights[rows], minlength=len(release.items)
        )
        nums = np.flatnonzero(totals_I).astype(np.int32)
        nums = nums[np.argsort(-totals_I[nums], kind="stable")]
        return Cohort(len(users), nums, totals_I[nums].astype(np.float32))
