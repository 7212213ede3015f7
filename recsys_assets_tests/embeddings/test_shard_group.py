"""Sums over processes are those of numpy in the order of the ranks, and every process has the same."""

import numpy as np
import pytest
import torch

from recsys_assets.embeddings.shard_group import ALONE
from recsys_assets.launching.launcher import InProcess
from recsys_assets_tests.embeddings.group_work import ROWS, moved, parts


def test_one_process_owns_all_rows_and_moves_nothing():
    rows_RD = torch.ones(3, 2)
    assert ALONE.own(3) == slice(0, 3)
    assert ALONE.collect(rows_RD) is rows_RD
    assert ALONE.spread(rows_RD, 3) is rows_RD
    assert ALONE.total(rows_RD) is rows_RD


@pytest.mark.scale
def test_three_processes_have_the_sums_in_the_order_of_their_ranks():
    found = InProcess().gang(moved, ROWS, size=3)
    total = np.array(parts(0)) + parts(1) + parts(2)
    assert all(one.total == total.tolist() for one in found)
    assert [row for one in found for row in one.own] == total.tolist()
    assert [one.first for one in found] == [0.0, 0.0, 0.0]
