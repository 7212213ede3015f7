import msgspec
import numpy as np
import polars as pl
import pytest

from recsys_assets import columns
from recsys_assets.embeddings.fit_release import fit_release
from recsys_assets.embeddings.model_spec import ModelSpec
from recsys_assets.embeddings.new_items import untouched_items
from recsys_assets.lake.contract import ITEM_CATALOGUE
from recsys_assets.storage.arrays import NO_ITEM
from recsys_assets.training_settings import TrainingSettings
from recsys_assets_tests.embeddings.worlds import block_world, events

SETTINGS = TrainingSettings(embedding_size=8, epochs=5)
WORDS = ("tea leaf green", "bike chain oil", "novel crime page", "lamp desk light")
"""The title of each block's items."""


def catalogue_of(ids):
    """A catalogue whose titles say the block of an item."""
    rows = [{columns.ITEM_ID: name, columns.TITLE: WORDS[int(name[1:]) % 4]} for name in ids]
    return pl.DataFrame(rows, schema=ITEM_CATALOGUE.polars_schema())


CATALOGUE = catalogue_of([f"i{n:03}" for n in range(68)])
"""The world's 60 items and eight that nobody has touched."""


@pytest.fixture(scope="module", params=["ials", "ials+item_item", "softmax", "popular"])
def released(request):
    share = 0.5 if "+" in request.param else 1.0
    spec = ModelSpec(model=request.param, first_share=share, prior_weight=0.1)
    with_text = fit_release(block_world(), spec, SETTINGS, catalogue=CATALOGUE).model
    return with_text, fit_release(block_world(), spec, SETTINGS).model


def test_every_untouched_item_with_words_gets_a_vector(released):
    model, without = released
    new = [num for num, name in enumerate(model.matrix.items) if without.matrix.items.num(name) is None]
    assert [model.matrix.items[num] for num in new] == [f"i{n:03}" for n in range(60, 68)]
    vectors = model.factorisation.item_embeddings[new]
    assert np.isfinite(vectors).all()
    assert model.parts.like_items[new].min() > NO_ITEM


def test_known_items_keep_their_scores(released):
    model, without = released
    places = model.matrix.items.nums(list(without.matrix.items))
    users = np.arange(len(model.matrix.users))
    np.testing.assert_allclose(
        model.score()(users).numpy()[:, places], without.score()(users).numpy(), rtol=1e-5, atol=1e-6
    )


def test_a_new_item_is_like_a_known_one_of_its_words(released):
    model, _ = released
    for num, like in enumerate(model.parts.like_items.tolist()):
        if like != NO_ITEM:
            assert int(model.matrix.items[num][1:]) % 4 == int(model.matrix.items[like][1:]) % 4


def test_a_new_item_is_wanted_by_those_who_want_its_kind():
    model = fit_release(block_world(), ModelSpec(model="ials"), SETTINGS, catalogue=CATALOGUE).model
    new = model.matrix.items.nums([f"i{n:03}" for n in range(60, 64)])
    scores = model.score()(np.arange(80)).numpy()[:, new]
    own = [int(name[1:]) % 4 for name in model.matrix.users]
    assert (scores.argmax(axis=1) == np.array(own)).mean() > 0.9


def test_an_item_that_was_only_rated_low_has_a_past():
    world = events([("u", "a", 1, 0), ("v", "bad", 0, 0)])
    assert untouched_items(world, catalogue_of(["a1", "b1"])) == ["a1", "b1"]
    assert (
        untouched_items(world, catalogue_of(["a1"]).with_columns(pl.lit("bad").alias(columns.ITEM_ID))) == []
    )


def test_an_item_without_words_gets_no_vector():
    bare = catalogue_of(["i9"]).with_columns(pl.lit(None, pl.String).alias(columns.TITLE))
    assert untouched_items(block_world(), bare) == []


def test_a_warm_fit_keeps_the_vectors_of_items_that_are_still_new(tmp_path):
    spec, warm = (
        ModelSpec(model="ials", prior_weight=0.1),
        msgspec.structs.replace(SETTINGS, warm_start_epochs=1),
    )
    first = fit_release(block_world(), spec, SETTINGS, catalogue=CATALOGUE)
    first.save(tmp_path)
    again = fit_release(block_world(), spec, warm, catalogue=CATALOGUE, earlier=tmp_path)
    size, new = first.model.parts.recipe.factor_size, slice(60, 68)

    assert again.warm_start
    for one, other in (
        (
            first.model.factorisation.item_embeddings[new, :size],
            again.model.factorisation.item_embeddings[new, :size],
        ),
        (first.model.parts.like_items, again.model.parts.like_items),
    ):
        np.testing.assert_array_equal(one, other)


def test_a_warm_fit_learns_the_vectors_of_items_that_came_since(tmp_path):
    spec, warm = (
        ModelSpec(model="ials", prior_weight=0.1),
        msgspec.structs.replace(SETTINGS, warm_start_epochs=1),
    )
    fit_release(block_world(), spec, SETTINGS, catalogue=CATALOGUE).save(tmp_path)
    more = catalogue_of([f"i{n:03}" for n in range(72)])
    model = fit_release(block_world(), spec, warm, catalogue=more, earlier=tmp_path).model

    assert model.parts.like_items[60:].min() > NO_ITEM
    assert model.factorisation.item_embeddings[60:].any(axis=1).all()
