import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.embeddings import shared_users
from recsys_assets.embeddings.shared_users import SharedUsers


@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 8)), max_size=60, unique=True),
    st.integers(0, 9),
    st.integers(0, 9),
)
def test_shared_users_are_those_of_the_product_in_both_forms(pairs, one, other):
    has = np.zeros((7, 9))
    for user, item in pairs:
        has[user, item] = 1
    users_n, items_n = np.nonzero(has)
    start, stop = sorted((one, other))
    for cells in (0, 1 << 20):
        shared = SharedUsers(users_n, items_n, (7, 9), dense_cells=cells)
        assert shared.rows(start, stop).tolist() == (has.T @ has)[start:stop].tolist()


def test_shared_users_are_counted_in_blocks_of_pairs(monkeypatch):
    has = np.random.default_rng(0).random((50, 30)) < 0.4
    users_n, items_n = np.nonzero(has)
    monkeypatch.setattr(shared_users, "_CHUNK_PAIRS", 17)
    shared = SharedUsers(users_n, items_n, has.shape, dense_cells=0)
    assert (shared.rows(3, 20).numpy() == (has.T.astype(int) @ has)[3:20]).all()


def test_values_of_a_pair_are_multiplied_and_summed_in_both_forms():
    values = np.random.default_rng(0).random((20, 15)).astype(np.float32)
    values[values < 0.5] = 0
    users_n, items_n = np.nonzero(values)
    for cells in (0, 1 << 20):
        shared = SharedUsers(
            users_n, items_n, values.shape, values_n=values[users_n, items_n], dense_cells=cells
        )
        np.testing.assert_allclose(shared.rows(2, 9), (values.T @ values)[2:9], rtol=1e-5)
