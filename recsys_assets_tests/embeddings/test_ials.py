from itertools import pairwise

import numpy as np
import pytest

from recsys_assets.embeddings.ials_half_step import sides
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.training import train
from recsys_assets.training_settings import TrainingSettings
from recsys_assets_tests.embeddings.worlds import block_world, events

SMALL = TrainingSettings(embedding_size=8, epochs=12)


@pytest.fixture(scope="module")
def world():
    return InteractionMatrix.from_interactions(block_world())


def test_the_objective_falls_every_epoch(world):
    losses = train(world, SMALL).losses
    assert all(after < before for before, after in pairwise(losses[:4]))
    rounding = 1e-6  # once converged, the objective moves by no more
    assert all(after < before * (1 + rounding) for before, after in pairwise(losses))


def test_a_planted_block_world_is_recovered(world):
    found = train(world, TrainingSettings(embedding_size=4))
    scores_UI = found.user_embeddings @ found.item_embeddings.T
    same_UI = np.arange(len(world.users))[:, None] % 4 == np.arange(len(world.items)) % 4
    assert scores_UI[same_UI].min() > scores_UI[~same_UI].max()


def test_the_same_seed_gives_the_same_bytes(world):
    first, second = train(world, SMALL), train(world, SMALL)
    assert first.user_embeddings.tobytes() == second.user_embeddings.tobytes()
    assert first.item_embeddings.tobytes() == second.item_embeddings.tobytes()


def test_the_objective_is_the_sum_over_all_pairs(world):
    settings = TrainingSettings(embedding_size=8, epochs=3, frequency_exponent=0.5, activity_exponent=0.7)
    seen = {}

    def keep(epoch, users_UD, items_ID):
        seen.update(x=users_UD.double().numpy().copy(), y=items_ID.double().numpy().copy())
        return epoch == 2

    found = train(world, settings, stop_after=keep)
    settings = found.settings
    users, items = sides(world, found.confidences, settings)
    predicted_UI = seen["x"] @ seen["y"].T
    confidence_UI = np.zeros(world.shape)
    confidence_UI[world.user_nums(), world.item_nums] = found.confidences
    degrees_U1 = np.diff(world.indptr)[:, None] ** 0.7
    unobserved_U1 = settings.unobserved_weight * degrees_U1 / degrees_U1.mean()
    dense = (confidence_UI * (1 - predicted_UI) ** 2 + unobserved_U1 * predicted_UI**2).sum()
    dense += (users.l2_R.numpy() * (seen["x"] ** 2).sum(1)).sum()
    dense += (items.l2_R.numpy() * (seen["y"] ** 2).sum(1)).sum()
    assert len(found.losses) == 2
    assert found.losses[-1] * world.entries == pytest.approx(dense, rel=1e-5)


@pytest.mark.parametrize(
    "world_rows",
    [[("u", "i", 1, 0)], [("u", "i", 1, 0), ("u", "j", 1, 0)], [("u", "i", 1, 0), ("v", "i", 1, 0)]],
)
def test_one_user_or_one_item_is_factorised(world_rows):
    matrix = InteractionMatrix.from_interactions(events(world_rows))
    found = train(matrix, SMALL)
    scores = (found.user_embeddings @ found.item_embeddings.T)[matrix.user_nums(), matrix.item_nums]
    assert (scores > 0.3).all()


def test_an_embedding_larger_than_the_catalogue_still_recovers_the_world(world):
    found = train(world, TrainingSettings(embedding_size=128))
    scores_UI = found.user_embeddings @ found.item_embeddings.T
    assert scores_UI[world.user_nums(), world.item_nums].min() > np.median(scores_UI)
