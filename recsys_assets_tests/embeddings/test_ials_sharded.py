import numpy as np

from recsys_assets.embeddings.factorisation import Start
from recsys_assets.embeddings.ials import load_matrix, load_start, save_matrix, shard_edges
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets_tests.embeddings.worlds import block_world


def test_a_saved_matrix_is_the_same(tmp_path):
    matrix = InteractionMatrix.from_interactions(block_world())
    save_matrix(tmp_path, matrix)
    loaded = load_matrix(tmp_path)
    assert list(loaded.users) == list(matrix.users)
    assert loaded.item_nums.tolist() == matrix.item_nums.tolist()
    assert load_start(tmp_path) is None


def test_a_saved_start_is_the_same(tmp_path):
    start = Start(
        user_embeddings=np.ones((80, 2), dtype=np.float32), item_embeddings=np.ones((60, 2), np.float32)
    )
    save_matrix(tmp_path, InteractionMatrix.from_interactions(block_world()), start)
    assert load_start(tmp_path).user_embeddings.tolist() == start.user_embeddings.tolist()


def test_shards_have_about_as_many_entries_and_cover_all_rows():
    assert shard_edges(np.array([0, 10, 10, 20, 30, 40]), 2) == [0, 3, 5]
    assert shard_edges(np.array([0, 100]), 3)[-1] == 1
