"""The present and the proposed recipe fitted to the same sample of users, before anything is built.

The quality is measured on held-out days, the lists after all days. The share of the users is what the sizes of the
data allow in the seconds given, never what a clock says, so that the same input gives the same result.
A sample cannot see everything: with fewer users an item has fewer entries, so that both recipes rank worse than on
all users, most of all rare items. Both are fitted to each half of the sample too, which shows how a difference grows
with the users; see `sample_interval`. A recipe that ruins the model may come out worse still.
"""

from collections.abc import Callable, Iterator

import msgspec
import numpy as np

from recsys_assets.embeddings.fit_model import FittedModel, fit_model
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.recency import categories_in
from recsys_assets.errors import MemoryBudgetError, TrainingDataError
from recsys_assets.evaluation import metrics
from recsys_assets.evaluation.changed_lists import ListChanges, changes_of
from recsys_assets.evaluation.comparison import MOST_USERS
from recsys_assets.evaluation.held_out import Split, rank
from recsys_assets.evaluation.model_search import LEAST_USERS
from recsys_assets.evaluation.recipe_quality import (
    DEPTHS,
    Models,
    NdcgOfBoth,
    RankedByBoth,
    diversities,
    ndcg_change,
    ndcg_of_both,
    rank_by_both,
)
from recsys_assets.evaluation.recipe_result import RecipeComparison
from recsys_assets.evaluation.recipe_sample import (
    MOST_LISTS,
    Recipe,
    RecipeData,
    affordable_share,
    choose_open,
    gather,
    is_same,
)
from recsys_assets.evaluation.user_sample import on_sample, user_places
from recsys_assets.storage.arrays import NO_ITEM


def compare_recipes(
    before: Recipe,
    after: Recipe,
    *,
    seconds: float = 60.0,
    seed: int = 0,
    most_share: float = 1.0,
    with_lists: bool = True,
    on_step: Callable[[int, int], None] = lambda _, __: None,
) -> RecipeComparison:
    """Fit both recipes to the same sample of users, and compare their quality and lists.

    Both are split by time on the day that the proposed one's settings give. The truth is the proposed one's: where
    its interactions differ, as by a corrected day, the present one is judged by the corrected events too. Both are
    trained from scratch, also where `warm_start_epochs` is set.

    Args:
        before: the present recipe.
        after: the proposed one; without a spec its recency and shares are searched for the present model.
        seconds: time that choosing, fitting and ranking may take on two busy cores, as foreseen from the sizes.
        seed: seed of the hash that users are sampled by, and of the bootstrap.
        most_share: largest share of the users that is taken, above 0.
        with_lists: whether the lists are compared, which takes two fits more.
        on_step: called after each step with the number done and the number of all.
    """
    after = after.within(before.spec)
    try:
        data = gather(before, after)
    except TrainingDataError as error:  # nothing at all to learn from: a plan still says the rest
        return RecipeComparison(problem=str(error))
    choosing = before.spec is None or after.spec is None
    allowed = seconds / (2 if choosing else 1)
    share, foreseen = affordable_share(data, before, after, seconds=allowed, seed=seed, most=most_share)
    sample = data.sample(share, seed=seed)
    found = RecipeComparison(
        share=share,
        users=len(sample.whole[1].users),
        foreseen_seconds=foreseen,
        first_held_out_day=data.cut,
        problem=data.problem,
    )
    if foreseen > seconds:
        too_long = (
            f"fitting {found.users:,} users would take {foreseen:.0f} s, and {seconds:.0f} s are allowed"
        )
        return msgspec.structs.replace(found, problem=too_long)
    try:
        steps = _Steps(on_step, count=2 + 2 * with_lists + 2 * choosing + 4 * (share < 1))
        if choosing:
            before, after = choose_open(
                before, after, sample, share=share, seconds=seconds / 4, on_choice=steps.one
            )
        pair = (before, after)
        found = _with_quality(found, pair, data=data, sample=sample, seed=seed, steps=steps)
        if with_lists:
            found = _with_lists(found, pair, data=data, sample=sample, seed=seed, steps=steps)
    except (TrainingDataError, MemoryBudgetError) as error:
        return msgspec.structs.replace(found, problem=str(error))
    return found


class _Steps:
    """Counts what is done."""

    def __init__(self, on_step: Callable[[int, int], None], count: int) -> None:
        self._on_step, self._count, self._done = on_step, count, 0

    def one(self) -> None:
        self._done += 1
        self._on_step(self._done, self._count)


