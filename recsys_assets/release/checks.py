"""Checks on a release as it lies on the disk: whole, loadable, and recommending nothing that was seen."""

import dagster as dg
import numpy as np
import numpy.typing as npt

from recsys_assets.errors import ReleaseError
from recsys_assets.release.load import Release, load_release
from recsys_assets.release.store import ReleaseStore
from recsys_assets.resources import Releases

_SAMPLED_USERS = 500
_K = 10


def _current(store: ReleaseStore) -> Release:
    current = store.current_id()
    if current is None:
        raise ReleaseError(f"{store.root}: no release is current; run `recsys build`")
    return load_release(store.path(current), verify=False)


@dg.asset_check(
    asset="release", blocking=True, description="Every file has the checksum that the manifest says."
)
def checksums_hold(releases: Releases) -> dg.AssetCheckResult:
    """Read all of the current release."""
    store = releases.store()
    current = store.current_id()
    if current is None:
        return dg.AssetCheckResult(passed=False, description="no release is current")
    manifest = store.verify(current)
    return dg.AssetCheckResult(passed=True, metadata={"release_id": current, "files": len(manifest.files)})


@dg.asset_check(
    asset="release", blocking=True, description="No candidate of a sampled user is in their history."
)
def nothing_seen_is_a_candidate(releases: Releases) -> dg.AssetCheckResult:
    """Compare the precomputed candidates of a seeded sample of users with their histories."""
    release = _current(releases.store())
    if release.candidates_items is None:
        return dg.AssetCheckResult(
            passed=True, metadata={"candidates": "none kept: serving searches and filters"}
        )
    offenders = [
        release.users.id(num)
        for num in _sample(release)
        if np.isin(release.candidates_items[num], _history(release, num)).any()
    ]
    return dg.AssetCheckResult(
        passed=not offenders, metadata={"sampled": _SAMPLED_USERS, "offenders": offenders[:20]}
    )


@dg.asset_check(asset="release", description="Sampled users get ten items each, and not all the same ones.")
def recommendations_are_full_and_varied(releases: Releases) -> dg.AssetCheckResult:
    """Count short lists and different items among the first ten."""
    release = _current(releases.store())
    nums = _sample(release)
    lists = [_candidates(release, num)[:_K] for num in nums]
    unseen = [len(release.items) - len(_history(release, num)) for num in nums]
    short = sum(len(found) < min(_K, left) for found, left in zip(lists, unseen, strict=True))
    distinct = len({int(item) for found in lists for item in found})
    return dg.AssetCheckResult(
        passed=short == 0 and (distinct > _K or len(lists) == 1 or len(release.items) <= _K),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "sampled": len(lists),
            "short_lists": short,
            "distinct_items": distinct,
            "items": len(release.items),
        },
    )


def _sample(release: Release) -> list[int]:
    count = len(release.users)
    return sorted(np.random.default_rng(0).choice(count, min(count, _SAMPLED_USERS), replace=False).tolist())


def _history(release: Release, num: int) -> "npt.NDArray[np.int32]":
    start, end = release.history_indptr[num : num + 2]
    history: npt.NDArray[np.int32] = release.history_items[start:end]
    return history


def _candidates(release: Release, num: int) -> "npt.NDArray[np.int32]":
    """The user's candidates, scored now where the build kept none."""
    history = _history(release, num)
    if release.candidates_items is not None:
        row: npt.NDArray[np.int32] = release.candidates_items[num]
        kept: npt.NDArray[np.int32] = row[row >= 0]
        return kept
    found, _ = release.index.search(release.user_embeddings[num], min(len(release.items), _K + len(history)))
    unseen: npt.NDArray[np.int32] = found[~np.isin(found, history)]
    return unseen


RELEASE_CHECKS = [checksums_hold, nothing_seen_is_a_candidate, recommendations_are_full_and_varied]
