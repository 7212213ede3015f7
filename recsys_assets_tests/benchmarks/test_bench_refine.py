from recsys_assets.benchmarks.bench_refine import measure
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.evaluation.splits import random_split
from recsys_assets.settings import SoftmaxSettings, TrainingSettings
from recsys_assets_tests.embeddings.worlds import block_world

SETTINGS = TrainingSettings(
    objective="softmax", embedding_size=8, softmax=SoftmaxSettings(epochs=6, batch_users=20, sampled_items=30)
)


def test_a_split_is_measured_with_its_size_and_time():
    split = random_split(
        InteractionMatrix.from_interactions(block_world(share=0.8)), held_out_share=0.2, seed=0
    )
    found = measure(split, SETTINGS)
    assert found["recall20"] > 0.8
    assert found["embedding_size"] == 8
