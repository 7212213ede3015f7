import polars as pl
import pytest

from recsys_assets import columns
from recsys_assets.embeddings.fit_release import fit_release, only_purchases
from recsys_assets.embeddings.model_spec import ModelSpec
from recsys_assets.training_settings import TrainingSettings
from recsys_assets_tests.embeddings.worlds import block_world


@pytest.mark.parametrize(
    ("kinds", "weights", "expected"),
    [
        (["purchase", "purchase"], [1.0, 2.0], True),
        (["purchase", "view"], [1.0, 0.0], True),
        (["purchase", "view"], [1.0, 0.1], False),
        (["purchase", None], [1.0, 1.0], False),
        ([None, None], [1.0, 1.0], False),
    ],
)
def test_wishes_are_purchases_where_every_event_that_weighs_is_one(kinds, weights, expected):
    frame = pl.LazyFrame(
        {columns.KIND: kinds, columns.WEIGHT: weights},
        schema={columns.KIND: pl.String, columns.WEIGHT: pl.Float32},
    )
    assert only_purchases(frame) is expected


@pytest.mark.parametrize(
    ("model", "epochs"),
    [
        ("ials", [2]),
        ("softmax", [2]),
        ("ials+softmax", [2, 2]),
        ("softmax+item_item", [2]),
        ("popular", [15]),
    ],
)
def test_a_warm_start_trains_each_factorisation_on_from_its_own_vectors(model, epochs, tmp_path):
    settings = TrainingSettings(embedding_size=8, warm_start_epochs=2)
    spec = ModelSpec(model=model, first_share=0.5 if "+" in model else 1.0)
    cold = fit_release(block_world(), spec, settings, earlier=tmp_path)
    cold.save(tmp_path)
    seen = []
    warm = fit_release(
        block_world(), spec, settings, earlier=tmp_path, on_epoch=lambda *given: seen.append(given)
    )
    assert (cold.warm_start, warm.warm_start) == (False, model != "popular")
    assert seen == [(epoch, of) for of in epochs for epoch in range(1, of + 1)]
    if model.startswith("ials"):
        assert warm.model.factorisation.losses[0] < cold.model.factorisation.losses[0]
