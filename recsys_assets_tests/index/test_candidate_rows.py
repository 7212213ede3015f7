"""Lists scored ahead of serving equal those from scoring everything, with and without related items."""

from types import SimpleNamespace

import numpy as np
import pytest

from recsys_assets.embeddings.score_parts import RelatedByUser
from recsys_assets.embeddings.score_recipe import RelatedRows, ScoreRecipe
from recsys_assets.index.candidate_rows import CandidateInputs, write_candidates
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
            "seen_indptr": indptr,
            "seen_items": np.concatenate(seen),
            "index": ItemIndex.load(folder, items_ID),
        },
    )


def candidates(world, folder, **settings):
    found = write_candidates(folder, CandidateInputs(**world.arguments), IndexSettings(threads=1, **settings))
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
        CandidateInputs(
            user_embeddings=items_ID[:1],
            item_embeddings=items_ID,
            seen_indptr=np.array([0, 8]),
            seen_items=np.arange(8, dtype=np.int32),
            index=ItemIndex.load(tmp_path, items_ID),
        ),
        IndexSettings(candidates_per_user=5),
    )
    nums = np.load(tmp_path / "candidates_items.npy")

    assert (sorted(nums[0, :2].tolist()), nums[0, 2:].tolist()) == ([8, 9], [-1, -1, -1])


def test_zero_candidates_a_user_writes_nothing(world, tmp_path):
    found = write_candidates(
        tmp_path, CandidateInputs(**world.arguments), IndexSettings(candidates_per_user=0)
    )

    assert (found.by, list(tmp_path.iterdir())) == ("nothing", [])


@pytest.fixture(scope="module")
def related(world):
    """The related part of every user's score: half of what was seen are wishes, on different days."""
    rng = np.random.default_rng(4)
    wishes = [nums[::2] for nums in world.seen]
    days = [np.sort(rng.integers(0, 100, len(nums)))[::-1].astype(np.int32) for nums in wishes]
    return RelatedByUser(
        rows=RelatedRows(
            items_IN=np.stack([rng.choice(ITEMS, 20, replace=False) for _ in range(ITEMS)]).astype(np.int32),
            weights_IN=rng.normal(size=(ITEMS, 20)).astype(np.float32),
        ),
        recipe=ScoreRecipe(model="ials+item_item", factors={}, own_half_life_days=30.0),
        history_indptr=np.concatenate([[0], np.cumsum([len(nums) for nums in wishes])]).astype(np.int64),
        history_items=np.concatenate(wishes),
        history_days=np.concatenate(days),
    )


def sums(world, related, user):
    """The score of every item for a user, in float64, by the formula."""
    scores_I = (world.items_ID @ world.users_UD[user]).astype(np.float64)
    start, end = related.history_indptr[user : user + 2]
    days = related.history_days[start:end]
    for num, day in zip(related.history_items[start:end], days, strict=True):
        weight = 0.5 ** ((days[0] - day) / 30.0)
        scores_I[related.rows.items_IN[num]] += weight * related.rows.weights_IN[num].astype(np.float64)
    scores_I[world.seen[user]] = -np.inf
    return scores_I


@pytest.mark.parametrize("pairs", [1_000_000_000, 1_000])
def test_candidates_are_the_best_of_both_parts_of_the_score(world, related, tmp_path, pairs):
    found = write_candidates(
        tmp_path,
        CandidateInputs(related=related, **world.arguments),
        IndexSettings(threads=1, candidates_per_user=50, precompute_pairs=pairs),
    )
    nums, scores = np.load(tmp_path / "candidates_items.npy"), np.load(tmp_path / "candidates_scores.npy")
    assert found.by == ("exact" if pairs > 1_000 else "index")
    for user in range(0, USERS, 7):
        expected = sums(world, related, user)
        np.testing.assert_allclose(scores[user], np.sort(expected)[::-1][:50], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(scores[user], expected[nums[user]], rtol=1e-4, atol=1e-4)
