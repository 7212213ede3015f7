import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.embeddings import item_groups, item_item
from recsys_assets.embeddings.components import COMPONENTS
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.item_inverse import InverseByItems, InverseByUsers
from recsys_assets.embeddings.item_item import by_related_items, item_item_bytes, related_items
from recsys_assets.errors import MemoryBudgetError
from recsys_assets.storage.arrays import NO_ITEM
from recsys_assets.training_settings import TrainingSettings
from recsys_assets_tests.embeddings.worlds import block_world, events


@pytest.fixture(scope="module")
def world():
    return InteractionMatrix.from_interactions(block_world())


def ease_weights(matrix, *, strength, values_n=None):
    """B of the paper, (I, I), float64."""
    has_UI = np.zeros(matrix.shape)
    has_UI[matrix.user_nums(), matrix.item_nums] = 1 if values_n is None else values_n
    inverse_II = np.linalg.inv(has_UI.T @ has_UI + strength * np.eye(len(matrix.items)))
    weights_II = -inverse_II / np.diag(inverse_II)
    np.fill_diagonal(weights_II, 0)
    return weights_II


def dense(related, items):
    weights_II = np.zeros((items, items))
    for row, (nums, weights) in enumerate(zip(related.items, related.weights, strict=True)):
        weights_II[row, nums[nums != NO_ITEM]] = weights[nums != NO_ITEM]
    return weights_II


@pytest.mark.parametrize("form", [InverseByItems, InverseByUsers])
def test_both_forms_give_the_inverse_of_the_paper(world, form):
    values_n = np.random.default_rng(0).uniform(0.5, 2, world.entries).astype(np.float32)
    has_UI = np.zeros(world.shape)
    has_UI[world.user_nums(), world.item_nums] = values_n
    expected = np.linalg.inv(has_UI.T @ has_UI + np.eye(len(world.items)))
    inverse = form(world, values_n)
    np.testing.assert_allclose(inverse.rows(7, 50), expected[7:50], atol=1e-5)
    np.testing.assert_allclose(inverse.diagonal_I, np.diag(expected), atol=1e-5)


def test_the_weights_are_those_of_ease_where_all_are_kept(world):
    found = related_items(world, strength=3.0, normalise=0, kept=60)
    np.testing.assert_allclose(dense(found, 60), ease_weights(world, strength=3.0), atol=1e-5)


def test_few_users_and_many_items_give_the_same_weights():
    matrix = InteractionMatrix.from_interactions(block_world(users=30, items=60))
    found = related_items(matrix, strength=3.0, normalise=0, kept=60)
    np.testing.assert_allclose(dense(found, 60), ease_weights(matrix, strength=3.0), atol=1e-5)


def test_a_row_keeps_its_weights_of_largest_size_in_falling_order(world):
    weights_II = ease_weights(world, strength=3.0)
    found = related_items(world, strength=3.0, normalise=0, kept=7)
    assert found.items.dtype == np.int32
    assert found.weights.dtype == np.float32
    assert (np.diff(found.weights, axis=1) <= 0).all()
    largest = np.sort(np.abs(weights_II), axis=1)[:, -7:].sum(axis=1)
    np.testing.assert_allclose(np.abs(found.weights).sum(axis=1), largest, atol=1e-5)


def test_normalised_weights_are_those_of_ease_on_lighter_busy_users_and_popular_items(world):
    by_item = np.bincount(world.item_nums)
    values_n = (by_item[world.item_nums] * np.diff(world.indptr)[world.user_nums()]) ** -0.25
    values_n /= np.sqrt((values_n**2).mean())
    expected = ease_weights(world, strength=3.0, values_n=values_n)
    expected *= by_item**0.25 / by_item[:, None] ** 0.25
    found = related_items(world, strength=3.0, normalise=0.25, kept=60)
    np.testing.assert_allclose(dense(found, 60), expected, atol=1e-5)


