import subprocess
import sys

import numpy as np
import pytest

from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.evaluation import baselines, metrics
from recsys_assets.evaluation.held_out import Ranking, rank, time_split
from recsys_assets.evaluation.metrics import user_metrics
from recsys_assets_tests.embeddings.worlds import block_world, events

LISTS = np.array([[0, 1, 2], [3, 4, -1], [5, -1, -1]])


@pytest.fixture
def held_out():
    """User 0 touches items 1 and 2 later, user 1 item 0, user 2 none; six items."""
    world = events([(f"u{n}", f"i{n}", 1, 0) for n in range(6)])
    known = InteractionMatrix.from_interactions(world)
    later = events([("u0", "i1", 1, 1), ("u0", "i2", 1, 1), ("u1", "i0", 1, 1)])
    return InteractionMatrix.from_interactions(later, users=known.users, items=known.items)


def test_ndcg_discounts_by_rank_and_divides_by_the_ideal_list(held_out):
    discounts = 1 / np.log2([2, 3, 4])
    found = metrics.ndcg(LISTS, np.array([0, 1, 2]), held_out)
    np.testing.assert_allclose(found, [(discounts[1] + discounts[2]) / discounts[:2].sum(), 0, np.nan])


def test_both_callers_get_the_same_ndcg(held_out):
    users = np.array([0, 1])
    ranking = Ranking(user_nums=users, items_Rk=LISTS[:2])
    for k in (1, 2, 3):
        evaluated = user_metrics(ranking, held_out, k=k)["ndcg"]
        assert evaluated.tolist() == metrics.ndcg(LISTS[:2, :k], users, held_out).tolist()


def test_recall_hit_rate_and_mrr_count_hits_among_the_best_k(held_out):
    found = user_metrics(Ranking(user_nums=np.array([0, 1]), items_Rk=LISTS[:2]), held_out, k=2)
    assert found["recall"].tolist() == [0.5, 0]
    assert found["hit_rate"].tolist() == [1, 0]
    assert found["mrr"].tolist() == [0.5, 0]


def test_nothing_is_hit_where_nothing_is_held_out(held_out):
    empty = InteractionMatrix(
        users=held_out.users,
        items=held_out.items,
        indptr=np.zeros_like(held_out.indptr),
        item_nums=held_out.item_nums[:0],
        weights=held_out.weights[:0],
        last_day=held_out.last_day[:0],
    )
    assert np.isnan(metrics.ndcg(LISTS, np.array([0, 1, 2]), empty)).all()


def test_coverage_is_the_share_of_items_shown_to_anyone():
    assert metrics.coverage(LISTS, 12) == 0.5


def test_lists_are_cut_or_filled_to_k():
    assert metrics.padded_lists([[1, 2, 3], [4], []], 2).tolist() == [[1, 2], [4, -1], [-1, -1]]


def test_diversity_is_one_less_the_mean_cosine_of_all_pairs():
    items_ID = np.array([[1, 0], [2, 0], [0, 3], [0, 1], [0, -1], [1, 1]], dtype=np.float32)
    inverse = (1 / np.linalg.norm(items_ID, axis=1)).astype(np.float32)
    found = metrics.intra_list_diversity(LISTS, items_ID, inverse)
    np.testing.assert_allclose(found, [1 - 1 / 3, 2, np.nan], atol=1e-6)


def test_categories_are_counted_once_a_list():
    assert metrics.category_counts(LISTS, np.array([0, 0, 1, 2, 3, 3])).tolist() == [2, 2, 1]


def test_a_mean_over_items_leaves_unknown_values_out():
    found = metrics.mean_over_items(LISTS, np.array([1.0, np.nan, 3.0, np.nan, 5.0, np.nan]))
    np.testing.assert_allclose(found, [2, 5, np.nan])


def test_overlap_is_a_share_of_the_longer_list():
    assert metrics.overlap(LISTS, np.array([[2, 9, 8], [3, -1, -1], [-1, -1, -1]])).tolist() == [
        1 / 3,
        0.5,
        0,
    ]


def test_the_mean_leaves_unknown_values_out():
    assert metrics.mean_known(np.array([1.0, np.nan, 2.0])) == 1.5
    assert np.isnan(metrics.mean_known(np.array([np.nan])))


def test_importing_metrics_does_not_import_torch():
    script = "import sys, recsys_assets.evaluation.metrics; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.slow  # ranx compiles itself for the better part of a minute
def test_metrics_agree_with_ranx():
    ranx = pytest.importorskip("ranx", reason="ranx is not installed")
    split = time_split(block_world(share=0.8, seed=3), held_out_share=0.4)
    ranking = rank(split.train, split.users(), baselines.recently_popular(split.train), k=20)
    qrels = {f"{user}": {} for user in split.users()}
    for user, item in zip(split.truth.user_nums(), split.truth.item_nums, strict=True):
        qrels[f"{user}"][f"{item}"] = 1
    lists = {
        f"{user}": {f"{item}": 100.0 - place for place, item in enumerate(items) if item >= 0}
        for user, items in zip(ranking.user_nums, ranking.items_Rk, strict=True)
    }
    names = {"ndcg": "ndcg", "recall": "recall", "hit_rate": "hit_rate", "mrr": "mrr"}
    for k in (10, 20):
        theirs = ranx.evaluate(ranx.Qrels(qrels), ranx.Run(lists), [f"{name}@{k}" for name in names])
        ours = user_metrics(ranking, split.truth, k=k)
        for name, value in names.items():
            assert ours[name].mean() == pytest.approx(theirs[f"{value}@{k}"], abs=1e-6)
