"""Ten changes are compared on a sample and on all users."""

import pytest

from recsys_assets.benchmarks.sampled_changes import proposals, sample_against_full
from recsys_assets.embeddings.model_spec import ModelSpec
from recsys_assets.evaluation.recipe_sample import Recipe
from recsys_assets.training_settings import TrainingSettings
from recsys_assets_tests.embeddings.worlds import block_world

SPEC, TRAINING = ModelSpec(model="ials", prior_weight=0.5), TrainingSettings(embedding_size=16, epochs=5)


@pytest.fixture(scope="module")
def compared():
    return sample_against_full(block_world(users=300), SPEC, TRAINING, share=0.5)


def test_ten_changes_differ_from_the_present_recipe_and_each_other():
    present = Recipe(interactions=block_world(), training=TRAINING, spec=SPEC)
    found = [(one.training, one.spec) for one in proposals(present).values()]

    assert len(found) == 10
    assert all((training, spec) != (TRAINING, SPEC) for training, spec in found)
    assert len({repr(one) for one in found}) == 10


def test_a_change_of_no_effect_is_foretold_exactly(compared):
    """Every weight of the world is 1, so that counting repeats changes nothing."""
    row = next(row for row in compared["changes"] if row["change"] == "count_exponent = 1")

    assert row["full"] == row["sample"] == row["low"] == row["high"] == 0
    assert row["within"]


def test_changes_within_their_intervals_are_counted(compared):
    assert compared["of"] == len(compared["changes"]) == 10
    assert compared["within"] == sum(row["low"] <= row["full"] <= row["high"] for row in compared["changes"])


def test_all_users_as_a_sample_foretell_everything():
    found = sample_against_full(block_world(users=60), SPEC, TRAINING, share=1.0)

    assert found["within"] == 10
