"""The epoch loop, whatever the objective."""

import msgspec
import pytest

from recsys_assets.embeddings.factorisation import epochs_of, with_epochs
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.training import run_epochs, train
from recsys_assets.errors import TrainingDataError
from recsys_assets.training_settings import SoftmaxSettings, TrainingSettings
from recsys_assets_tests.embeddings.worlds import block_world, events

OBJECTIVES = ["ials", "softmax"]


class Script:
    """A model whose losses are given."""

    remedy = "take another"

    def __init__(self, losses):
        self.losses = iter(losses)
        self.finished = False

    def epoch(self):
        return next(self.losses)

    def embeddings(self):
        return "users", "items"

    def finish(self):
        self.finished = True


@pytest.fixture(scope="module")
def world():
    return InteractionMatrix.from_interactions(block_world())


def settings_for(objective, epochs):
    return with_epochs(TrainingSettings(model=objective, embedding_size=4), epochs, component=objective)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_epoch_is_reported_with_its_loss(world, objective):
    seen = []
    found = train(world, settings_for(objective, 3), on_epoch=lambda *given: seen.append(given))
    assert seen == list(enumerate(found.losses, 1))
    assert len(seen) == 3


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_training_stops_after_the_epoch_that_is_enough(world, objective):
    shapes = []

    def enough(epoch, users_UD, items_ID):
        shapes.append((tuple(users_UD.shape), tuple(items_ID.shape)))
        return epoch == 2

    found = train(world, settings_for(objective, 9), stop_after=enough)
    assert len(found.losses) == 2
    assert shapes == [((80, 4), (60, 4))] * 2


def test_a_stopped_training_takes_its_last_step():
    model = Script([3.0, 2.0, 1.0])
    assert run_epochs(model, 3, stop_after=lambda epoch, *_: epoch == 2) == [3.0, 2.0]
    assert model.finished


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_raises_when_the_objective_is_not_finite(loss):
    with pytest.raises(TrainingDataError, match="after epoch 2; take another"):
        run_epochs(Script([1.0, loss]), 2)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_raises_when_a_confidence_is_not_finite():
    matrix = InteractionMatrix.from_interactions(
        events([("u", "a", 3e38, 0), ("u", "a", 3e38, 0), ("v", "a", 1, 0)])
    )
    with pytest.raises(TrainingDataError, match="out of float32's range"):
        train(matrix, TrainingSettings(count_exponent=1))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_epochs_set_are_those_of_the_objective(objective):
    assert epochs_of(settings_for(objective, 7)) == 7


def test_epochs_of_the_other_objective_stay():
    given = TrainingSettings(model="softmax", epochs=5, softmax=SoftmaxSettings(epochs=2))
    assert with_epochs(given, 9, component="softmax") == msgspec.structs.replace(
        given, softmax=SoftmaxSettings(epochs=9)
    )
