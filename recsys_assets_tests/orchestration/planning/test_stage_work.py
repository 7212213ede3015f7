"""A stage's work follows the settings and the model, and is 1 by those of the default."""

import pytest

from recsys_assets.orchestration.planning.stage_work import BY_MODEL, BY_TRAINING, Work
from recsys_assets.training_settings import SoftmaxSettings, TrainingSettings

STAGES = ("choice", "embeddings", "evaluation", "features", "index", "release", "interactions")


def work(stage: str, model: str = "ials", **training: object) -> float:
    return Work(training=TrainingSettings(**training), model=model).of(stage)


@pytest.mark.parametrize("stage", STAGES)
def test_the_default_is_one(stage):
    assert work(stage) == 1


@pytest.mark.parametrize("stage", BY_TRAINING)
def test_training_grows_with_epochs_and_width_beside_a_fixed_part(stage):
    assert 1 < work(stage, epochs=30) < 2
    assert 1 < work(stage, embedding_size=128) < 2
    assert 0.4 < work(stage, epochs=1, embedding_size=8) < 1


def test_settings_of_the_training_change_no_other_stage_but_the_index_by_its_width():
    assert work("features", epochs=30, embedding_size=128) == 1
    assert work("index", epochs=30) == 1
    assert work("index", embedding_size=128) > 1


@pytest.mark.parametrize("stage", BY_MODEL)
def test_a_blend_with_related_items_takes_longer_than_a_factorisation(stage):
    assert work(stage, "ials+item_item") > 1.5


def test_a_comparison_of_one_model_takes_a_fraction_of_that_of_all():
    assert work("choice", model="ials", embedding_size=64) == 1
    found = Work(training=TrainingSettings(model="ials")).of("choice")
    blend = Work(training=TrainingSettings(model="ials+item_item")).of("choice")
    assert found < 0.3 < blend < 1


def test_epochs_of_the_softmax_count_where_it_is_fitted():
    more = SoftmaxSettings(epochs=24)
    assert work("embeddings", "softmax", softmax=more) > work("embeddings", "softmax")
    assert work("embeddings", "ials", softmax=more) == 1


def test_a_model_without_vectors_is_fitted_with_the_one_of_likeness():
    assert work("embeddings", "popular") == 1
