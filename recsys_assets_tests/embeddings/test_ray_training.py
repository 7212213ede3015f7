"""Two nodes of a Ray cluster find the bytes that two processes of one machine find."""

import pytest

from recsys_assets.embeddings.sharded_training import Workers
from recsys_assets.launching.launcher import InProcess
from recsys_assets_tests.embeddings.ray_training import checksums
from recsys_assets_tests.ray_clusters import running_ray


@pytest.mark.scale
@pytest.mark.slow
def test_two_nodes_find_the_vectors_and_lists_of_two_processes(tmp_path):
    here = Workers(launcher=InProcess(), shards=2, scratch=tmp_path, threads=1)
    with running_ray() as cluster:
        ran = cluster.run("-m", "recsys_assets_tests.embeddings.ray_training", str(tmp_path), timeout=200)
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert ran.stdout.splitlines()[-1] == checksums(here, None)
