from recsys_assets.benchmarks import synthetic
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.interactions.contract import INTERACTIONS
from recsys_assets.storage.partition_store import PartitionStore

WORLD = synthetic.SyntheticWorld(users=60, items=40, interactions=2000, tastes=4, days=5)


def test_the_same_seed_gives_the_same_partitions_and_another_seed_others():
    again = synthetic.SyntheticWorld(users=60, items=40, interactions=2000, tastes=4, days=5)
    other = synthetic.SyntheticWorld(users=60, items=40, interactions=2000, tastes=4, days=5, seed=1)
    assert WORLD.day_frame(3).equals(again.day_frame(3))
    assert not WORLD.day_frame(3).equals(other.day_frame(3))


def test_partitions_hold_every_interaction_once_and_fit_the_contract(tmp_path):
    store = PartitionStore(root=tmp_path, schema=INTERACTIONS.polars_schema())
    assert synthetic.write_partitions(WORLD, store) == 2000
    assert len(store.days()) == 5
    INTERACTIONS.pandera_schema().validate(store.read(store.days()[0]))


def test_the_matrix_is_what_the_partitions_give(tmp_path, monkeypatch):
    monkeypatch.setattr(synthetic, "_PENDING_EVENTS", 500)
    store = PartitionStore(root=tmp_path, schema=INTERACTIONS.polars_schema())
    synthetic.write_partitions(WORLD, store)
    whole = synthetic.matrix(WORLD)
    read = InteractionMatrix.from_interactions(store.scan(store.days()), users=whole.users, items=whole.items)
    for field in ("indptr", "item_nums", "weights", "last_day"):
        assert getattr(whole, field).tolist() == getattr(read, field).tolist()


def test_users_prefer_items_of_their_taste():
    users, items = WORLD.day_nums(0)
    same = WORLD.user_tastes[users] == WORLD.item_tastes[items]
    assert same.mean() > 0.6
