import numpy as np
import pytest

from recsys_assets.embeddings.fit_model import fit_model
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.model_spec import ModelSpec
from recsys_assets.errors import TrainingDataError
from recsys_assets.evaluation.cold_users import measure_new_users, session_score
from recsys_assets.training_settings import TrainingSettings
from recsys_assets_tests.embeddings.worlds import START, block_world, events

SETTINGS = TrainingSettings(embedding_size=8, epochs=5)
CUT = START.replace(day=11).date()


@pytest.fixture(scope="module", params=["ials", "ials+item_item"])
def model(request):
    spec = ModelSpec(model=request.param, first_share=0.5 if "+" in request.param else 1.0, prior_weight=0.1)
    return fit_model(InteractionMatrix.from_interactions(block_world()), spec, SETTINGS)


def newcomers(count=12):
    """Each wishes for three items of a block on day 10 and for five others of it on day 12."""
    rows = []
    for user in range(count):
        mine = [f"i{item:03}" for item in range(user % 4, 60, 4)]
        rows += [(f"n{user:02}", name, 1, 10) for name in mine[:3]]
        rows += [(f"n{user:02}", name, 1, 12) for name in mine[3:8]]
    return rows


def test_a_session_says_more_about_a_newcomer_than_popularity(model):
    found = measure_new_users(model, events(newcomers()), CUT)
    assert found.strangers == found.returning == 12
    assert found.ndcg20_session > 2 * found.ndcg20_session_popular
    assert 0 <= found.ndcg20_strangers <= 1


def test_newcomers_who_never_return_are_strangers_only(model):
    found = measure_new_users(model, events([("new", "i001", 1, 10)]), CUT)
    assert (found.strangers, found.returning) == (1, 0)
    assert np.isnan(found.ndcg20_session)


def test_known_users_do_not_count(model):
    with pytest.raises(TrainingDataError):
        measure_new_users(model, events([("u001", "i001", 1, 10)]), CUT)


def test_a_session_is_scored_as_the_api_folds_it_in(model):
    sessions = InteractionMatrix.from_interactions(events([("s", "i003", 1, 0)]), items=model.matrix.items)
    scores = session_score(model, sessions)(np.array([0])).numpy()[0]
    x = model.parts.fold_in.embed(np.array([model.matrix.items.num("i003")]))
    expected = model.factorisation.item_embeddings @ x
    if model.parts.related is not None:
        row = model.matrix.items.num("i003")
        there = model.parts.related.items_IN[row] >= 0
        np.add.at(
            expected, model.parts.related.items_IN[row][there], model.parts.related.weights_IN[row][there]
        )
    np.testing.assert_allclose(scores, expected, atol=1e-5)
