import numpy as np
import pytest
import torch

from recsys_assets.embeddings import baselines
from recsys_assets.embeddings.evaluate import SCHEMA, evaluate
from recsys_assets.embeddings.matrix import InteractionMatrix
from recsys_assets.embeddings.ranking import by_item_scores, rank
from recsys_assets.embeddings.split import time_split
from recsys_assets.errors import TrainingDataError
from recsys_assets.settings import TrainingSettings
from recsys_assets_tests.embeddings.worlds import block_world, events


@pytest.fixture(scope="module")
def table():
    return evaluate(block_world(), TrainingSettings(embedding_size=8))


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
