import numpy as np

from recsys_assets.embeddings import ials_half_step, memory_plan
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.training import train
from recsys_assets.training_settings import TrainingSettings
from recsys_assets_tests.embeddings.worlds import block_world


def test_small_chunks_give_the_same_factors(monkeypatch):
    world = InteractionMatrix.from_interactions(block_world())
    settings = TrainingSettings(embedding_size=8, epochs=12)
    whole = train(world, settings)
    monkeypatch.setitem(memory_plan.CHUNK_ENTRIES, "cpu", 100)
    monkeypatch.setitem(memory_plan.CHUNK_NUMBERS, "cpu", 56)
    np.testing.assert_allclose(train(world, settings).user_embeddings, whole.user_embeddings, atol=1e-5)


def test_order_by_is_a_stable_argsort():
    nums = np.random.default_rng(0).integers(0, 50, 1000).astype(np.int32)
    assert ials_half_step.order_by(nums).tolist() == np.argsort(nums, kind="stable").tolist()
