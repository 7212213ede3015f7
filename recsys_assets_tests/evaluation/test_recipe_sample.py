"""A recipe's data, the share of the users that is affordable, and what is left open."""

from recsys_assets.embeddings.model_spec import ModelSpec
from recsys_assets.evaluation.recipe_sample import Recipe, affordable_share, gather
from recsys_assets.interactions.wish_rule import hides_item
from recsys_assets.settings import InteractionsSettings
from recsys_assets.training_settings import TrainingSettings
from recsys_assets_tests.embeddings.worlds import block_world

SPEC = ModelSpec(model="ials")


def recipe(frame, **training):
    return Recipe(interactions=frame, training=TrainingSettings(embedding_size=8, **training), spec=SPEC)


def test_all_users_are_taken_where_all_fit():
    both = recipe(block_world()), recipe(block_world(), epochs=1)

    share, foreseen = affordable_share(gather(*both), *both, seconds=60, seed=0)

    assert share == 1
    assert 0 < foreseen < 60


def test_the_share_falls_with_the_seconds_and_has_two_digits():
    both = (recipe(block_world(users=2_000)),) * 2
    data = gather(*both)
    _, all_of_them = affordable_share(data, *both, seconds=60, seed=0)

    for part in (0.7, 0.4, 0.2):
        share, foreseen = affordable_share(data, *both, seconds=part * all_of_them, seed=0)
        assert foreseen <= part * all_of_them
        assert part / 2 < share <= part * 1.1
        assert float(f"{share:.2g}") == share


def test_both_halves_of_a_sample_are_its_users():
    both = recipe(block_world(users=60)), recipe(block_world(users=60))
    data = gather(*both)
    halves = [set(half.whole[1].users) for half in data.halves(0.6, seed=0)]

    assert not halves[0] & halves[1]
    assert halves[0] | halves[1] == set(data.sample(0.6, seed=0).whole[1].users)


def test_interactions_of_one_frame_are_read_once():
    frame = block_world()
    data = gather(recipe(frame), recipe(frame, epochs=2))

    assert data.whole[0] is data.whole[1]
    assert data.trains is not None
    assert data.trains[0] is data.trains[1]


def test_the_rule_of_hidden_items_is_part_of_the_data():
    frame, rule = block_world(), hides_item(InteractionsSettings(seen=["purchase"]))
    one = Recipe(interactions=frame, training=TrainingSettings(), hides=rule)
    same = Recipe(
        interactions=frame,
        training=TrainingSettings(),
        hides=hides_item(InteractionsSettings(seen=["purchase"])),
    )

    assert one.has_data_of(same)
    assert not one.has_data_of(Recipe(interactions=frame, training=TrainingSettings()))


def test_only_the_present_model_is_searched_where_the_settings_allow_any():
    frame, blend = block_world(), ModelSpec(model="ials+item_item", first_share=0.5)
    open_ = Recipe(interactions=frame, training=TrainingSettings())

    assert open_.within(blend).open_components() == ("ials", "item_item")
    assert len(open_.within(None).open_components()) == 4
    fixed = Recipe(interactions=frame, training=TrainingSettings(model="popular"))
    assert fixed.within(blend) is fixed
