"""The present and the proposed recipe are compared on one sample, and what cannot be measured is said in words."""

import msgspec
import numpy as np
import polars as pl
import pytest

from recsys_assets import columns
from recsys_assets.embeddings.model_spec import ModelSpec
from recsys_assets.evaluation.choice import choose_model
from recsys_assets.evaluation.comparison import evaluate
from recsys_assets.evaluation.recipe_comparison import compare_recipes
from recsys_assets.evaluation.recipe_result import RecipeComparison
from recsys_assets.evaluation.recipe_sample import Recipe
from recsys_assets.training_settings import ScoreSettings, TrainingSettings
from recsys_assets_tests.embeddings.worlds import START, block_world, events

IALS, POPULAR = ModelSpec(model="ials"), ModelSpec(model="popular", prior_half_life_days=30.0)
TRAINING = TrainingSettings(embedding_size=8, epochs=5)


def recipe(frame, spec=IALS, **changes):
    return Recipe(
        interactions=frame,
        training=msgspec.structs.replace(TRAINING, **changes),
        spec=spec,
        catalogue=named(frame),
    )


def named(frame):
    items = frame.select(pl.col(columns.ITEM_ID).unique().sort()).collect()
    return items.with_columns(
        pl.format("Thing {}", columns.ITEM_ID).alias(columns.TITLE),
        pl.lit(None, pl.String).alias(columns.CATEGORY),
    )


@pytest.fixture(scope="module")
def world():
    return block_world(users=120)


@pytest.fixture(scope="module")
def worse(world):
    """A model of taste is replaced by popularity, where everyone has a taste."""
    return compare_recipes(recipe(world), recipe(world, POPULAR))


def test_a_recipe_does_not_differ_from_itself(world):
    steps = []
    found = compare_recipes(recipe(world), recipe(world), on_step=lambda *step: steps.append(step))

    assert [(one.difference, one.low, one.high) for one in found.metrics] == [(0, 0, 0)] * 2
    assert (found.lists.changed, found.lists.reordered, found.lists.overlap) == (0, 0, 1)
    assert found.coverage[0] == found.coverage[1]
    assert "no difference beyond chance" in found.in_words()
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_worse_recipe_is_found_worse_beyond_chance(worse):
    assert worse.problem == ""
    assert [(one.metric, one.k) for one in worse.metrics] == [("ndcg", 10), ("ndcg", 20)]
    for one in worse.metrics:
        assert one.difference == pytest.approx(one.after - one.before)
        assert one.low <= one.difference <= one.high < 0
    assert worse.models == ("ials", "popular")
    assert ": worse;" in worse.in_words()


def test_the_opposite_change_has_the_opposite_difference(world, worse):
    better = compare_recipes(recipe(world, POPULAR), recipe(world))

    for there, back in zip(worse.metrics, better.metrics, strict=True):
        assert back.difference == pytest.approx(-there.difference)
        assert (back.before, back.after) == (there.after, there.before)
    assert better.lists.changed == worse.lists.changed
    assert ": better;" in better.in_words()


def test_all_users_give_the_figures_of_the_evaluation(world, worse):
    table = evaluate(world, IALS, TRAINING).table.filter(model="ials", k=10)
    values = dict(zip(table["metric"], table["value"], strict=True))

    assert worse.share == 1
    assert worse.metrics[0].before == pytest.approx(values["ndcg"])
    assert worse.coverage[0] == pytest.approx(values["coverage"])


def test_changed_lists_are_shown_by_the_names_of_products(worse):
    assert worse.lists.users == 120
    assert worse.lists.changed > 0.9
    assert len(worse.lists.examples) == 5
    for example in worse.lists.examples:
        assert all(title.startswith("Thing i") for title in example.gone + example.new)
        assert len(example.new) == len(example.gone) > 0


def test_popular_lists_are_alike_and_show_less_of_the_catalogue(worse):
    assert worse.coverage[1] < worse.coverage[0]
    assert worse.diversity[1] > worse.diversity[0]  # a list of taste is one block


def test_the_result_is_the_same_each_time_and_goes_through_json(world, worse):
    again = compare_recipes(recipe(world), recipe(world, POPULAR))

    assert again == worse
    assert msgspec.json.decode(msgspec.json.encode(worse), type=RecipeComparison) == worse


def test_a_sample_is_stated_and_its_users_are_the_same_for_both():
    frame = block_world(users=1_500)
    seconds = compare_recipes(recipe(frame), recipe(frame)).foreseen_seconds / 3
    found = compare_recipes(recipe(frame), recipe(frame, POPULAR), seconds=seconds)

    assert 0.1 < found.share < 0.5
    assert found.foreseen_seconds <= seconds
    assert found.users == pytest.approx(1_500 * found.share, rel=0.15)
    assert found.lists.users == found.users
    assert f"a sample of {found.share:.2g} of the users" in found.in_words()


def test_a_log_of_one_day_is_compared_by_its_lists_alone():
    frame = block_world(days=1)
    found = compare_recipes(recipe(frame), recipe(frame, POPULAR))

    assert "at least 2" in found.problem
    assert (found.metrics, found.coverage, found.first_held_out_day) == ([], None, None)
    assert found.lists.changed > 0
    assert "not measured" in found.in_words()


