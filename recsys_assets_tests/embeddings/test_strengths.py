import numpy as np
import pytest

from recsys_assets.embeddings import ials
from recsys_assets.embeddings.matrix import InteractionMatrix
from recsys_assets.embeddings.strengths import with_strengths
from recsys_assets.settings import TrainingSettings
from recsys_assets_tests.embeddings.worlds import block_world


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


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("size", [(80, 60), (30, 600), (600, 30)])
def test_an_untuned_run_tells_the_blocks_apart_whatever_the_density(share, size):
    users, items = size
    matrix = InteractionMatrix.from_interactions(block_world(users=users, items=items, share=share))
    found = ials.train(matrix, TrainingSettings(embedding_size=8))
    scores_UI = found.user_embeddings @ found.item_embeddings.T
    rows, cols = ([int(name[1:]) % 4 for name in side] for side in (matrix.users, matrix.items))
    same_UI = np.equal.outer(rows, cols)
    assert scores_UI[same_UI].mean() > 2 * abs(scores_UI[~same_UI].mean())
