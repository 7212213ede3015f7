from itertools import count

import pytest

from recsys_assets.errors import TrainingDataError
from recsys_assets.evaluation.tuning import tune
from recsys_assets.training_settings import TrainingSettings
from recsys_assets_tests.embeddings.worlds import block_world, events

SETTINGS = TrainingSettings(embedding_size=4, regularization=3.0)


def ticking():
    """A clock that is a second later each time it is looked at."""
    ticks = count()
    return lambda: float(next(ticks))


def test_the_search_mends_settings_that_regularise_everything_away():
    given = TrainingSettings(model="ials", embedding_size=4, regularization=3.0)
    found = tune(block_world(share=0.6), given, minutes=0.6, clock=ticking())
    assert len(found.trials) > 3
    assert found.best.ndcg > found.given.ndcg
    assert found.outside_the_noise
    assert found.best.settings.embedding_size == 4
    assert {trial.spec.model for trial in found.trials} == {"ials"}


def test_the_given_settings_are_tried_even_without_time():
    found = tune(block_world(), SETTINGS, minutes=0)
    assert found.best is found.given
    assert not found.outside_the_noise


def test_models_and_settings_of_several_components_are_tried():
    found = tune(block_world(), SETTINGS, minutes=0.7, clock=ticking())
    tried = {name for trial in found.trials for name in trial.spec.components}
    assert len(tried) > 1


def test_the_best_settings_fix_their_model_and_the_parameters_of_its_score():
    found = tune(block_world(), SETTINGS, minutes=0.2, clock=ticking())
    best = found.best.settings
    assert best.model == found.best.spec.model
    again = tune(block_world(), best, minutes=0)
    assert again.given.spec == found.best.spec
    assert again.given.ndcg == pytest.approx(found.best.ndcg)


def test_the_same_seed_searches_the_same_settings():
    first, second = (tune(block_world(), SETTINGS, minutes=0.1, clock=ticking()) for _ in range(2))
    assert [trial.settings for trial in first.trials] == [trial.settings for trial in second.trials]


def test_raises_when_there_are_two_days():
    with pytest.raises(TrainingDataError, match="too few days to tune"):
        tune(events([("u", "a", 1, 0), ("u", "b", 1, 1), ("v", "b", 1, 0)]), SETTINGS, minutes=1)
