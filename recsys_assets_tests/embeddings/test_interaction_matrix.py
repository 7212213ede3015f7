import numpy as np
import polars as pl
import pytest

from recsys_assets import columns
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix, confidence, popularity
from recsys_assets.errors import TrainingDataError
from recsys_assets.training_settings import TrainingSettings
from recsys_assets_tests.embeddings.worlds import events


def test_duplicate_pairs_become_one_entry_with_summed_weight_and_last_day():
    matrix = InteractionMatrix.from_interactions(
        events([("u", "i", 1, 3), ("u", "i", 2, 5), ("u", "a", 1, 0)])
    )
    assert matrix.item_nums.tolist() == [0, 1]
    assert matrix.weights.tolist() == [1, 3]
    assert (matrix.last_day - matrix.last_day.min()).tolist() == [0, 5]


def test_the_summed_weights_are_the_same_bits_in_whatever_order_the_events_come():
    rng = np.random.default_rng(0)
    weights = np.log2(2 + rng.integers(0, 30, 30_000)).astype(np.float32)
    rows = [(f"u{n % 7}", f"i{n % 11}", weight, n % 20) for n, weight in enumerate(weights)]
    frame = events(rows).collect()
    expected = InteractionMatrix.from_interactions(frame.lazy()).weights
    for seed in range(10):
        mixed = frame.sample(fraction=1.0, shuffle=True, seed=seed)
        assert InteractionMatrix.from_interactions(mixed.lazy()).weights.tobytes() == expected.tobytes()


def test_raises_when_there_is_no_event():
    with pytest.raises(TrainingDataError, match="none of the interactions is a wish"):
        InteractionMatrix.from_interactions(events([]))


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), -1.0])
def test_raises_when_a_weight_is_not_a_finite_positive_number(weight):
    with pytest.raises(TrainingDataError, match="'u', item 'i'"):
        InteractionMatrix.from_interactions(
            events([("u", "i", weight, 0), ("u", "i", 9, 0), ("v", "i", 1, 0)])
        )


def test_events_of_weight_zero_are_left_out():
    matrix = InteractionMatrix.from_interactions(events([("u", "i", 0, 0), ("u", "a", 1, 0)]))
    assert list(matrix.items) == ["a"]


def test_given_vocabularies_keep_their_rows_and_drop_strangers():
    known = InteractionMatrix.from_interactions(events([("u", "i", 1, 0), ("v", "a", 1, 0)]))
    matrix = InteractionMatrix.from_interactions(
        events([("v", "i", 1, 0), ("w", "i", 1, 0), ("v", "x", 1, 0)]), users=known.users, items=known.items
    )
    assert matrix.indptr.tolist() == [0, 0, 1]
    assert matrix.item_nums.tolist() == [1]


def test_confidences_have_mean_one_and_halve_at_the_half_life():
    matrix = InteractionMatrix.from_interactions(
        events([("u", "a", 4, 0), ("u", "b", 4, 30), ("u", "c", 1, 30)])
    )
    found = confidence(matrix, TrainingSettings(half_life_days=30, count_exponent=0.5))
    np.testing.assert_allclose(found.mean(), 1, rtol=1e-6)
    np.testing.assert_allclose(found / found[2], [1, 2, 1], rtol=1e-6)


def test_debiasing_divides_by_a_power_of_the_items_users():
    matrix = InteractionMatrix.from_interactions(
        events([(user, "popular", 1, 0) for user in "stuv"] + [("u", "rare", 1, 0)])
    )
    plain, debiased = (confidence(matrix, TrainingSettings(debias_exponent=power)) for power in (0, 0.5))
    rare = matrix.item_nums == matrix.items.num("rare")
    np.testing.assert_allclose(plain, 1)
    np.testing.assert_allclose(debiased.mean(), 1, rtol=1e-6)
    np.testing.assert_allclose(debiased[rare] / debiased[~rare], [2] * 4, rtol=1e-6)


@pytest.mark.parametrize(("kind", "rating"), [("dislike", None), ("rating", 1.0)])
def test_an_opinion_against_the_item_takes_an_earlier_wish_back(kind, rating):
    frame = events([("u", "liked", 1, 0), ("u", "turned", 1, 0), ("u", "turned", 0, 1)]).with_columns(
        pl.when(pl.col(columns.WEIGHT) == 0).then(pl.lit(kind)).alias(columns.KIND),
        pl.when(pl.col(columns.WEIGHT) == 0).then(pl.lit(rating, pl.Float32)).alias(columns.RATING),
    )
    matrix = InteractionMatrix.from_interactions(frame)
    assert list(matrix.items) == ["liked"]
    again = pl.concat([frame.collect(), events([("u", "turned", 1, 2)]).collect()], how="diagonal").lazy()
    assert list(InteractionMatrix.from_interactions(again).items) == ["liked", "turned"]


def test_an_impression_after_a_purchase_takes_nothing_back():
    frame = events([("u", "i", 1, 0), ("u", "i", 0, 1)]).with_columns(
        pl.lit("impression").alias(columns.KIND)
    )
    assert InteractionMatrix.from_interactions(frame).entries == 1


def test_thirty_views_are_less_popular_than_twelve_purchases():
    views = [(f"v{n}", "looked", 0.2, 0) for n in range(30)]
    purchases = [(f"p{n}", "bought", 1.0 + n, 0) for n in range(12)]
    matrix = InteractionMatrix.from_interactions(events([*views, *purchases]))

    found = dict(zip(matrix.items, popularity(matrix), strict=True))

    assert found == {"bought": pytest.approx(12), "looked": pytest.approx(6)}
