from itertools import count

import polars as pl
import pytest

from recsys_assets import columns
from recsys_assets.errors import TrainingDataError
from recsys_assets.evaluation.held_out import time_split
from recsys_assets.evaluation.tuning import search_split, tune
from recsys_assets.training_settings import TrainingSettings
from recsys_assets_tests.embeddings.worlds import block_world, events

SETTINGS = TrainingSettings(embedding_size=4, regularization=3.0)


def ticking():
    """A clock that is a second later each time it is looked at."""
    ticks = count()
    return lambda: float(next(ticks))


def test_the_search_mends_settings_that_regularise_everything_away():
    found = tune(block_world(share=0.6), SETTINGS, minutes=0.4, clock=ticking())
    assert len(found.trials) > 3
    assert found.best.ndcg > found.given.ndcg
    assert found.best.settings.embedding_size == 4


def test_the_given_settings_are_tried_even_without_time():
    found = tune(block_world(), SETTINGS, minutes=0)
    assert found.best is found.given


def test_both_objectives_are_tried():
    found = tune(block_world(), SETTINGS, minutes=0.1, clock=ticking())
    assert {trial.settings.objective for trial in found.trials} == {"ials", "softmax"}


def test_the_same_seed_searches_the_same_settings():
    first, second = (tune(block_world(), SETTINGS, minutes=0.1, clock=ticking()) for _ in range(2))
    assert [trial.settings for trial in first.trials] == [trial.settings for trial in second.trials]


def test_the_search_never_sees_the_days_that_the_evaluation_holds_out():
    world = block_world()
    reported = time_split(world, held_out_share=0.2).first_held_out_day
    searched = search_split(world, held_out_share=0.2)
    last = world.filter(pl.col(columns.TIMESTAMP).dt.date() < reported).select(
        pl.col(columns.TIMESTAMP).max()
    )
    assert searched.first_held_out_day <= last.collect().item().date()
    assert searched.truth.last_day.max() < (reported - reported.fromordinal(719163)).days


def test_raises_when_there_are_two_days():
    with pytest.raises(TrainingDataError, match="too few days to tune"):
        tune(events([("u", "a", 1, 0), ("u", "b", 1, 1), ("v", "b", 1, 0)]), SETTINGS, minutes=1)
