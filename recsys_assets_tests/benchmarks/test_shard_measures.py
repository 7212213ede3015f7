import numpy as np
import pytest

from recsys_assets.benchmarks.shard_measures import Sizes, memory_by_shards, train_equal, uniform_matrix
from recsys_assets.launching.launcher import InProcess

SMALL = Sizes(users=300, items=50, pairs=2_000, embedding_size=4)


def test_a_uniform_matrix_has_the_sizes_and_every_pair_once():
    found = uniform_matrix(SMALL)
    keys = found.user_nums().astype(np.int64) * SMALL.items + found.item_nums
    assert found.shape == (SMALL.users, SMALL.items)
    assert found.indptr[-1] == found.entries == len(np.unique(keys))
    assert 1_500 < found.entries <= SMALL.pairs


@pytest.mark.scale
def test_two_processes_differ_by_rounding_and_their_memory_is_reported():
    launcher = InProcess()
    equal = train_equal(launcher, pairs=5_000)
    assert max(equal["max_difference_users"], equal["max_difference_items"]) < 1e-4
    found = memory_by_shards(launcher, sizes=SMALL)
    assert found["one_mb"] > found["several_mb"] * found["memory_per_node_share"] * 0.99
    assert found["several_mb"] > 0
