import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.embeddings.interaction_matrix import InteractionMatrix, confidence
from recsys_assets.embeddings.shard_files import (
    items_of,
    joined_users,
    load_shard,
    load_start,
    made_names,
    save_part,
    save_shards,
    sent_names,
    shard_edges,
)
from recsys_assets.training_settings import TrainingSettings
from recsys_assets_tests.embeddings.worlds import block_world

SETTINGS = TrainingSettings(embedding_size=2)


@pytest.fixture(scope="module")
def world():
    return InteractionMatrix.from_interactions(block_world())


def test_shards_have_about_as_many_entries_and_cover_all_users():
    assert shard_edges(np.array([0, 10, 10, 20, 30, 40]), 2, embedding_size=1) == [0, 3, 5]
    assert shard_edges(np.array([0, 100]), 3, embedding_size=1) == [0, 1, 1, 1]


def test_users_without_entries_count_by_their_vectors():
    assert shard_edges(np.zeros(101, np.int64), 2, embedding_size=64) == [0, 50, 100]


@given(st.lists(st.integers(0, 50), min_size=1, max_size=40), st.integers(1, 8))
def test_edges_ascend_from_the_first_to_the_last_user(degrees, shards):
    edges = shard_edges(np.concatenate([[0], np.cumsum(degrees)]), shards, embedding_size=4)
    assert edges == sorted(edges)
    assert (edges[0], edges[-1], len(edges)) == (0, len(degrees), shards + 1)


def test_the_shards_hold_every_entry_once(world, tmp_path):
    confidences_n = confidence(world, SETTINGS)
    plan = save_shards(tmp_path, world, confidences_n, SETTINGS, shards=3)
    rows = [load_shard(tmp_path, plan, shard) for shard in range(3)]
    assert np.concatenate([one.item_nums for one in rows]).tolist() == world.item_nums.tolist()
    assert np.concatenate([one.confidences_n for one in rows]).tolist() == confidences_n.tolist()
    degrees = np.concatenate([np.diff(one.indptr) for one in rows])
    assert degrees.tolist() == np.diff(world.indptr).tolist()
    assert [len(one.item_nums) for one in rows] == plan.entries_of
    assert load_start(tmp_path, plan, 0) is None


def test_parts_are_joined_in_the_order_of_the_users(world, tmp_path):
    plan = save_shards(tmp_path, world, confidence(world, SETTINGS), SETTINGS, shards=2)
    users, items = world.shape
    vectors_UD = torch.arange(2.0 * users).reshape(users, 2)
    for shard in range(2):
        own = vectors_UD[plan.edges[shard] : plan.edges[shard + 1]]
        save_part(tmp_path, shard, own, torch.full((items, 2), float(shard)))
    assert joined_users(tmp_path, plan).tolist() == vectors_UD.tolist()
    assert items_of(tmp_path).max() == 0


def test_the_names_are_those_of_the_files(world, tmp_path):
    plan = save_shards(tmp_path, world, confidence(world, SETTINGS), SETTINGS, shards=2)
    assert all((tmp_path / name).is_file() for shard in range(2) for name in sent_names(plan, shard))
    assert made_names(1) == ["0001/user_embeddings.npy"]
    assert "item_embeddings.npy" in made_names(0)