def test_a_log_without_a_wish_is_a_reason_in_words():
    frame = events([("u", "a", 0.0, 0), ("v", "b", 0.0, 1)])
    found = compare_recipes(recipe(frame), recipe(frame))

    assert "none of the interactions is a wish" in found.problem
    assert found.lists is None


def test_few_users_with_held_out_items_are_too_few_to_measure_on():
    rows = [(f"u{num}", f"i{(num + day) % 12}", 1.0, day) for num in range(5) for day in range(10)]
    found = compare_recipes(recipe(events(rows)), recipe(events(rows), epochs=1))

    assert "at least 10 must" in found.problem
    assert found.lists is not None


def test_what_would_take_too_long_even_on_few_users_is_not_fitted(world):
    found = compare_recipes(recipe(world), recipe(world, epochs=10_000), seconds=0.001)

    assert "0 s are allowed" in found.problem or "are allowed" in found.problem
    assert (found.metrics, found.lists) == ([], None)


def test_a_recipe_that_cannot_be_fitted_is_a_reason_in_words(world):
    found = compare_recipes(recipe(world), recipe(world, memory_budget_mb=1))

    assert "memory_budget_mb" in found.problem


def test_a_corrected_day_is_judged_by_the_corrected_events(world):
    """The proposed interactions lack half of the items: their users and items differ, and so do the numbers."""
    corrected = world.filter(pl.col(columns.ITEM_ID) < "i030")
    found = compare_recipes(recipe(world), recipe(corrected))

    assert found.problem == ""
    alone = compare_recipes(recipe(corrected), recipe(corrected))
    assert found.metrics[0].after == pytest.approx(alone.metrics[0].after)
    assert found.metrics[0].before < found.metrics[0].after  # it ranks items that nobody touches
    assert found.lists.changed > 0.9


def test_a_new_day_changes_lists_and_not_the_model_that_is_measured(world):
    rows = [(f"u{num:03}", f"i{num % 4:03}", 1.0, 9) for num in range(40)]
    present = world.filter(pl.col(columns.TIMESTAMP) < START + pl.duration(days=9))
    with_day = pl.concat([present.collect(), events(rows).collect()]).lazy()
    found = compare_recipes(recipe(present), recipe(with_day))

    assert [one.difference for one in found.metrics] == [0, 0]
    assert found.lists.changed > 0


def test_open_models_are_chosen_for_both(world):
    steps = []
    found = compare_recipes(
        recipe(world, None, model="ials"),
        recipe(world, None, model="item_item"),
        on_step=lambda *step: steps.append(step),
    )

    assert found.models == ("ials", "item_item")
    assert found.problem == ""
    assert steps[-1] == (6, 6)


def test_seeds_draw_other_users():
    frame = block_world(users=1_500)
    seconds = compare_recipes(recipe(frame), recipe(frame)).foreseen_seconds / 4
    one, other = (
        compare_recipes(recipe(frame), recipe(frame, epochs=1), seconds=seconds, seed=seed) for seed in (0, 1)
    )

    assert one.metrics != other.metrics
    assert np.sign(one.metrics[0].difference) == np.sign(other.metrics[0].difference)


def test_an_interval_of_a_sample_is_wider_than_that_of_chance_alone():
    frame, steps = block_world(users=400), []
    changed = recipe(frame, epochs=1)
    whole = compare_recipes(recipe(frame), changed, with_lists=False).metrics[0]
    half = compare_recipes(
        recipe(frame),
        changed,
        most_share=0.5,
        with_lists=False,
        on_step=lambda *step: steps.append(step),
    ).metrics[0]

    assert whole.allowance == 0
    assert half.allowance > 0
    assert half.low <= half.difference <= half.high
    assert steps[-1] == (6, 6)  # the sample, and both halves of it


def test_lists_are_left_out_where_they_are_not_wanted(world):
    steps = []
    found = compare_recipes(
        recipe(world), recipe(world, POPULAR), with_lists=False, on_step=lambda *step: steps.append(step)
    )

    assert found.lists is None
    assert found.metrics
    assert steps[-1] == (2, 2)


def test_an_open_recipe_is_searched_for_the_present_model(world):
    present = choose_model(world, msgspec.structs.replace(TRAINING, model="ials")).spec
    same = compare_recipes(recipe(world, present), recipe(world, None))
    other = compare_recipes(recipe(world, present), recipe(world, None, epochs=1))

    assert same.models == other.models == ("ials", "ials")
    assert [one.difference for one in same.metrics] == [0, 0]
    assert other.metrics[0].difference != 0


def test_a_sample_keeps_the_present_recency_and_takes_the_weights_that_the_settings_give(world):
    present = ModelSpec(model="ials", prior_weight=0.25, prior_half_life_days=60.0)
    score = ScoreSettings(prior_weight=2.0)
    chosen = compare_recipes(recipe(world, present), recipe(world, None, score=score), most_share=0.8)
    given = compare_recipes(
        recipe(world, present),
        recipe(world, msgspec.structs.replace(present, prior_weight=2.0), score=score),
        most_share=0.8,
    )

    assert chosen.metrics == given.metrics
    assert chosen.lists == given.lists
