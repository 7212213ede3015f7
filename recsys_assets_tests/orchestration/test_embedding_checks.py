"""The check on the losses of the last training: strict for iALS, tolerant of one rise for the softmax."""

from dataclasses import replace

import dagster as dg
import pytest

from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.model_files import save_embeddings
from recsys_assets.embeddings.training import train
from recsys_assets.orchestration.checks.embeddings import embedding_checks, objective_falls
from recsys_assets.orchestration.resources import Artifacts, Lake
from recsys_assets.storage.home import Home
from recsys_assets.training_settings import SoftmaxSettings, TrainingSettings
from recsys_assets_tests.embeddings.worlds import block_world, events


@pytest.fixture
def check(tmp_path):
    """Judge given losses of a given objective."""
    matrix = InteractionMatrix.from_interactions(block_world(users=8, items=8))

    def judge(objective, losses):
        settings = TrainingSettings(
            model=objective, embedding_size=2, epochs=1, softmax=SoftmaxSettings(epochs=1)
        )
        found = replace(train(matrix, settings), losses=losses)
        save_embeddings(Home(tmp_path).artifact("embeddings"), matrix=matrix, factorisation=found)
        return objective_falls(artifacts=Artifacts(home_path=str(tmp_path)))

    return judge


def test_one_rise_of_the_stochastic_objective_is_no_fault(check):
    result = check("softmax", [3.0, 2.0, 2.1, 1.9])
    assert result.passed
    assert result.metadata["rising_epochs"].value == [3]


@pytest.mark.parametrize("losses", [[3.0, 2.0, 2.5], [3.0, 3.5]])
def test_a_softmax_that_ends_well_above_its_lowest_loss_warns_and_does_not_block(check, losses):
    result = check("softmax", losses)
    assert not result.passed
    assert result.severity == dg.AssetCheckSeverity.WARN


def test_one_rise_of_the_ials_objective_blocks(check):
    result = check("ials", [3.0, 2.0, 2.1, 1.9])
    assert not result.passed
    assert result.severity == dg.AssetCheckSeverity.ERROR


def test_the_ials_objective_may_move_by_rounding(check):
    assert check("ials", [3.0, 2.0, 2.0 * (1 + 1e-7)]).passed


def test_a_log_of_one_user_fills_one_dimension_and_is_released(tmp_path):
    matrix = InteractionMatrix.from_interactions(events([("u", f"i{n}", 1, n) for n in range(5)]))
    found = train(matrix, TrainingSettings(embedding_size=8, epochs=2))
    save_embeddings(Home(tmp_path).artifact("embeddings"), matrix=matrix, factorisation=found)
    home = str(tmp_path)
    results = list(embedding_checks(lake=Lake(home_path=home), artifacts=Artifacts(home_path=home)))
    assert results
    assert all(result.passed for result in results)
