import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.evaluation import baselines
from recsys_assets.evaluation.held_out import rank, time_split
from recsys_assets_tests.embeddings.worlds import block_world, events


def test_item_knn_finds_the_items_of_a_neighbour():
    train = InteractionMatrix.from_interactions(
        events([("u", "a", 1, 0), ("v", "a", 1, 0), ("v", "b", 1, 0), ("w", "c", 1, 0), ("x", "c", 1, 0)])
    )
    found = rank(train, np.array([0]), baselines.item_knn(train), k=2)
    assert found.items_Rk.tolist() == [[1, 2]]


def test_ease_finds_the_items_of_the_block():
    split = time_split(block_world(share=0.7), held_out_share=0.3)
    found = rank(split.train, split.users(), baselines.ease(split.train), k=5)
    same_block = found.items_Rk % 4 == split.users()[:, None] % 4
    assert same_block.mean() > 0.9


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
        shared = baselines.SharedUsers(users_n, items_n, (7, 9), dense_cells=cells)
        assert shared.rows(start, stop).tolist() == (has.T @ has)[start:stop].tolist()


def test_shared_users_are_counted_in_blocks_of_pairs(monkeypatch):
    has = np.random.default_rng(0).random((50, 30)) < 0.4
    users_n, items_n = np.nonzero(has)
    monkeypatch.setattr(baselines, "_CHUNK_PAIRS", 17)
    shared = baselines.SharedUsers(users_n, items_n, has.shape, dense_cells=0)
    assert (shared.rows(3, 20).numpy() == (has.T.astype(int) @ has)[3:20]).all()
