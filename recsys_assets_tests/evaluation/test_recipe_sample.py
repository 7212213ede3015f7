"""Users are sampled by the hash of their ids, and a recipe means the same on a sample."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.embeddings.factorisation import with_strengths
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.item_item import default_strength
from recsys_assets.embeddings.model_spec import ModelSpec
from recsys_assets.evaluation.recipe_sample import (
    Recipe,
    affordable_share,
    gather,
    on_sample,
    sample_rows,
    user_places,
)
from recsys_assets.interactions.wish_rule import hides_item
from recsys_assets.settings import InteractionsSettings
from recsys_assets.training_settings import ItemItemSettings, TrainingSettings
from recsys_assets_tests.embeddings.worlds import block_world

IDS = st.lists(
    st.text(min_size=1, max_size=8).filter(lambda key: key.isprintable()), unique=True, max_size=40
)
SPEC = ModelSpec(model="ials")
MATRIX = InteractionMatrix.from_interactions(block_world(users=30, items=20))


def pairs_of(matrix):
    """(user, item) -> weight and day, by ids; and the pairs that hide."""
    users, items, seen = list(matrix.users), list(matrix.items), matrix.seen
    keys = [(users[u], items[i]) for u, i in zip(matrix.user_nums(), matrix.item_nums, strict=True)]
    hidden = np.repeat(np.arange(len(users)), np.diff(seen.indptr))
    return (
        dict(zip(keys, zip(matrix.weights.tolist(), matrix.last_day.tolist(), strict=True), strict=True)),
        {(users[u], items[i]) for u, i in zip(hidden, seen.item_nums, strict=True)},
    )


@given(IDS, st.integers(0, 2**32 - 1))
def test_a_users_place_depends_on_the_id_and_the_seed_alone(ids, seed):
    places = dict(zip(ids, user_places(ids, seed=seed), strict=True))

    assert all(0 <= place < 1 for place in places.values())
    assert list(user_places(ids[::-1], seed=seed)) == [places[key] for key in ids[::-1]]
    assert all(user_places([key], seed=seed)[0] == places[key] for key in ids[:3])


def test_a_share_of_the_places_is_a_share_of_the_users():
    places = user_places([f"u{num}" for num in range(20_000)], seed=0)

    assert np.histogram(places, 10, (0, 1))[0] == pytest.approx(2_000, abs=250)
    other = user_places([f"u{num}" for num in range(20_000)], seed=1)
    assert abs(np.corrcoef(places, other)[0, 1]) < 0.03


@settings(max_examples=25)
@given(st.floats(0.1, 0.9), st.floats(0.1, 0.9))
def test_a_smaller_sample_is_part_of_a_larger_one(one, other):
    places = user_places(MATRIX.users, seed=0)
    small, large = (pairs_of(sample_rows(MATRIX, places, share))[0] for share in sorted((one, other)))

    assert small.items() <= large.items() <= pairs_of(MATRIX)[0].items()


def test_a_sample_keeps_all_items():
    matrix = InteractionMatrix.from_interactions(block_world())

    assert list(sample_rows(matrix, user_places(matrix.users, seed=0), 0.3).items) == list(matrix.items)


def test_a_fixed_strength_stays_the_same_multiple_of_the_one_by_density():
    whole = InteractionMatrix.from_interactions(block_world(users=400))
    sample = sample_rows(whole, user_places(whole.users, seed=0), 0.2)
    open_ = TrainingSettings()
    of_whole, of_sample = with_strengths(open_, whole), with_strengths(open_, sample)
    fixed = TrainingSettings(
        regularization=3 * of_whole.regularization,
        item_item=ItemItemSettings(regularization=2 * default_strength(whole)),
    )

    found = on_sample(fixed, sample, whole)

    assert found.regularization == pytest.approx(3 * of_sample.regularization)
    assert found.regularization > fixed.regularization
    assert found.item_item.regularization == pytest.approx(2 * default_strength(sample))
    assert found.unobserved_weight == 0


def test_settings_that_fix_no_strength_are_the_same_on_a_sample():
    whole = InteractionMatrix.from_interactions(block_world())
    sample = sample_rows(whole, user_places(whole.users, seed=0), 0.5)

    assert on_sample(TrainingSettings(epochs=3), sample, whole) == TrainingSettings(epochs=3)
    fixed = TrainingSettings(regularization=0.5, unobserved_weight=0.1)
    assert on_sample(fixed, whole, whole) == fixed


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
