"""The file of one value a user, and intervals of means."""

import subprocess
import sys
from datetime import date

import numpy as np
import pytest

from recsys_assets.errors import BrokenReleaseError
from recsys_assets.evaluation.evaluated_users import (
    EVALUATED_USERS_FILE,
    EvaluatedUsers,
    paired_difference,
    read_evaluated_users,
)

FOUND = EvaluatedUsers(
    first_day=date(2024, 3, 25),
    last_day=date(2024, 3, 30),
    user_ids=["u1", "ü ☕"],
    ndcg={"ials": [0.5, 0.25], "popularity": [0.0, 1.0]},
    recall={"ials": [1.0, 0.0], "popularity": [0.0, 1.0]},
)


def test_what_is_saved_is_read_back(tmp_path):
    FOUND.save(tmp_path)
    assert read_evaluated_users(tmp_path) == FOUND


def test_a_release_of_an_older_version_has_none(tmp_path):
    assert read_evaluated_users(tmp_path) is None


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / EVALUATED_USERS_FILE).write_bytes(b'{"first_day')
    with pytest.raises(BrokenReleaseError, match=EVALUATED_USERS_FILE):
        read_evaluated_users(tmp_path)


def test_the_same_shift_of_every_user_is_certain_however_different_users_are():
    before = np.random.default_rng(0).random(200)
    value, low, high = paired_difference(before, before - 0.01, seed=0)
    assert value == pytest.approx(-0.01)
    assert low == pytest.approx(-0.01)
    assert high == pytest.approx(-0.01)


def test_the_interval_of_no_difference_holds_zero():
    rng = np.random.default_rng(1)
    _, low, high = paired_difference(rng.random(300), rng.random(300), seed=0)
    assert low < 0 < high


def test_importing_it_loads_neither_torch_nor_polars():
    script = "import sys, recsys_assets.evaluation.evaluated_users; print(sys.modules.keys() & {'torch', 'polars'})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
