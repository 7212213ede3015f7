"""Two recipes, their data, the sample of users that both can be fitted to in the seconds given, and open models.

Users are sampled by the hash of their ids: the same users in any data, and in every larger sample too. Items are not
sampled, so that a fit ranks the whole catalogue. What a recipe leaves open adapts to the sample's density; what it
fixes is translated by `user_sample.on_sample`.
Shapes: n entries.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_assets import columns
from recsys_assets.embeddings.components import COMPONENTS
from recsys_assets.embeddings.fit_model import components_of
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.model_spec import ModelSpec
from recsys_assets.embeddings.recency import categories_in
from recsys_assets.errors import TrainingDataError
from recsys_assets.evaluation.changed_lists import Titles
from recsys_assets.evaluation.choice import choose_model
from recsys_assets.evaluation.held_out import time_split
from recsys_assets.evaluation.model_search import search_space
from recsys_assets.evaluation.user_sample import sample_rows, user_places
from recsys_assets.training_settings import TrainingSettings

MOST_LISTS: Final = 2_000
"""Sampled users whose lists are compared."""
_RANKED_A_SECOND: Final = 3e7
"""Users times items that two busy cores rank in a second."""
_LEAST_SAMPLE: Final = 200
"""Users of the smallest sample that is tried."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that decides the model of a release."""

    interactions: pl.LazyFrame
    """The columns of the INTERACTIONS contract, of all days."""
    training: TrainingSettings
    """Settings of the training."""
    spec: ModelSpec | None = None
    """The model; None chooses it on the sample, as the product does on all users."""
    catalogue: pl.DataFrame | None = None
    """The columns of the ITEM_CATALOGUE contract, where there is one."""
    hides: pl.Expr | None = None
    """True for the events that hide an item, see `InteractionMatrix.from_interactions`; None: all do."""

    def has_data_of(self, other: "Recipe") -> bool:
        """Return true where both are given the same frame and the same rule of what hides."""
        if self.hides is None or other.hides is None:
            same_rule = self.hides is other.hides
        else:
            same_rule = self.hides.meta.eq(other.hides)
        return self.interactions is other.interactions and same_rule

    def is_same_as(self, other: "Recipe") -> bool:
        """Return true where both make the same model of the same matrix."""
        same_codes = self.catalogue is other.catalogue or (
            self.catalogue is not None
            and other.catalogue is not None
            and self.catalogue.equals(other.catalogue)
        )
        return self.training == other.training and self.spec == other.spec and same_codes

    def within(self, given: ModelSpec | None) -> "Recipe":
        """Return the recipe with the given model where any is allowed: to compare all takes longer than a plan may."""
        if given is None or self.spec is not None or self.training.model != "auto":
            return self
        return replace(self, training=msgspec.structs.replace(self.training, model=given.model))

    def open_components(self) -> tuple[str, ...]:
        """Return the names of all components that may have to be fitted."""
        if self.spec is None:
            return search_space(self.training).components
        return components_of(self.spec)

    def titles(self) -> Titles:
        """Return a function from an item's id to its title in the catalogue."""
        if self.catalogue is None:
            return lambda _: ""
        rows = self.catalogue.select(columns.ITEM_ID, columns.TITLE).iter_rows()
        known: dict[str, str | None] = dict(rows)
        return lambda item: known.get(item) or ""


@dataclass(frozen=True, kw_only=True)
class RecipeData:
    """The matrices of both recipes, of all users or of a sample."""

    whole: tuple[InteractionMatrix, InteractionMatrix]
    """All days of each, in its own numbering."""
    trains: tuple[InteractionMatrix, InteractionMatrix] | None
    """The days before the held-out ones of each, in its own numbering; None where nothing can be held out."""
    truth: InteractionMatrix | None
    """The proposed one's held-out pairs, in the numbering of its matrix before them."""
    cut: date | None
    """The first held-out day."""
    problem: str = ""
    """Reason why nothing is held out."""

    def sample(self, share: float, *, seed: int) -> "RecipeData":
        """Return the same of a share of the users."""
        return self if share >= 1 else self.between(0.0, share, seed=seed)

    def halves(self, share: float, *, seed: int) -> Iterator["RecipeData"]:
        """Yield the same of either half of the users that `sample` takes."""
        yield self.between(0.0, share / 2, seed=seed)
        yield self.between(share / 2, share, seed=seed)

    def between(self, low: float, high: float, *, seed: int) -> "RecipeData":
        """Return the same of the users whose place is in a range."""

        def of(matrix: InteractionMatrix) -> InteractionMatrix:
            return sample_rows(matrix, user_places(matrix.users, seed=seed), high, low=low)

        if self.trains is None or self.truth is None:
            return replace(self, whole=both(of, self.whole))
        return replace(self, whole=both(of, self.whole), trains=both(of, self.trains), truth=of(self.truth))


