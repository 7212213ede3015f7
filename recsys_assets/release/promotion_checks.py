"""The checks of source and lists that a release must pass before `current` points at it.

Those of the lists are the blocking rules of `list_audit`, whose other rules compare, warn, and keep results by day; in
numpy alone, since the API promotes too.
Shapes: U users, K items of a list, I items of the catalogue.
"""

from typing import Final

import numpy as np

from recsys_assets.errors import BrokenReleaseError, ReleaseError
from recsys_assets.release.load import Release
from recsys_assets.release.manifest import Manifest
from recsys_assets.settings import load_settings
from recsys_assets.storage.arrays import NO_ITEM, Bools, Float32, Int32
from recsys_assets.storage.database_urls import without_password
from recsys_assets.storage.home import Home

LIST_LENGTH: Final = 10
_SAMPLED_USERS: Final = 500
_BLOCK: Final = 65_536
_WAY_OUT: Final = (
    "it stays unpromoted; see the checks of the assets in Dagster, mend the cause and run `recsys build`"
)


def check_source(manifest: Manifest, home: Home) -> None:
    """Check that a release was built from the source that the home's settings name, where there are settings.

    Raises:
        ReleaseError: it was built from another one.
    """
    if not home.settings_file.is_file():
        return
    wanted, found = without_password(load_settings(home).source.spec), source_of(manifest)
    if found != wanted:
        raise ReleaseError(
            f"release {manifest.release_id}: built from {found}, and {home.settings_file} names {wanted}; run"
            " `recsys build`, or set [source] spec back first"
        )


def source_of(manifest: Manifest) -> str:
    """Return the spec of the source that a release was built from, without a password."""
    source = manifest.settings.get("source")
    return without_password(str(source.get("spec", ""))) if isinstance(source, dict) else ""


def sample_users(release: Release) -> list[int]:
    """Return a seeded sample of at most 500 user numbers, ascending."""
    count = len(release.users)
    chosen = np.random.default_rng(0).choice(count, min(count, _SAMPLED_USERS), replace=False)
    return sorted(int(num) for num in chosen)


def served_lists(release: Release, nums: list[int], *, k: int = LIST_LENGTH) -> tuple[Int32, Float32]:
    """Return the first k items of each user and their scores, as the API serves them without rules.

    Both are (len(nums), k); a shorter list ends with -1 and -inf.
    """
    items_UK = np.full((len(nums), k), NO_ITEM, dtype=np.int32)
    scores_UK = np.full((len(nums), k), -np.inf, dtype=np.float32)
    for row, num in enumerate(nums):
        found = release.best_unseen(num, k)
        items_UK[row, : len(found.nums)], scores_UK[row, : len(found.nums)] = found.nums, found.scores
    return items_UK, scores_UK


def check_lists(release: Release) -> None:
    """Make the lists of a sample of users, and check them and the vectors that they come from.

    Raises:
        BrokenReleaseError: names a user and the fault, or the array that holds a number which is none.
    """
    nums = sample_users(release)
    if not (_is_finite(release.item_embeddings) and _is_finite(release.user_embeddings[nums])):
        raise BrokenReleaseError(
            f"{release.folder}: an embedding holds NaN or an infinite number; {_WAY_OUT}"
        )
    items_UK, scores_UK = served_lists(release, nums)
    for fault, wrong_U in _faults(release, nums, items_UK, scores_UK).items():
        if wrong_U.any():
            user = release.users.id(nums[int(wrong_U.argmax())])
            raise BrokenReleaseError(
                f"{release.folder}: {fault}, first in the list of user {user!r}, in {int(wrong_U.sum())} of"
                f" {len(nums)} lists; {_WAY_OUT}"
            )


def _faults(release: Release, nums: list[int], items_UK: Int32, scores_UK: Float32) -> dict[str, Bools]:
    """Return fault -> (U,) whether the list of each user has it."""
    listed_UK = items_UK != NO_ITEM
    known_UK = ~listed_UK | ((items_UK >= 0) & (items_UK < len(release.items)))
    numbers_UK = ~listed_UK | np.isfinite(scores_UK)
    rises_UK = listed_UK[:, 1:] & (scores_UK[:, 1:] > scores_UK[:, :-1])
    lists = [row[row != NO_ITEM] for row in items_UK]
    return {
        "an item that the catalogue does not have": (~known_UK).any(axis=1),
        "a score that is no finite number": (~numbers_UK).any(axis=1),
        "scores that rise": rises_UK.any(axis=1),
        "an item listed twice": np.array([len(np.unique(row)) < len(row) for row in lists], dtype=np.bool_),
        "an item that the user has": np.array(
            [np.isin(row, release.seen(num)).any() for row, num in zip(lists, nums, strict=True)],
            dtype=np.bool_,
        ),
    }


def _is_finite(rows_ND: Float32) -> bool:
    """Return whether every number is finite, read block by block: the array may be larger than memory."""
    return all(
        bool(np.isfinite(rows_ND[start : start + _BLOCK]).all()) for start in range(0, len(rows_ND), _BLOCK)
    )
