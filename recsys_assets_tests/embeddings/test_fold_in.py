import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.embeddings.fold_in import FoldIn, FoldInEquations
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.model_files import load_embeddings, save_embeddings
from recsys_assets.embeddings.score_parts import ScoreParts
from recsys_assets.embeddings.score_recipe import FactorSlice, Prior, ScoreRecipe
from recsys_assets.embeddings.training import train
from recsys_assets.errors import EmptyHistoryError
from recsys_assets.training_settings import TrainingSettings
from recsys_assets_tests.embeddings.worlds import block_world

ITEMS, SIZE = 50, 12


@given(count=st.integers(1, 30), seed=st.integers(0, 1000), weighted=st.booleans())
def test_few_and_many_items_solve_the_same_equations(*, count: int, seed: int, weighted: bool) -> None:
    rng = np.random.default_rng(seed)
    items_ID = rng.normal(size=(ITEMS, SIZE)).astype(np.float32)
    equations = FoldInEquations(
        gram_DD=np.float32(0.3) * items_ID.T @ items_ID,
        items=ITEMS,
        unobserved_weight=0.3,
        regularization=0.01,
        frequency_exponent=1.0,
        activity_exponent=0.5,
        activity_scale=0.4,
    )
    nums = rng.choice(ITEMS, size=count, replace=False)
    weights_n = (rng.uniform(0.2, 3, size=count) if weighted else np.ones(count)).astype(np.float32)
    activity = 0.4 * count**0.5
    touched_nD = items_ID[nums].astype(np.float64)
    ridge = 0.01 * (weights_n.sum() + activity * 0.3 * ITEMS)
    normal_DD = activity * equations.gram_DD + (touched_nD.T * weights_n) @ touched_nD + ridge * np.eye(SIZE)
    expected_D = np.linalg.solve(normal_DD, touched_nD.T @ weights_n)
    np.testing.assert_allclose(
        equations.solve(items_ID[nums], weights_n if weighted else None), expected_D, rtol=1e-3, atol=1e-4
    )


@pytest.fixture(scope="module")
def world():
    return InteractionMatrix.from_interactions(block_world())


def test_folding_a_history_in_gives_the_trained_vector_and_the_saved_one(world, tmp_path):
    settings = TrainingSettings(embedding_size=16, count_exponent=1, frequency_exponent=0.7)
    found = train(world, settings)
    save_embeddings(tmp_path, matrix=world, factorisation=found)
    saved = load_embeddings(tmp_path)
    for user in range(len(saved.users)):
        entries = slice(saved.history_indptr[user], saved.history_indptr[user + 1])
        vector = saved.score.fold_in.embed(saved.history_items[entries], saved.history_weights[entries])
        np.testing.assert_allclose(vector, saved.user_embeddings[user], atol=1e-4)


def test_raises_when_nothing_is_folded_in(world, tmp_path):
    save_embeddings(tmp_path, matrix=world, factorisation=train(world, TrainingSettings(embedding_size=8)))
    with pytest.raises(EmptyHistoryError):
        load_embeddings(tmp_path).score.fold_in.embed(np.array([], dtype=np.int32))


def _equations(items_ID, weight):
    return FoldInEquations(
        gram_DD=np.float32(weight) * items_ID.T @ items_ID,
        items=len(items_ID),
        unobserved_weight=weight,
        regularization=0.01,
        frequency_exponent=1.0,
    )


@pytest.fixture
def blend():
    """Two factorisations, of which the second has weight 0 and no equations, and a prior."""
    items_ID = np.random.default_rng(0).normal(size=(ITEMS, 4 + 3 + 2 + 1)).astype(np.float32)
    recipe = ScoreRecipe(
        model="ials+softmax",
        factors={
            "ials": FactorSlice(first=0, end=4, weight=0.5),
            "silent": FactorSlice(first=4, end=7, weight=0.0),
            "softmax": FactorSlice(first=7, end=9),
        },
        prior=Prior(half_life_days=30.0, weight=0.1, user_coordinate=0.25),
    )
    equations = {"ials": _equations(items_ID[:, :4], 0.3), "softmax": _equations(items_ID[:, 7:9], 0.1)}
    return FoldIn(item_embeddings=items_ID, recipe=recipe, equations=equations)


def test_each_factorisation_of_a_blend_solves_its_own_equations(blend):
    nums = np.array([3, 7])
    vector, items_ID = blend.embed(nums), blend.item_embeddings
    ials = blend.equations["ials"].solve(np.ascontiguousarray(items_ID[nums, :4]))
    softmax = blend.equations["softmax"].solve(np.ascontiguousarray(items_ID[nums, 7:9]))
    np.testing.assert_allclose(vector[:4], 0.5 * ials, rtol=1e-6)
    np.testing.assert_allclose(vector[7:9], softmax, rtol=1e-6)
    assert vector[4:7].tolist() == [0.0] * 3
    assert vector[9] == 0.25


def test_a_blend_is_read_as_it_was_written(blend, tmp_path):
    like = np.array([-1, 0], dtype=np.int32)
    ScoreParts(recipe=blend.recipe, fold_in=blend, like_items=like).save(tmp_path)
    found = ScoreParts.load(tmp_path, blend.item_embeddings)
    assert found.recipe == blend.recipe
    assert found.related is None
    assert found.like_items.tolist() == [-1, 0]
    assert found.fold_in.embed(np.array([1, 2])).tolist() == blend.embed(np.array([1, 2])).tolist()
