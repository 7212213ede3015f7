"""The parts of a score and their words: a world computed by hand, and a real release."""

from dataclasses import replace

import numpy as np
import pytest
from msgspec.structs import replace as changed

from recsys_assets.embeddings.score_recipe import RelatedRows
from recsys_assets.release.load import Release
from recsys_assets.rules.engine.item_facts import ItemLookups
from recsys_assets.rules.engine.requests import Request
from recsys_assets.rules.engine.score_words import ScorePart, parts_of_scores
from recsys_assets.rules.rules_file import load_engine

WISH, TASTE, BOUGHT, POPULAR, NEW = 5, 1, 2, 3, 4
NUMS = np.array([TASTE, BOUGHT, POPULAR, NEW], dtype=np.int32)


@pytest.fixture
def tiny(blend: Release) -> Release:
    """The first user has wished for item 5; one item each has its score from one part."""
    items, size = blend.item_embeddings.shape
    items_ID = np.zeros((items, size), dtype=np.float32)
    items_ID[[WISH, TASTE, NEW], 0] = [1.0, 1.0, 0.8]
    items_ID[POPULAR, -1] = 2.0
    users_UD = np.zeros_like(blend.user_embeddings)
    users_UD[0, [0, -1]] = [1.0, 0.5]
    items_IN = np.full((items, 1), -1, dtype=np.int32)
    weights_IN = np.zeros((items, 1), dtype=np.float32)
    items_IN[WISH], weights_IN[WISH] = BOUGHT, 1.5
    like_items = np.full(items, -1, dtype=np.int32)
    like_items[NEW] = WISH
    return replace(
        blend,
        item_embeddings=items_ID,
        user_embeddings=users_UD,
        history_indptr=np.minimum(np.arange(len(blend.users) + 1), 1),
        history_items=np.array([WISH], dtype=np.int32),
        history_days=np.array([19_000], dtype=np.int32),
        score=replace(
            blend.score,
            related=RelatedRows(items_IN=items_IN, weights_IN=weights_IN),
            like_items=like_items,
        ),
    )


def parts(
    release: Release, request: Request, nums: np.ndarray = NUMS, *, shown: int = 4
) -> list[list[ScorePart]]:
    asker = None if request.user_num is None else release.taste_of_user(request.user_num, request.session)
    return parts_of_scores(release, ItemLookups(release), asker, request, nums, shown=shown)


def test_each_component_has_its_words(tiny):
    wish = tiny.titles[WISH]
    found = parts(tiny, Request(user_num=0))
    assert [[(part.component, part.share, part.text) for part in one] for one in found] == [
        [("factors", 1.0, f"goes with {wish}")],
        [("related", 1.0, f"bought with {wish}")],
        [("prior", 1.0, "popular lately")],
        [("new", 1.0, f"new, like {wish}")],
    ]


def test_where_the_list_is_mostly_popular_items_the_words_name_the_period_and_category(tiny):
    found = parts(tiny, Request(user_num=0), NUMS[[2, 0, 1, 3]], shown=1)
    assert found[0][0].text == f"popular this month in {tiny.categories[POPULAR]}"
    prior = replace_prior(tiny, half_life_days=7.0)
    found = parts(prior, Request(user_num=0), NUMS[[2, 0, 1, 3]], shown=1)
    assert found[0][0].text == f"popular this week in {tiny.categories[POPULAR]}"


def replace_prior(release: Release, **changes: float) -> Release:
    recipe = release.score.recipe
    assert recipe.prior is not None
    return replace(
        release, score=replace(release.score, recipe=changed(recipe, prior=changed(recipe.prior, **changes)))
    )


def test_items_are_chosen_together_where_wishes_are_not_all_purchases(tiny):
    viewed = replace(tiny, score=replace(tiny.score, recipe=changed(tiny.score.recipe, purchases=False)))
    assert parts(viewed, Request(user_num=0))[1][0].text == f"chosen together with {tiny.titles[WISH]}"


def test_a_part_counts_by_what_it_lifts_an_item_above_the_others(tiny):
    tiny.item_embeddings[BOUGHT, -1] = 2.0
    found = parts(tiny, Request(user_num=0))[BOUGHT - 1]
    # related: 1.5 - 0.375, prior: 1 - 0.5
    assert [(part.component, part.share) for part in found] == [("related", 0.6923), ("prior", 0.3077)]


def test_an_item_below_the_mean_everywhere_still_has_a_main_part(tiny):
    found = parts(tiny, Request(user_num=0), np.array([TASTE, BOUGHT, POPULAR, 20], dtype=np.int32))
    assert [(part.component, part.share) for part in found[3]] == [("factors", 0.0)]


def test_a_stranger_is_given_the_popular_items_of_the_month(tiny):
    found = parts(tiny, Request())
    assert [part.text for part in found[0]] == [f"popular this month in {tiny.categories[TASTE]}"]


def test_the_trace_of_a_list_has_the_parts_of_all_ranked_items(blend, blend_home):
    pipeline = load_engine(blend, home=blend_home).scenario()
    for request in (Request(user_id=blend.users[4], user_num=4), Request(session=[3, 9]), Request()):
        _, trace = pipeline.explain(request)
        for record in trace.items.values():
            shares = [part.share for part in record.parts]
            assert bool(record.parts) == (record.rank is not None)
            assert shares == sorted(shares, reverse=True)
            assert len(shares) < 2 or sum(shares) == pytest.approx(1, abs=0.001)
