import numpy as np
import pytest

from recsys_assets.embeddings.components import COMPONENTS, own_weights, user_vectors
from recsys_assets.embeddings.embedding_audit import embedding_results
from recsys_assets.embeddings.fit_model import fit_model
from recsys_assets.embeddings.fit_release import fit_release
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.model_files import load_embeddings
from recsys_assets.embeddings.model_spec import ModelSpec
from recsys_assets.embeddings.score_parts import RelatedByUser
from recsys_assets.training_settings import TrainingSettings
from recsys_assets_tests.embeddings.worlds import block_world, events

SETTINGS = TrainingSettings(embedding_size=8, epochs=5)
MODELS = ["ials", "softmax", "item_item", "popular", "ials+item_item", "softmax+item_item", "ials+softmax"]


@pytest.fixture(scope="module")
def matrix():
    return InteractionMatrix.from_interactions(block_world())


def spec_of(model):
    return ModelSpec(
        model=model,
        first_share=0.6 if "+" in model else 1.0,
        own_half_life_days=3.0,
        prior_half_life_days=5.0,
        prior_weight=0.5,
    )


@pytest.mark.parametrize("model", MODELS)
def test_the_saved_arrays_give_the_score_of_the_model(matrix, model, tmp_path):
    found = fit_release(block_world(), spec_of(model), SETTINGS)
    found.save(tmp_path)
    saved = load_embeddings(tmp_path)
    users = np.arange(len(matrix.users))
    scores = np.ascontiguousarray(saved.user_embeddings @ saved.item_embeddings.T)
    if saved.score.related is not None:
        RelatedByUser(
            rows=saved.score.related,
            recipe=saved.score.recipe,
            history_indptr=saved.history_indptr,
            history_items=saved.history_items,
            history_days=saved.history_days,
        ).add_to(scores, slice(0, len(users)))
    assert saved.score.recipe.model == model
    np.testing.assert_allclose(found.model.score()(users).numpy(), scores, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("model", MODELS)
def test_the_vectors_of_every_model_pass_their_audit(model, tmp_path):
    fit_release(block_world(), spec_of(model), SETTINGS).save(tmp_path)
    saved = load_embeddings(tmp_path)
    recipe = saved.score.recipe
    users = embedding_results("user_embeddings", saved.user_embeddings, factors=recipe.scored_factors)
    items = embedding_results("item_embeddings", saved.item_embeddings, factors=slice(recipe.factor_size))
    assert {one.verdict for one in [*users, *items]} == {"ok"}


def test_one_component_without_a_prior_keeps_its_own_scores(matrix):
    fitted = COMPONENTS["ials"].fit(matrix, SETTINGS)
    found = fit_model(matrix, ModelSpec(model="ials"), SETTINGS, fitted={"ials": fitted})
    users = np.arange(5)
    np.testing.assert_allclose(
        found.score()(users).numpy(), fitted.scores(matrix, None)(users).numpy(), atol=1e-6
    )


def test_popular_is_the_same_for_everyone_and_most_recent_first():
    world = events([(f"u{n}", "old", 1, 0) for n in range(6)] + [(f"u{n}", "new", 1, 20) for n in range(4)])
    matrix = InteractionMatrix.from_interactions(world)
    spec = ModelSpec(model="popular", prior_half_life_days=5.0)
    scores = fit_model(matrix, spec, SETTINGS).score()(np.arange(6)).numpy()
    assert (scores == scores[0]).all()
    assert scores[0, matrix.items.num("new")] > scores[0, matrix.items.num("old")]


def test_a_users_recent_wishes_turn_the_vector(matrix):
    fitted = COMPONENTS["ials"].fit(matrix, SETTINGS)
    own = own_weights(matrix, 2.0)
    turned = user_vectors(fitted, matrix, own)
    assert turned.shape == fitted.factors.user_embeddings.shape
    assert not np.allclose(turned, fitted.factors.user_embeddings)
    same = user_vectors(fitted, matrix, np.ones(matrix.entries, np.float32))
    np.testing.assert_allclose(same, fitted.factors.user_embeddings, atol=1e-3)


def test_the_last_wish_of_each_user_weighs_one(matrix):
    own = own_weights(matrix, 7.0)
    best = np.maximum.reduceat(own, matrix.indptr[:-1][np.diff(matrix.indptr) > 0])
    assert (best == 1).all()
    assert own_weights(matrix, None) is None


def test_users_without_a_wish_get_the_priors_list(tmp_path):
    rows = [(f"u{u}", f"i{i}", 1, 0) for u in range(6) for i in range(5) if (u + i) % 2]
    world = events([*rows, ("critic", "i1", 0, 1), ("critic", "i2", 0, 1)])
    found = fit_release(world, ModelSpec(model="ials", prior_weight=1.0), SETTINGS)
    found.save(tmp_path)
    saved = load_embeddings(tmp_path)
    num = saved.users.num("critic")
    assert not saved.user_embeddings[num, :-1].any()
    assert saved.user_embeddings[num, -1] > 0
    seen = saved.seen_items[saved.seen_indptr[num] : saved.seen_indptr[num + 1]]
    assert [saved.items[int(item)] for item in seen] == ["i1", "i2"]
    assert saved.history_indptr[num] == saved.history_indptr[num + 1]


def test_every_component_foretells_its_time(matrix):
    for one in COMPONENTS.values():
        assert one.seconds(matrix, SETTINGS) >= 0


def test_equal_scores_are_ordered_by_popularity_also_without_a_prior():
    rows = [(f"u{u}", f"i{i}", 1, 0) for u in range(6) for i in range(u + 1)]
    matrix = InteractionMatrix.from_interactions(events([*rows, ("critic", "i5", 0, 1)]))
    scores = fit_model(matrix, ModelSpec(model="ials"), SETTINGS).score()
    own = scores(np.array([matrix.users.num("critic")])).numpy()[0]
    assert own.argsort()[::-1].tolist() == [0, 1, 2, 3, 4, 5]
