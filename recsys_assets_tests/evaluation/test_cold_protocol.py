import numpy as np
import pytest
import torch

from recsys_assets.errors import NothingHeldOutError
from recsys_assets.evaluation.cold_protocol import (
    ColdSplit,
    hold_out_new_items,
    measure_cold,
    over_items,
)
from recsys_assets.evaluation.held_out import by_item_scores
from recsys_assets.storage.string_table import Vocabulary
from recsys_assets_tests.embeddings.worlds import events

ROWS = [
    ("u", "b", 1, 0), ("v", "d", 1, 0), ("v", "b", 1, 1), ("u", "d", 1, 8),
    ("u", "a", 1, 8), ("v", "c", 1, 9), ("stranger", "e", 1, 9), ("u", "b", 1, 9),
]  # fmt: skip


def small() -> ColdSplit:
    return hold_out_new_items(events(ROWS), held_out_share=0.5)


def test_items_first_seen_in_the_held_out_days_are_new():
    split = small()
    assert list(split.known.items) == ["b", "d"]
    assert split.new_ids() == ["a", "c", "e"]
    assert [split.among_all.train.items.id(int(num)) for num in split.known_nums] == ["b", "d"]
    assert np.diff(split.first_day_N).tolist() == [1, 0]


def test_the_truth_is_of_known_users_and_new_to_them():
    split = small()
    pairs = [
        (split.known.users.id(int(user)), split.among_all.train.items.id(int(item)))
        for user, item in zip(split.among_all.truth.user_nums(), split.among_all.truth.item_nums, strict=True)
    ]
    assert pairs == [("u", "a"), ("u", "d"), ("v", "c")]
    assert split.among_new.truth.entries == 2


def test_no_item_of_the_training_part_is_new_and_none_is_trained_on_twice():
    split = hold_out_new_items(events(ROWS), held_out_share=0.5)
    assert not set(split.new_ids()) & set(split.known.items)
    assert not np.isin(split.new_nums, split.among_all.train.item_nums).any()
    assert split.known.entries == split.among_all.train.entries


def test_raises_when_no_known_user_touches_a_new_item():
    rows = [("u", "a", 1, 0), ("v", "b", 1, 0), ("u", "b", 1, 9), ("w", "c", 1, 9)]
    with pytest.raises(NothingHeldOutError, match="1 items that are new"):
        hold_out_new_items(events(rows), held_out_share=0.5)


def test_a_perfect_score_gets_everything_and_newest_first_is_measured_beside_it():
    split = small()
    perfect = np.zeros((2, 5), np.float32)
    perfect[split.among_all.truth.user_nums(), split.among_all.truth.item_nums] = 1
    figures = measure_cold(split, lambda users: torch.from_numpy(perfect[users]))
    assert (figures.ndcg20_new, figures.recall50_new, figures.ndcg20_all) == (1, 1, 1)
    assert figures.ndcg20_without < 1
    assert figures.ndcg20_newest < 1
    assert (figures.new_items, figures.new_pairs, figures.new_users) == (3, 2, 2)
    assert figures.recall_ratio == 1


def test_new_items_are_ranked_without_the_known_ones():
    split = small()
    scores = np.where(np.isin(np.arange(5), split.known_nums), 10, 0)
    alone = measure_cold(split, by_item_scores(scores - np.arange(5)))
    assert alone.ndcg20_new == measure_cold(split, by_item_scores(-np.arange(5))).ndcg20_new


def test_scores_follow_the_ids_of_the_items_and_others_are_never_listed():
    given, wanted = Vocabulary.from_strings("bde"), Vocabulary.from_strings("abcd")
    found = over_items(by_item_scores(np.array([2, 4, 5])), given, wanted)(np.array([0]))
    assert found.tolist() == [[-np.inf, 2, -np.inf, 4]]
