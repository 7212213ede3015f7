"""Several processes started by torchrun find what one process finds."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from recsys_assets.benchmarks.datasets import pairs_matrix
from recsys_assets.embeddings.factorisation import Start
from recsys_assets.embeddings.ials import Workers
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.training import train
from recsys_assets.orchestration.multiprocess import torchrun_command
from recsys_assets.training_settings import TrainingSettings
from recsys_assets_tests.embeddings.worlds import block_world


def workers_in(scratch):
    """Workers started without Dagster, a thread each."""

    def run(matrix_folder, out, settings):
        command = torchrun_command(matrix_folder, out, settings)
        subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})

    return Workers(run=run, scratch=scratch)


def assert_same(found, alone):
    np.testing.assert_allclose(found.user_embeddings, alone.user_embeddings, atol=1e-4)
    np.testing.assert_allclose(found.item_embeddings, alone.item_embeddings, atol=1e-4)
    np.testing.assert_allclose(found.losses, alone.losses, rtol=1e-5)
    assert found.confidences.tobytes() == alone.confidences.tobytes()


def test_two_processes_find_the_factors_of_one(tmp_path):
    matrix = InteractionMatrix.from_interactions(block_world())
    settings = TrainingSettings(embedding_size=8, processes=2)
    alone = train(matrix, settings)
    assert_same(train(matrix, settings, workers=workers_in(tmp_path)), alone)


def test_two_processes_go_on_from_a_start_as_one_does(tmp_path):
    matrix = InteractionMatrix.from_interactions(block_world())
    settings = TrainingSettings(embedding_size=8, processes=2, epochs=3)
    before = train(matrix, settings)
    start = Start(user_embeddings=before.user_embeddings, item_embeddings=before.item_embeddings)
    alone = train(matrix, settings, start=start)
    assert_same(train(matrix, settings, start=start, workers=workers_in(tmp_path)), alone)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 3])
def test_processes_find_the_factors_of_one_on_movielens(tmp_path, processes):
    folder = os.environ.get("RECSYS_TEST_DATA")
    if folder is None:
        pytest.skip("RECSYS_TEST_DATA is not set")
    matrix = pairs_matrix(Path(folder) / "movielens_1m_pairs.parquet")[0]
    settings = TrainingSettings(epochs=4, processes=processes)
    assert_same(train(matrix, settings, workers=workers_in(tmp_path)), train(matrix, settings))


def test_a_worker_does_not_import_dagster():
    script = "import sys, recsys_assets.orchestration.multiprocess; print('dagster' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
