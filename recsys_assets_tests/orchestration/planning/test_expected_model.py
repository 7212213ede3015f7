"""The model that a build will choose is foretold by the last choice and the sample, and so is its time."""

import pytest

from recsys_assets.embeddings.model_spec import ModelSpec
from recsys_assets.evaluation.model_choice import ComparedModel, ModelChoice
from recsys_assets.evaluation.recipe_result import MetricChange, RecipeComparison
from recsys_assets.orchestration.planning.build_plan import BuildPlan, PlannedStep
from recsys_assets.orchestration.planning.expected_model import by_model, expected_model, present_model
from recsys_assets.storage.home import Home
from recsys_assets.training_settings import TrainingSettings

AUTO = TrainingSettings()
NDCG = {
    "ials+softmax": 0.0833,
    "ials": 0.0830,
    "softmax+item_item": 0.0802,
    "item_item": 0.0781,
    "popular": 0.067,
}


def compared(model: str, ndcg: float) -> ComparedModel:
    share = 0.5 if "+" in model else 1.0
    return ComparedModel(
        spec=ModelSpec(model=model, first_share=share), ndcg=ndcg, low=ndcg - 0.005, high=ndcg + 0.005
    )


@pytest.fixture
def home(tmp_path) -> Home:
    found = Home(tmp_path)
    found.artifact("choice").mkdir(parents=True)
    choice = ModelChoice(
        spec=ModelSpec(model="ials"), compared=[compared(name, ndcg) for name, ndcg in NDCG.items()]
    )
    choice.save(found.artifact("choice"))
    return found


def sample(after: float) -> RecipeComparison:
    change = MetricChange(
        metric="ndcg", k=10, before=0.05, after=after, difference=after - 0.05, low=-0.1, high=0.1
    )
    return RecipeComparison(metrics=[change])


def test_the_model_that_the_settings_give_is_the_one(home):
    assert expected_model(home, TrainingSettings(model="item_item"), sample(0.01)) == "item_item"


def test_the_present_model_stays_where_no_sample_says_otherwise(home, tmp_path):
    assert expected_model(home, AUTO, None) == expected_model(home, AUTO, RecipeComparison()) == "ials"
    assert present_model(Home(tmp_path / "none")) == "ials"


def test_a_change_of_little_effect_keeps_the_present_model(home):
    assert expected_model(home, AUTO, sample(0.0495)) == "ials"
    assert expected_model(home, AUTO, sample(0.06)) == "ials"


def test_a_present_model_that_is_ruined_gives_way_to_the_best_without_its_components(home):
    assert expected_model(home, AUTO, sample(0.03)) == "softmax+item_item"


def test_the_time_of_the_stages_that_depend_on_the_model_follows_it():
    steps = [
        PlannedStep(stage=stage, assets=[], why=[], days=[], seconds=10, peak_mb=1, written=1, measured=True)
        for stage in ("choice", "embeddings", "features", "index")
    ]
    plan = BuildPlan(steps=steps, seconds=44)
    found = by_model(plan, training=AUTO, before="ials", after="softmax+item_item")
    seconds = {step.stage: step.seconds for step in found.steps}

    assert seconds["choice"] == seconds["features"] == 10
    assert seconds["embeddings"] > 20
    assert seconds["index"] > 20
    assert found.seconds == pytest.approx(4 + sum(seconds.values()))
    assert by_model(plan, training=AUTO, before="ials", after="ials") == plan
