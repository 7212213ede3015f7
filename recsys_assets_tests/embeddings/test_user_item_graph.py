import numpy as np
import pytest
import torch

from recsys_assets.embeddings.interaction_matrix import InteractionMatrix, entries_of
from recsys_assets.embeddings.user_item_graph import UserItemGraph, spectral_embeddings
from recsys_assets_tests.embeddings.worlds import block_world, events


@pytest.fixture(scope="module")
def world():
    return InteractionMatrix.from_interactions(block_world())


def test_smoothing_is_one_step_over_the_normalised_graph():
    matrix = InteractionMatrix.from_interactions(
        events([("u", "a", 5, 0), ("u", "b", 1, 0), ("v", "b", 1, 0)])
    )
    graph = UserItemGraph.of(matrix, device="cpu")
    users, items = torch.eye(2), torch.eye(2)
    smooth_users, _ = graph.smooth(users, items, layers=1)
    edges = np.array([[1 / 2**0.5, 1 / 2], [0, 1 / 2**0.5]])
    np.testing.assert_allclose(smooth_users, (np.eye(2) + edges) / 2, atol=1e-6)


def test_the_start_holds_the_leading_singular_vectors(world):
    graph = UserItemGraph.of(world, device="cpu")
    users, items = spectral_embeddings(graph, 4, seed=0)
    dense = np.zeros(world.shape)
    degrees = np.diff(world.indptr)[world.user_nums()] * graph.item_degrees.numpy()[world.item_nums]
    dense[world.user_nums(), world.item_nums] = degrees**-0.5
    values = np.linalg.svd(dense, compute_uv=False)[:4]
    found = users.norm(dim=0).numpy() * items.norm(dim=0).numpy()
    np.testing.assert_allclose(found / found[0], (values / values[0]) ** 2, rtol=1e-3)


def test_the_edges_of_users_are_those_of_the_matrix_in_its_order(world):
    graph, users = UserItemGraph.of(world, device="cpu"), np.array([7, 0, 79, 7])
    row_n, item_n, offsets = graph.entries_of(torch.from_numpy(users))
    rows, items = entries_of(world, users)
    assert row_n.tolist() == rows.tolist()
    assert item_n.tolist() == items.tolist()
    assert offsets.tolist() == [0, *np.cumsum(np.bincount(rows)).tolist()]
