import numpy as np

from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.evaluation import baselines
from recsys_assets.evaluation.held_out import rank, time_split
from recsys_assets_tests.embeddings.worlds import block_world, events


def test_item_knn_finds_the_items_of_a_neighbour():
    train = InteractionMatrix.from_interactions(
        events([("u", "a", 1, 0), ("v", "a", 1, 0), ("v", "b", 1, 0), ("w", "c", 1, 0), ("x", "c", 1, 0)])
    )
    found = rank(train, np.array([0]), baselines.item_knn(train), k=2)
    assert found.items_Rk.tolist() == [[1, 2]]


def test_ease_finds_the_items_of_the_block():
    split = time_split(block_world(share=0.7), held_out_share=0.3)
    found = rank(split.train, split.users(), baselines.ease(split.train), k=5)
    same_block = found.items_Rk % 4 == split.users()[:, None] % 4
    assert same_block.mean() > 0.9
