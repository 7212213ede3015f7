import os
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from recsys_assets.embeddings import ials
from recsys_assets.embeddings.ials_sharded import load_matrix, save_matrix, shard_edges
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.settings import TrainingSettings
from recsys_assets_tests.embeddings.worlds import block_world


def trained_by(processes, matrix, settings, folder):
    """Both sides as `processes` gloo processes on this machine find them, started by torchrun."""
    save_matrix(folder / "matrix", matrix)
    subprocess.run(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",  # a free port of this machine
            f"--nproc-per-node={processes}",
            "-m",
            "recsys_assets.embeddings.ials_sharded",
            str(folder / "matrix"),
            str(folder / "out"),
            msgspec.json.encode(settings).decode(),
        ],
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    return np.load(folder / "out" / "user_embeddings.npy"), np.load(folder / "out" / "item_embeddings.npy")


def test_two_processes_find_the_factors_of_one(tmp_path):
    matrix, settings = InteractionMatrix.from_interactions(block_world()), TrainingSettings(embedding_size=8)
    alone = ials.train(matrix, settings)
    users, items = trained_by(2, matrix, settings, tmp_path)
    np.testing.assert_allclose(users, alone.user_embeddings, atol=1e-4)
    np.testing.assert_allclose(items, alone.item_embeddings, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 3])
def test_processes_find_the_factors_of_one_on_movielens(tmp_path, processes):
    folder = os.environ.get("RECSYS_TEST_DATA")
    if folder is None:
        pytest.skip("RECSYS_TEST_DATA is not set")
    from recsys_assets.benchmarks.datasets import pairs_matrix

    matrix = pairs_matrix(Path(folder) / "movielens_1m_pairs.parquet")[0]
    settings = TrainingSettings(epochs=4)
    alone = ials.train(matrix, settings)
    users, items = trained_by(processes, matrix, settings, tmp_path)
    np.testing.assert_allclose(users, alone.user_embeddings, atol=1e-4)
    np.testing.assert_allclose(items, alone.item_embeddings, atol=1e-4)


def test_a_saved_matrix_is_the_same(tmp_path):
    matrix = InteractionMatrix.from_interactions(block_world())
    save_matrix(tmp_path, matrix)
    loaded = load_matrix(tmp_path)
    assert list(loaded.users) == list(matrix.users)
    assert loaded.item_nums.tolist() == matrix.item_nums.tolist()


def test_shards_have_about_as_many_entries_and_cover_all_rows():
    assert shard_edges(np.array([0, 10, 10, 20, 30, 40]), 2) == [0, 3, 5]
    assert shard_edges(np.array([0, 100]), 3)[-1] == 1
