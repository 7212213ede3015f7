"""Lists scored ahead of serving equal those from scoring everything."""

from types import SimpleNamespace

import numpy as np
import pytest

from recsys_assets.index.build_index import write_candidates, write_neighbours
from recsys_assets.index.choose_index import choose_index
from recsys_assets.index.item_index import ItemIndex
from recsys_assets.settings import IndexSettings
from recsys_assets_tests.index.vectors import even, skewed

USERS, ITEMS = 600, 5_000


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("index")
    users_UD, items_ID = skewed(USERS, seed=1), skewed(ITEMS, seed=2)
    rng = np.random.default_rng(3)
    seen = [np.argsort(-(items_ID @ x_D))[: rng.integers(0, 30)].astype(np.int32) for x_D in users_UD]
    indptr = np.concatenate([[0], np.cumsum([len(nums) for nums in seen])]).astype(np.int64)
    choose_index(items_ID, folder, IndexSettings(threads=1), queries=users_UD)
    return SimpleNamespace(
        folder=folder,
        users_UD=users_UD,
        items_ID=items_ID,
        seen=seen,
        arguments={
            "user_embeddings": users_UD,
            "item_embeddings": items_ID,
            "history_indptr": indptr,
            "history_items": np.concatenate(seen),
            "index": ItemIndex.load(folder, items_ID),
        },
    )


def candidates(world, folder, **settings):
    found = write_candidates(folder, settings=IndexSettings(threads=1, **settings), **world.arguments)
    return found, np.load(folder / "candidates_items.npy"), np.load(folder / "candidates_scores.npy")


def test_candidates_are_each_users_best_unseen_items(world, tmp_path):
    found, nums, scores = candidates(world, tmp_path, candidates_per_user=50)

    assert (found.by, nums.shape, nums.dtype, scores.dtype) == ("exact", (USERS, 50), np.int32, np.float32)
    for user, x_D in enumerate(world.users_UD):
        all_scores = world.items_ID @ x_D
        all_scores[world.seen[user]] = -np.inf
        np.testing.assert_allclose(scores[user], np.sort(all_scores)[::-1][:50], rtol=1e-4, atol=1e-4)
        assert not np.isin(nums[user], world.seen[user]).any()


def test_candidates_come_from_the_index_when_exact_scoring_is_too_much(world, tmp_path):
    found, nums, _ = candidates(world, tmp_path, candidates_per_user=50, precompute_pairs=1_000)
    _, exact, _ = candidates(world, tmp_path, candidates_per_user=50)

    assert found.by == "index"
    assert not any(np.isin(nums[user], seen).any() for user, seen in enumerate(world.seen))
    assert np.mean([len(np.intersect1d(a, b)) / 50 for a, b in zip(nums, exact, strict=True)]) > 0.95


def test_the_same_vectors_give_the_same_bytes(world, tmp_path):
    _, first, first_scores = candidates(world, tmp_path, candidates_per_user=20)
    _, second, second_scores = candidates(world, tmp_path, candidates_per_user=20)

    assert first.tobytes() == second.tobytes()
    assert first_scores.tobytes() == second_scores.tobytes()


def test_a_user_who_saw_nearly_everything_has_a_short_list(tmp_path):
    items_ID = even(10)
    choose_index(items_ID, tmp_path, IndexSettings(threads=1))
    write_candidates(
        tmp_path,
        user_embeddings=items_ID[:1],
        item_embeddings=items_ID,
        history_indptr=np.array([0, 8]),
        history_items=np.arange(8, dtype=np.int32),
        index=ItemIndex.load(tmp_path, items_ID),
        settings=IndexSettings(candidates_per_user=5),
    )
    nums = np.load(tmp_path / "candidates_items.npy")

    assert (sorted(nums[0, :2].tolist()), nums[0, 2:].tolist()) == ([8, 9], [-1, -1, -1])


def test_zero_candidates_a_user_writes_nothing(world, tmp_path):
    found = write_candidates(tmp_path, settings=IndexSettings(candidates_per_user=0), **world.arguments)

    assert (found.by, list(tmp_path.iterdir())) == ("nothing", [])


def test_neighbours_are_the_nearest_by_cosine_without_the_item_itself(world, tmp_path):
    popular = np.arange(ITEMS, dtype=np.int32)[::-1]
    found = write_neighbours(
        tmp_path,
        item_embeddings=world.items_ID,
        popular_items=popular,
        settings=IndexSettings(neighbours_per_item=10),
    )
    nums, scores = np.load(tmp_path / "neighbours_items.npy"), np.load(tmp_path / "neighbours_scores.npy")
    unit_ID = world.items_ID / np.linalg.norm(world.items_ID, axis=1, keepdims=True)

    assert found.items == ITEMS
    for item in range(0, ITEMS, 97):
        cosines = unit_ID @ unit_ID[item]
        cosines[item] = -np.inf
        np.testing.assert_allclose(scores[item], np.sort(cosines)[::-1][:10], atol=1e-5)
        assert item not in nums[item]


def test_only_the_most_popular_items_have_neighbours_where_all_would_be_too_much(world, tmp_path):
    popular = np.arange(ITEMS, dtype=np.int32)[::-1]
    found = write_neighbours(
        tmp_path,
        item_embeddings=world.items_ID,
        popular_items=popular,
        settings=IndexSettings(neighbours_per_item=10, precompute_pairs=3 * ITEMS),
    )
    nums = np.load(tmp_path / "neighbours_items.npy")

    assert found.items == 3
    assert (np.flatnonzero(nums[:, 0] >= 0) == [ITEMS - 3, ITEMS - 2, ITEMS - 1]).all()


def test_an_item_without_direction_has_finite_cosines(tmp_path):
    items_ID = even(20)
    items_ID[3] = 0
    write_neighbours(
        tmp_path,
        item_embeddings=items_ID,
        popular_items=np.arange(20, dtype=np.int32),
        settings=IndexSettings(neighbours_per_item=5),
    )

    assert np.isfinite(np.load(tmp_path / "neighbours_scores.npy")).all()
