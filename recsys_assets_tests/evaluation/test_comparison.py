import numpy as np
import pytest
import torch

from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.errors import TrainingDataError
from recsys_assets.evaluation import baselines
from recsys_assets.evaluation.comparison import SCHEMA, evaluate, evaluate_split
from recsys_assets.evaluation.metrics import user_metrics
from recsys_assets.evaluation.ranking import by_item_scores, rank
from recsys_assets.evaluation.splits import time_split
from recsys_assets.settings import TrainingSettings
from recsys_assets_tests.embeddings.worlds import block_world, events


@pytest.fixture(scope="module")
def table():
    return evaluate(block_world(), TrainingSettings(embedding_size=8)).table


def test_the_factorisation_beats_popularity_in_a_block_world(table):
    ndcg = {
        row["model"]: row["value"]
        for row in table.iter_rows(named=True)
        if (row["metric"], row["k"]) == ("ndcg", 10)
    }
    assert table.schema == SCHEMA
    assert ndcg["ials"] > 2 * ndcg["popularity"]
    assert ndcg["item_knn"] > 2 * ndcg["popularity"]


def test_intervals_hold_the_mean(table):
    bounded = table.drop_nulls("low")
    assert (bounded["low"] <= bounded["value"]).all()
    assert (bounded["value"] <= bounded["high"]).all()


def test_nothing_before_the_cut_is_held_out_and_nothing_after_it_trains():
    split = time_split(block_world(), held_out_share=0.3)
    assert split.train.last_day.max() < split.truth.last_day.min()


def test_pairs_of_the_training_part_are_not_counted_again():
    split = time_split(
        events([("u", "a", 1, 0), ("u", "b", 1, 1), ("v", "b", 1, 0), ("u", "a", 1, 1)]), held_out_share=0.5
    )
    assert split.truth.item_nums.tolist() == [1]


def test_raises_when_there_is_one_day():
    with pytest.raises(TrainingDataError, match="at least 2"):
        time_split(events([("u", "a", 1, 0), ("u", "b", 1, 0)]), held_out_share=0.2)


def test_seen_items_are_never_ranked_and_missing_places_say_so():
    train = InteractionMatrix.from_interactions(
        events([("u", "a", 1, 0), ("v", "b", 1, 0), ("v", "c", 1, 0)])
    )
    found = rank(train, np.array([0, 1]), by_item_scores(np.array([3.0, 2.0, 1.0])), k=3)
    assert found.items_Rk.tolist() == [[1, 2, -1], [0, -1, -1]]


def test_equal_scores_are_ordered_by_popularity_then_number():
    train = InteractionMatrix.from_interactions(
        events([("u", "d", 1, 0), ("v", "c", 1, 0), ("w", "c", 1, 0), ("w", "a", 1, 0), ("w", "b", 1, 0)])
    )
    found = rank(train, np.array([0]), lambda _: torch.tensor([[0.0, -0.0, 0.0, 5.0]]), k=3)
    assert found.items_Rk.tolist() == [[2, 0, 1]]


def test_negative_scores_are_ordered_too():
    train = InteractionMatrix.from_interactions(
        events([("u", "d", 1, 0), ("v", "a", 1, 0), ("v", "b", 1, 0), ("v", "c", 1, 0)])
    )
    found = rank(train, np.array([0]), lambda _: torch.tensor([[-3.0, -1.0, -2e-38, 9.0]]), k=3)
    assert found.items_Rk.tolist() == [[2, 1, 0]]


def test_item_knn_finds_the_items_of_a_neighbour():
    train = InteractionMatrix.from_interactions(
        events([("u", "a", 1, 0), ("v", "a", 1, 0), ("v", "b", 1, 0), ("w", "c", 1, 0), ("x", "c", 1, 0)])
    )
    found = rank(train, np.array([0]), baselines.item_knn(train), k=2)
    assert found.items_Rk.tolist() == [[1, 2]]


def test_ease_finds_the_items_of_the_block():
    split = time_split(block_world(share=0.7), held_out_share=0.3)
    found = rank(split.train, split.users(), baselines.ease(split.train), k=5)
    same_block = found.items_Rk % 4 == split.users()[:, None] % 4
    assert same_block.mean() > 0.9


def test_segments_cover_all_users_and_all_thirds_of_the_catalogue():
    split = time_split(block_world(), held_out_share=0.3)
    segments = evaluate_split(split, TrainingSettings(embedding_size=8)).segments
    ours = segments.filter(model="ials")
    by_history = ours.filter(metric="ndcg")
    assert by_history["users"].sum() == len(split.users())
    assert ours.filter(metric="recall")["segment"].to_list() == ["head items", "middle items", "tail items"]


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
