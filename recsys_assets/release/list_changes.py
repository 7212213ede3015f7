"""The lists of two releases for the same users: the share that changed, how much, and examples by name.

The API imports this: neither torch, dagster, pandera nor polars.
"""

from functools import partial

import numpy as np

from recsys_assets.evaluation.changed_lists import ListChanges, changes_of
from recsys_assets.release.load import Release
from recsys_assets.release.promotion_checks import LIST_LENGTH, served_lists
from recsys_assets.storage.arrays import NO_ITEM, Int64
from recsys_assets.storage.string_table import Vocabulary


def compare_lists(
    before: Release, after: Release, *, users: int = 500, seed: int = 0, k: int = LIST_LENGTH
) -> ListChanges:
    """Compare the lists that two releases serve, without rules, to users that both know.

    Items are compared by id, whatever their numbers in either. The same releases and seed give the same result.

    Args:
        before: one release.
        after: the other.
        users: number of users drawn; all that both know where they are fewer.
        seed: seed of the draw.
        k: length of the lists, >= 1.
    """
    common = _known_to(after.users, before.users)
    rng = np.random.default_rng(seed)
    drawn = np.sort(rng.choice(common, min(users, len(common)), replace=False)).tolist()
    ids = [before.users[num] for num in drawn]
    nums_after = after.users.nums(ids).tolist()
    return changes_of(
        ids,
        _lists(before, drawn, k),
        _lists(after, nums_after, k),
        k=k,
        titles=(partial(_title, before), partial(_title, after)),
        only=(len(before.users) - len(common), len(after.users) - len(common)),
    )


def _known_to(other: Vocabulary, users: Vocabulary) -> Int64:
    """Return the numbers of the users whom the other vocabulary knows too, ascending."""
    if np.array_equal(users.offsets, other.offsets) and np.array_equal(users.data, other.data):
        return np.arange(len(users))
    return np.fromiter((num for num, key in enumerate(users) if key in other), dtype=np.int64)


def _lists(release: Release, nums: list[int], k: int) -> list[list[str]]:
    items_UK, _ = served_lists(release, nums, k=k)
    return [[release.items[num] for num in row if num != NO_ITEM] for row in items_UK.tolist()]


def _title(release: Release, item_id: str) -> str:
    num = release.items.num(item_id)
    return "" if num is None else release.titles[num]
