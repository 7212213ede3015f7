import numpy as np
import polars as pl
import pytest

from recsys_assets import columns
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.model_files import last_trained, load_embeddings, save_embeddings, start_from
from recsys_assets.embeddings.training import train
from recsys_assets.training_settings import TrainingSettings
from recsys_assets_tests.embeddings.worlds import START, block_world

SETTINGS = TrainingSettings(embedding_size=8, epochs=12)
QUARTER = TrainingSettings(embedding_size=8, epochs=3)


@pytest.fixture
def days():
    """All days of a world, and the earlier release's matrix and embeddings of all but the last day."""
    world = block_world()
    return world, world.filter(pl.col(columns.TIMESTAMP).dt.date() < START.date().replace(day=10))


@pytest.fixture
def earlier(days, tmp_path):
    matrix = InteractionMatrix.from_interactions(days[1].filter(pl.col(columns.USER_ID) != "u005"))
    save_embeddings(tmp_path, matrix=matrix, factorisation=train(matrix, SETTINGS))
    return load_embeddings(tmp_path)


def test_a_quarter_of_the_epochs_from_the_last_release_reach_the_cold_run(days, earlier):
    matrix = InteractionMatrix.from_interactions(days[0])
    start = start_from(earlier, users=matrix.users, items=matrix.items, component="ials", embedding_size=8)
    warm, cold = train(matrix, QUARTER, start=start), train(matrix, SETTINGS)
    assert warm.losses[-1] <= cold.losses[-1] * 1.01
    assert warm.losses[0] < cold.losses[2]


def test_a_new_user_starts_at_zero_and_a_known_one_where_it_was(days, earlier):
    matrix = InteractionMatrix.from_interactions(days[0])
    start = start_from(earlier, users=matrix.users, items=matrix.items, component="ials", embedding_size=8)
    assert not start.user_embeddings[matrix.users.num("u005")].any()
    known = earlier.user_embeddings[earlier.users.num("u007")]
    assert start.user_embeddings[matrix.users.num("u007")].tolist() == known.tolist()


def test_embeddings_of_another_size_are_no_start(days, earlier):
    matrix = InteractionMatrix.from_interactions(days[0])
    assert (
        start_from(earlier, users=matrix.users, items=matrix.items, component="ials", embedding_size=16)
        is None
    )


def test_the_last_embeddings_are_taken_only_where_the_settings_ask_for_it(days, earlier, tmp_path):
    matrix = InteractionMatrix.from_interactions(days[0])
    asking = TrainingSettings(embedding_size=8, warm_start_epochs=3)
    assert last_trained(tmp_path, matrix, SETTINGS, component="ials") is None
    assert last_trained(tmp_path / "nothing", matrix, asking, component="ials") is None
    start = last_trained(tmp_path, matrix, asking, component="ials")
    known = earlier.item_embeddings[earlier.items.num("i007")]
    assert start.item_embeddings[matrix.items.num("i007")].tolist() == known.tolist()


def test_a_saved_history_is_most_recent_first(tmp_path):
    world = InteractionMatrix.from_interactions(block_world())
    save_embeddings(tmp_path, matrix=world, factorisation=train(world, QUARTER))
    saved = load_embeddings(tmp_path)
    days = saved.history_days[saved.history_indptr[3] : saved.history_indptr[4]]
    assert (np.diff(days) <= 0).all()
    assert saved.popular_scores[0] == saved.popular_scores.max()
