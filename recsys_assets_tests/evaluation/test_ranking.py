import numpy as np
import torch

from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.evaluation.held_out import by_item_scores, rank
from recsys_assets_tests.embeddings.worlds import events


def test_seen_items_are_never_ranked_and_missing_places_say_so():
    train = InteractionMatrix.from_interactions(
        events([("u", "a", 1, 0), ("v", "b", 1, 0), ("v", "c", 1, 0)])
    )
    found = rank(train, np.array([0, 1]), by_item_scores(np.array([3.0, 2.0, 1.0])), k=3)
    assert found.items_Rk.tolist() == [[1, 2, -1], [0, -1, -1]]


def test_equal_scores_are_ordered_by_popularity_then_number():
    train = InteractionMatrix.from_interactions(
        events([("u", "d", 1, 0), ("v", "c", 1, 0), ("w", "c", 1, 0), ("w", "a", 1, 0), ("w", "b", 1, 0)])
    )
    found = rank(train, np.array([0]), lambda _: torch.tensor([[0.0, -0.0, 0.0, 5.0]]), k=3)
    assert found.items_Rk.tolist() == [[2, 0, 1]]


def test_negative_scores_are_ordered_too():
    train = InteractionMatrix.from_interactions(
        events([("u", "d", 1, 0), ("v", "a", 1, 0), ("v", "b", 1, 0), ("v", "c", 1, 0)])
    )
    found = rank(train, np.array([0]), lambda _: torch.tensor([[-3.0, -1.0, -2e-38, 9.0]]), k=3)
    assert found.items_Rk.tolist() == [[2, 1, 0]]
