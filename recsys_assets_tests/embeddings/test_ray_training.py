"""Two nodes of a Ray cluster find the bytes that two processes of one machine find."""

from collections.abc import Iterator

import pytest

from recsys_assets.benchmarks.ray_nodes import Cluster
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.sharded_training import Workers
from recsys_assets.embeddings.training import train
from recsys_assets.launching.launcher import InProcess
from recsys_assets_tests.embeddings.ray_training import LONGER, checksums, trained
from recsys_assets_tests.embeddings.worlds import block_world
from recsys_assets_tests.ray_clusters import running_ray

pytestmark = [pytest.mark.scale, pytest.mark.slow, pytest.mark.timeout(1_200)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running_ray() as found:
        yield found


@pytest.fixture
def here(tmp_path) -> Workers:
    return Workers(launcher=InProcess(), shards=2, scratch=tmp_path, threads=1)


def ran(cluster: Cluster, *arguments: str) -> str:
    done = cluster.run("-m", "recsys_assets_tests.embeddings.ray_training", *arguments, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()[-1]


def test_two_nodes_find_the_vectors_and_lists_of_two_processes(cluster, here, tmp_path):
    assert ran(cluster, str(tmp_path)) == checksums(here, None)


def test_a_training_one_of_whose_nodes_lost_its_process_starts_over_and_finds_the_same_bytes(
    cluster, here, tmp_path
):
    found, _, said = ran(cluster, str(tmp_path), "killed").partition(" ")
    matrix = InteractionMatrix.from_interactions(block_world(users=1_100, blocks=40))
    assert found == trained(train(matrix, LONGER, workers=here))
    assert said.count("the training starts over, once: process") == 1
