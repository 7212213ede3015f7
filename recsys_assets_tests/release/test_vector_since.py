"""Vectors of users who did something since the release."""

import numpy as np
import pytest

from recsys_assets.release.load import Release, load_release
from recsys_assets.release.release_store import ReleaseStore


@pytest.fixture
def release(world, tmp_path) -> Release:
    manifest = world.publish(tmp_path)
    return load_release(ReleaseStore(tmp_path / "releases").path(manifest.release_id))


def test_wishes_since_move_the_vector_by_the_difference_of_two_solutions(release: Release) -> None:
    user = 3
    fold_in, start, end = release.score.fold_in, *release.history_indptr[user : user + 2].tolist()
    earlier, weights = release.history_items[start:end], release.history_weights[start:end]
    new = next(num for num in range(len(release.items)) if num not in earlier)
    nums, confidence = np.append(earlier, new), np.append(weights, np.float32(1))
    moved = fold_in.embed(nums, confidence) - fold_in.embed(earlier, weights)
    found = release.vectors_since.of_user(user, [new])
    np.testing.assert_allclose(found, release.user_embeddings[user] + moved, rtol=1e-4, atol=1e-5)


def test_a_wish_raises_the_score_of_its_item_and_the_same_request_gives_the_same_vector(
    release: Release,
) -> None:
    before = release.item_embeddings @ release.user_embeddings[3]
    least = int(np.argmin(before))
    first, again = (release.vectors_since.of_user(3, [least]) for _ in range(2))
    assert release.item_embeddings[least] @ first > before[least]
    assert again is first


def test_a_search_with_the_vector_takes_the_place_of_the_row_computed_ahead(release: Release) -> None:
    since = [int(release.best_unseen(3, 1).nums[0])]
    found = release.best_unseen(3, 5, blocked=since, since=since)
    expected = release.taste_of_user(3, since).top(
        5, blocked=[*release.seen(3).tolist(), *since], may_block=True
    )
    assert found.nums.tolist() == expected.nums.tolist()