def _with_quality(
    found: RecipeComparison,
    recipes: tuple[Recipe, Recipe],
    *,
    data: RecipeData,
    sample: RecipeData,
    seed: int,
    steps: _Steps,
) -> RecipeComparison:
    """Fill in the models and, where enough is held out, the quality."""
    names = [recipe.spec.model for recipe in recipes if recipe.spec is not None]
    found = msgspec.structs.replace(found, models=(names[0], names[1]))
    if sample.trains is None or data.trains is None or sample.truth is None:
        return found
    split = Split(train=sample.trains[1], truth=sample.truth)
    users = split.sample_users(most_users=MOST_USERS, seed=seed)
    if len(users) < LEAST_USERS:
        problem = (
            f"{len(users)} users touch something new from {data.cut} on, and at least {LEAST_USERS} must"
        )
        return msgspec.structs.replace(found, problem=problem)
    models = _fitted(recipes, sample.trains, data.trains, steps)
    ranked = rank_by_both(models, users)
    whole = ndcg_of_both(models, ranked, sample.truth)
    halves = list[NdcgOfBoth]()
    if found.share < 1 and models[0] is not models[1]:
        halves = list(_on_halves(recipes, data, share=found.share, seed=seed, steps=steps))
    changes = [
        ndcg_change(whole, halves, place, share=found.share, seed=seed) for place in range(len(DEPTHS))
    ]
    return _with_catalogue(msgspec.structs.replace(found, metrics=changes), models, ranked)


def _with_lists(
    found: RecipeComparison,
    recipes: tuple[Recipe, Recipe],
    *,
    data: RecipeData,
    sample: RecipeData,
    seed: int,
    steps: _Steps,
) -> RecipeComparison:
    fitted = _fitted(recipes, sample.whole, data.whole, steps)
    return msgspec.structs.replace(found, lists=_lists(recipes, fitted, seed=seed))


def _fitted(
    recipes: tuple[Recipe, Recipe],
    sample: tuple[InteractionMatrix, InteractionMatrix],
    data: tuple[InteractionMatrix, InteractionMatrix],
    steps: _Steps,
) -> Models:
    """Fit both, or one where nothing differs."""
    found: list[FittedModel] = []
    for recipe, matrix, whole in zip(recipes, sample, data, strict=True):
        if found and recipe.is_same_as(recipes[0]) and is_same(*sample):
            found.append(found[0])
        elif recipe.spec is not None:
            settings = on_sample(recipe.training, matrix, whole)
            codes_I = categories_in(recipe.catalogue)(matrix.items)
            found.append(fit_model(matrix, recipe.spec, settings, categories_I=codes_I))
        steps.one()
    return found[0], found[1]


def _on_halves(
    recipes: tuple[Recipe, Recipe], data: RecipeData, *, share: float, seed: int, steps: _Steps
) -> Iterator[NdcgOfBoth]:
    """Yield what both recipes are for the users of either half of the sample, fitted to that half."""
    for half in data.halves(share, seed=seed):
        if half.trains is None or data.trains is None or half.truth is None:
            continue
        users = Split(train=half.trains[1], truth=half.truth).sample_users(most_users=MOST_USERS, seed=seed)
        models = _fitted(recipes, half.trains, data.trains, steps)
        yield ndcg_of_both(models, rank_by_both(models, users), half.truth)


def _with_catalogue(found: RecipeComparison, models: Models, ranked: RankedByBoth) -> RecipeComparison:
    """Fill in the coverage and the diversity of the ranked lists."""
    tops = [lists_Rk[:, : DEPTHS[0]] for lists_Rk in ranked.own]
    coverage = [
        metrics.coverage(lists_Rk, len(model.matrix.items))
        for lists_Rk, model in zip(tops, models, strict=True)
    ]
    return msgspec.structs.replace(
        found,
        ranked_users=len(ranked.users),
        coverage=(coverage[0], coverage[1]),
        diversity=diversities(models, tops),
    )


def _lists(recipes: tuple[Recipe, Recipe], models: Models, *, seed: int) -> ListChanges:
    """Compare the lists after all days of users whom both know: those with the least hashes."""
    of_users = [model.matrix.users for model in models]
    common = [user for user in of_users[0] if user in of_users[1]]
    drawn = np.sort(np.argsort(user_places(common, seed=seed), kind="stable")[:MOST_LISTS])
    users = [common[num] for num in drawn.tolist()]
    k = DEPTHS[0]
    before, after = (_ids(model, users, k=k) for model in models)
    return changes_of(
        users,
        before,
        after,
        k=k,
        titles=(recipes[0].titles(), recipes[1].titles()),
        only=(len(of_users[0]) - len(common), len(of_users[1]) - len(common)),
    )


def _ids(model: FittedModel, users: list[str], *, k: int) -> list[list[str]]:
    """Return the ids of the first k items of each user."""
    nums = model.matrix.users.nums(users).astype(np.int64)
    rows = rank(model.matrix, nums, model.score(), k=k).items_Rk.tolist()
    return [[model.matrix.items[num] for num in row if num != NO_ITEM] for row in rows]
