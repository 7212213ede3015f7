import numpy as np
import pytest

from recsys_assets.errors import TrainingDataError
from recsys_assets.evaluation.held_out import time_split
from recsys_assets_tests.embeddings.worlds import block_world, events


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


def test_more_users_than_wanted_are_sampled_by_the_seed():
    split = time_split(block_world(), held_out_share=0.3)
    drawn = split.sample_users(most_users=5, seed=1)
    assert len(drawn) == 5
    assert np.isin(drawn, split.users()).all()
    assert drawn.tolist() == split.sample_users(most_users=5, seed=1).tolist()
