"""Two nodes of a Ray cluster find the bytes that two processes of one machine find."""

import pytest

from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.sharded_training import Workers
from recsys_assets.embeddings.training import train
from recsys_assets.launching.launcher import InProcess
from recsys_assets_tests.embeddings.ray_training import SETTINGS, checksum
from recsys_assets_tests.embeddings.worlds import block_world
from recsys_assets_tests.ray_clusters import running_ray


@pytest.mark.scale
def test_two_nodes_find_the_bytes_of_two_processes(tmp_path):
    here = Workers(launcher=InProcess(), shards=2, scratch=tmp_path, threads=1)
    world = InteractionMatrix.from_interactions(block_world())
    with running_ray() as cluster:
        ran = cluster.run("-m", "recsys_assets_tests.embeddings.ray_training", str(tmp_path), timeout=200)
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert ran.stdout.splitlines()[-1] == checksum(train(world, SETTINGS, workers=here))