def test_an_item_without_users_in_common_has_an_empty_row():
    matrix = InteractionMatrix.from_interactions(
        events([("u", "alone", 1, 0), ("v", "b", 1, 0), ("v", "c", 1, 0), ("w", "b", 1, 0)])
    )
    found = related_items(matrix)
    row = matrix.items.num("alone")
    assert (found.items[row] == NO_ITEM).all()
    assert (found.weights[row] == 0).all()


def test_the_same_matrix_gives_the_same_bytes(world):
    first, second = related_items(world, kept=5), related_items(world, kept=5)
    assert first.items.tobytes() == second.items.tobytes()
    assert first.weights.tobytes() == second.weights.tobytes()


@given(st.data())
def test_a_score_is_the_sum_of_the_rows_of_the_history(world, data):
    related = related_items(world, kept=9)
    users = data.draw(st.lists(st.integers(0, 79), min_size=1, max_size=5))
    values_n = np.linspace(0.1, 1, world.entries, dtype=np.float32)
    found = by_related_items(world, related, values_n=values_n)(np.asarray(users))
    rows_II = dense(related, 60)
    for row, user in zip(found, users, strict=True):
        own = slice(world.indptr[user], world.indptr[user + 1])
        expected = values_n[own] @ rows_II[world.item_nums[own]]
        np.testing.assert_allclose(row, expected, atol=1e-5)


def test_lists_of_the_sparse_rows_stay_in_the_block(world):
    scores_UI = by_related_items(world, related_items(world, kept=10))(np.arange(80)).numpy()
    same_UI = np.arange(80)[:, None] % 4 == np.arange(60) % 4
    assert scores_UI[same_UI].mean() > 10 * np.abs(scores_UI[~same_UI]).mean()


def test_groups_give_the_weights_of_ease_where_a_group_and_its_support_hold_all(world, monkeypatch):
    monkeypatch.setattr(item_item, "DENSE_SIDE", 1)
    found = related_items(world, strength=3.0, normalise=0, kept=60)
    np.testing.assert_allclose(dense(found, 60), ease_weights(world, strength=3.0), atol=1e-5)


def test_small_groups_give_the_weights_of_ease_where_the_support_holds_their_blocks(world, monkeypatch):
    monkeypatch.setattr(item_item, "DENSE_SIDE", 1)
    monkeypatch.setattr(item_groups, "GROUP", 8)
    monkeypatch.setattr(item_groups, "SUPPORT", 30)
    found = related_items(world, strength=3.0, normalise=0, kept=14)
    exact = ease_weights(world, strength=3.0)
    # 30 items hold the two blocks of 15 that a group may be of; other blocks' weights are 0
    np.testing.assert_allclose(dense(found, 60), exact, atol=1e-3)


def test_every_item_is_in_one_group(world, monkeypatch):
    monkeypatch.setattr(item_groups, "GROUP", 7)
    groups = item_groups.similar_groups(world)
    assert sorted(np.concatenate(groups).tolist()) == list(range(60))
    assert max(map(len, groups)) <= 7


def test_a_fit_beyond_the_budget_is_rejected_with_the_way_out(world):
    with pytest.raises(MemoryBudgetError, match="relating 60 items of 80 users") as rejected:
        COMPONENTS["item_item"].fit(world, TrainingSettings(memory_budget_mb=1))
    assert re.search(r'set in \[training\]: model = "ials" or memory_budget_mb = \d+$', str(rejected.value))


def test_the_bytes_needed_are_bounded_where_neither_side_is_small():
    by_items = item_item_bytes((1_000_000, 8_000), 20_000_000)
    grouped = item_item_bytes((1_000_000, 100_000), 20_000_000)
    assert grouped < 2 * by_items


@pytest.mark.parametrize(
    ("shape", "entries", "form"),
    [
        ((6_040, 3_706), 800_000, "items"),
        ((1_800, 7_900), 90_000, "users"),
        ((2_469, 68_500), 700_000, "groups"),
        ((29_858, 40_981), 800_000, "groups"),
    ],
)
def test_the_form_follows_the_sizes(shape, entries, form):
    assert item_item.inverse_form(shape, entries) == form
