import numpy as np
import pytest

from recsys_assets.embeddings.factorisation import with_strengths
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.training import train
from recsys_assets.evaluation.held_out import by_factors, random_split, rank
from recsys_assets.evaluation.metrics import user_metrics
from recsys_assets.training_settings import TrainingSettings
from recsys_assets_tests.embeddings.worlds import block_world, events


def test_strengths_that_are_given_stay():
    matrix = InteractionMatrix.from_interactions(block_world())
    given = TrainingSettings(unobserved_weight=0.7, regularization=0.02)
    assert with_strengths(given, matrix) == given
    half = with_strengths(TrainingSettings(unobserved_weight=0.7), matrix)
    assert half.unobserved_weight == 0.7
    assert half.regularization > 0


def test_the_weaker_the_unobserved_pairs_the_stronger_the_l2():
    matrix = InteractionMatrix.from_interactions(block_world())
    weak, strong = (
        with_strengths(TrainingSettings(unobserved_weight=weight), matrix) for weight in (0.05, 0.5)
    )
    assert weak.regularization > strong.regularization


def noisy_blocks(*, users, items, each):
    """Each user has about `each` items: 70 % of them of the user's block of four, the others of any."""
    rng = np.random.default_rng(0)
    rows = set()
    for user in range(users):
        anywhere = rng.random(each) < 0.3
        at_home = rng.integers(items // 4, size=each) * 4 + user % 4
        chosen = np.where(anywhere, rng.integers(items, size=each), at_home)
        rows |= {(f"u{user:04}", f"i{item:04}", 1.0, 0) for item in chosen.tolist()}
    return InteractionMatrix.from_interactions(events(sorted(rows)))


def held_out_ndcg(split, settings):
    found = train(split.train, settings)
    users = np.flatnonzero(np.diff(split.truth.indptr))
    ranking = rank(split.train, users, by_factors(found.user_embeddings, found.item_embeddings), k=20)
    return user_metrics(ranking, split.truth, k=20)["ndcg"].mean()


@pytest.mark.parametrize(
    "shape",
    [
        {"users": 1000, "items": 400, "each": 6},
        {"users": 400, "items": 200, "each": 60},
        {"users": 200, "items": 1000, "each": 100},
    ],
    ids=["1 % dense", "20 % dense", "10 % dense"],
)
def test_an_untuned_run_ranks_better_than_one_constant_for_all_densities(shape):
    split = random_split(noisy_blocks(**shape), held_out_share=0.2, seed=0)
    constant = TrainingSettings(unobserved_weight=0.3, regularization=0.005)
    assert held_out_ndcg(split, TrainingSettings()) > 1.1 * held_out_ndcg(split, constant)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("size", [(80, 60), (30, 600), (600, 30)])
def test_an_untuned_run_tells_the_blocks_apart_whatever_the_density(share, size):
    users, items = size
    matrix = InteractionMatrix.from_interactions(block_world(users=users, items=items, share=share))
    found = train(matrix, TrainingSettings(embedding_size=8))
    scores_UI = found.user_embeddings @ found.item_embeddings.T
    rows, cols = ([int(name[1:]) % 4 for name in side] for side in (matrix.users, matrix.items))
    same_UI = np.equal.outer(rows, cols)
    assert scores_UI[same_UI].mean() > 2 * abs(scores_UI[~same_UI].mean())
