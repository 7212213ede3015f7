from itertools import pairwise

import numpy as np
import pytest

from recsys_assets.embeddings import ials_half_step
from recsys_assets.embeddings.ials_half_step import sides
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.model_files import load_embeddings, save_embeddings
from recsys_assets.embeddings.training import train
from recsys_assets.errors import EmptyHistoryError
from recsys_assets.settings import TrainingSettings
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


def test_small_chunks_give_the_same_factors(world, monkeypatch):
    whole = train(world, SMALL)
    monkeypatch.setattr(ials_half_step, "CHUNK_ENTRIES", 100)
    monkeypatch.setattr(ials_half_step, "CHUNK_NUMBERS", 56)
    np.testing.assert_allclose(train(world, SMALL).user_embeddings, whole.user_embeddings, atol=1e-5)


def test_order_by_is_a_stable_argsort():
    nums = np.random.default_rng(0).integers(0, 50, 1000).astype(np.int32)
    assert ials_half_step.order_by(nums).tolist() == np.argsort(nums, kind="stable").tolist()


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


def test_folding_a_history_in_gives_the_trained_vector_and_the_saved_one(world, tmp_path):
    settings = TrainingSettings(embedding_size=16, count_exponent=1, frequency_exponent=0.7)
    found = train(world, settings)
    save_embeddings(tmp_path, matrix=world, factorisation=found)
    saved = load_embeddings(tmp_path)
    for user in range(len(saved.users)):
        entries = slice(saved.history_indptr[user], saved.history_indptr[user + 1])
        vector = saved.fold_in.embed(saved.history_items[entries], saved.history_weights[entries])
        np.testing.assert_allclose(vector, saved.user_embeddings[user], atol=1e-4)


def test_raises_when_nothing_is_folded_in(world, tmp_path):
    save_embeddings(tmp_path, matrix=world, factorisation=train(world, SMALL))
    with pytest.raises(EmptyHistoryError):
        load_embeddings(tmp_path).fold_in.embed(np.array([], dtype=np.int32))


def test_a_saved_history_is_most_recent_first(world, tmp_path):
    save_embeddings(tmp_path, matrix=world, factorisation=train(world, SMALL))
    saved = load_embeddings(tmp_path)
    days = saved.history_days[saved.history_indptr[3] : saved.history_indptr[4]]
    assert (np.diff(days) <= 0).all()
    assert saved.popular_scores[0] == saved.popular_scores.max()
