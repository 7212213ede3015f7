"""Users are sampled by the hash of their ids, and settings mean the same on a sample."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.embeddings.factorisation import with_strengths
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.item_item import default_strength
from recsys_assets.evaluation.user_sample import on_sample, sample_rows, user_places
from recsys_assets.training_settings import ItemItemSettings, TrainingSettings
from recsys_assets_tests.embeddings.worlds import block_world

IDS = st.lists(
    st.text(min_size=1, max_size=8).filter(lambda key: key.isprintable()), unique=True, max_size=40
)
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


def test_halves_of_the_places_share_no_user_and_are_all_users_together():
    places = user_places(MATRIX.users, seed=0)
    low, high = sample_rows(MATRIX, places, 0.5), sample_rows(MATRIX, places, 1.0, low=0.5)

    assert sorted([*low.users, *high.users]) == sorted(MATRIX.users)
    assert pairs_of(low)[0] | pairs_of(high)[0] == pairs_of(MATRIX)[0]