def gather(before: Recipe, after: Recipe) -> RecipeData:
    """Return the matrices of all users.

    Raises:
        TrainingDataError: there is nothing to learn from.
    """
    same = before.has_data_of(after)
    now = InteractionMatrix.from_interactions(after.interactions, hides=after.hides)
    was = now if same else InteractionMatrix.from_interactions(before.interactions, hides=before.hides)
    share = after.training.held_out_share
    try:
        split = time_split(after.interactions, held_out_share=share, hides=after.hides)
        cut, train = split.first_held_out_day, split.train
        if not same:
            earlier = before.interactions.filter(pl.col(columns.TIMESTAMP).dt.date() < cut)
            train = InteractionMatrix.from_interactions(earlier, hides=before.hides)
    except TrainingDataError as error:
        return RecipeData(whole=(was, now), trains=None, truth=None, cut=None, problem=str(error))
    return RecipeData(whole=(was, now), trains=(train, split.train), truth=split.truth, cut=cut)


def affordable_share(
    data: RecipeData, before: Recipe, after: Recipe, *, seconds: float, seed: int, most: float = 1.0
) -> tuple[float, float]:
    """Return the share of the users that takes `seconds` or less, or the least one, and the time foreseen for it."""
    share = most
    while True:
        sample = data.sample(share, seed=seed)
        foreseen = _foreseen(sample, before, after, with_halves=share < 1)
        if foreseen <= seconds or len(sample.whole[1].users) < _LEAST_SAMPLE:
            return share, foreseen
        share = _rounded_down(share * min(0.95, seconds / foreseen))


def _rounded_down(share: float) -> float:
    """Return the share with two digits, so that it can be stated."""
    unit = 10.0 ** (np.floor(np.log10(share)) - 1)
    return float(np.round(np.floor(share / unit) * unit, 12))


def _foreseen(data: RecipeData, before: Recipe, after: Recipe, *, with_halves: bool) -> float:
    """Return the seconds of fitting and ranking all, on two busy cores; both halves take as long as their whole."""
    recipes = (before, after)
    fits = list(zip(data.whole, recipes, strict=True))
    ranked = sum(min(len(one.users), MOST_LISTS) * len(one.items) for one in data.whole)
    if data.trains is not None and data.truth is not None:
        times = 1 + with_halves
        fits += times * list(zip(data.trains, recipes, strict=True))
        ranked += times * 2 * int(np.count_nonzero(np.diff(data.truth.indptr))) * len(data.truth.items)
    fitting = sum(
        COMPONENTS[name].seconds(matrix, recipe.training)
        for matrix, recipe in fits
        for name in recipe.open_components()
    )
    return fitting + ranked / _RANKED_A_SECOND


def choose_open(
    before: Recipe,
    after: Recipe,
    sample: RecipeData,
    *,
    share: float,
    seconds: float,
    on_choice: Callable[[], None],
) -> tuple[Recipe, Recipe]:
    """Fill in the models that are open.

    On a sample the given model's recency and shares are kept: a search there differed by 5 % of NDCG from one on all.

    Args:
        before: the present recipe.
        after: the proposed one.
        sample: the data of the users that both are fitted to.
        share: their share of all users.
        seconds: time that comparing the models of one recipe may take, as foreseen.
        on_choice: called after each choice.

    Raises:
        TrainingDataError: nothing can be learnt from.
        MemoryBudgetError: fitting would need more memory than its budget.
    """
    given = before.spec
    if given is not None and after.spec is None and after.training.model == given.model and share < 1:
        after = replace(after, spec=given.given(after.training.score))
    found: list[Recipe] = []
    for recipe, whole in zip((before, after), sample.whole, strict=True):
        if recipe.spec is not None:
            found.append(recipe)
        elif found and recipe.training == before.training and before.has_data_of(after):
            found.append(replace(recipe, spec=found[0].spec))
        else:
            found.append(replace(recipe, spec=_choice(recipe, whole, share=share, seconds=seconds)))
        on_choice()
    return found[0], found[1]


def _choice(recipe: Recipe, whole: InteractionMatrix, *, share: float, seconds: float) -> ModelSpec:
    """Choose the model on the users of the matrix, as the product does on all."""
    frame = recipe.interactions
    if share < 1:
        users = pl.Series(list(whole.users), dtype=pl.String)
        frame = frame.filter(pl.col(columns.USER_ID).is_in(users.implode())).collect().lazy()
    allowed = min(seconds, recipe.training.choice_seconds)
    training = msgspec.structs.replace(recipe.training, choice_seconds=allowed)
    return choose_model(frame, training, categories=categories_in(recipe.catalogue), hides=recipe.hides).spec


def is_same(one: InteractionMatrix, other: InteractionMatrix) -> bool:
    """Return true where two matrices hold the same pairs, weights and days of the same users and items."""
    return one is other or all(
        np.array_equal(left, right) for left, right in zip(_arrays(one), _arrays(other), strict=True)
    )


def _arrays(matrix: InteractionMatrix) -> tuple[npt.NDArray[Any], ...]:
    users, items, seen = matrix.users, matrix.items, matrix.seen
    own = matrix.indptr, matrix.item_nums, matrix.weights, matrix.last_day
    return (users.offsets, users.data, items.offsets, items.data, *own, seen.indptr, seen.item_nums)


def both(
    change: Callable[[InteractionMatrix], InteractionMatrix],
    pair: tuple[InteractionMatrix, InteractionMatrix],
) -> tuple[InteractionMatrix, InteractionMatrix]:
    """Return both matrices changed; once where they are one."""
    before, after = pair
    changed = change(before)
    return changed, changed if after is before else change(after)
