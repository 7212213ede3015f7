"""The choice of a model on held-out days: every component, the best blends of two, each with its recency.

It never sees the days that the evaluation reports on: it splits the days before them once more by time. A log with
few users to compare on is split at earlier days too, since a choice among hundreds of models by thirty users is luck.
The same data and settings give the same choice: the time allowed is compared with what the sizes foretell, not with
a clock.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Final

import msgspec
import numpy as np
import polars as pl

from recsys_assets import columns as names
from recsys_assets.embeddings.components import COMPONENTS, FittedComponent
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.model_spec import ALL_TIME, ModelSpec
from recsys_assets.embeddings.recency import Categories
from recsys_assets.embeddings.softmax import LEAST_SIZE
from recsys_assets.errors import MemoryBudgetError, NothingHeldOutError, TrainingDataError
from recsys_assets.evaluation.contest import Contest, contest
from recsys_assets.evaluation.held_out import Split, sampled_users, validation_splits
from recsys_assets.evaluation.metrics import mean_intervals
from recsys_assets.evaluation.model_choice import ComparedModel, ModelChoice
from recsys_assets.storage.arrays import Float64, Int64
from recsys_assets.training_settings import TrainingSettings

HALF_LIVES: Final = (7.0, 14.0, 30.0, 60.0, 120.0, 365.0, ALL_TIME)
"""Half-lives of popularity that are compared, in days."""
WEIGHTS: Final = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Weights of log popularity that are compared, in units of the spread of the other scores."""
OWN_HALF_LIVES: Final = (None, 365.0, 120.0, 30.0)
"""Half-lives of a user's own wishes that are compared, in days."""
SHARES: Final = (0.1, 0.25, 0.5, 0.75, 0.9)
"""Shares of the first component of a blend that are compared."""
BLENDS: Final[tuple[str, ...]] = ("ials+item_item", "softmax+item_item", "ials+softmax")
"""Blends of two that are compared."""
MOST_USERS: Final = 1_000
"""Users that models are compared on, at most."""
_MOST_CELLS: Final = 30_000_000
"""Users times items that models are compared on, at most."""
_LEAST_USERS: Final = 10
"""With fewer users in all splits nothing is compared: a mean over them says nothing."""
_LEAST_DAYS: Final = 3
"""Days to train on, to compare on and to evaluate on."""


@dataclass(frozen=True, kw_only=True)
class _Candidates:
    """Parameters to compare; one value where the settings give it."""

    components: tuple[str, ...]
    blends: tuple[str, ...]
    only_blend: bool
    half_lives: tuple[float, ...]
    weights: tuple[float, ...]
    own_half_lives: tuple[float | None, ...]
    shares: tuple[float, ...]


def choose_model(
    interactions: pl.LazyFrame,
    settings: TrainingSettings,
    *,
    categories: Categories = lambda _: None,
    hides: pl.Expr | None = None,
    on_step: Callable[[int, int], None] = lambda _, __: None,
) -> ModelChoice:
    """Compare the models that the settings allow on held-out days, and choose.

    Args:
        interactions: the columns of the INTERACTIONS contract.
        settings: `model` is what to compare, `score` what is fixed; `held_out_share`, `choice_seconds`, `seed`.
        categories: codes of the categories of items, for the prior of rare ones.
        hides: true for the events that hide an item, see `InteractionMatrix.from_interactions`.
        on_step: called after each component was fitted, with the number done and the number of all.
    """
    asked = _candidates(settings)
    try:
        splits = list(validation_splits(interactions, settings, hides=hides))
    except NothingHeldOutError as error:
        return _without_comparison(interactions, settings, _not_measured(interactions, error))
    except TrainingDataError as error:
        return _without_comparison(interactions, settings, str(error))
    users = sum(len(split.users()) for split in splits)
    if users < _LEAST_USERS:
        return _without_comparison(
            interactions,
            settings,
            f"{users} users touched something new on held-out days, and at least {_LEAST_USERS} must: too few to "
            "measure on",
        )
    share = min(_affordable(split.train, settings, asked.components, splits=len(splits)) for split in splits)
    sampled = [sampled_users(split, share, seed=settings.seed) for split in splits]
    fitted: list[dict[str, FittedComponent]] = [{} for _ in sampled]
    steps = count(1)
    for name in asked.components:
        for split, of_split in zip(sampled, fitted, strict=True):
            try:
                of_split[name] = COMPONENTS[name].fit(split.train, settings)
            except MemoryBudgetError:
                if settings.model != "auto" or name == "ials":
                    raise
            on_step(next(steps), len(splits) * len(asked.components))
    codes = [categories(split.train.items) for split in sampled]
    return msgspec.structs.replace(
        compare(sampled, fitted, settings, categories_I=codes).choice(),
        first_held_out_days=[split.first_held_out_day for split in splits],
        user_share=share,
    )


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Models compared on the same users."""

    contests: list[Contest]
    """One a split."""
    compared: list[ComparedModel]
    """The best of every component and blend, best first."""

    def values(self, spec: ModelSpec) -> Float64:
        """Return NDCG at 20 of every user of all contests, (R,)."""
        return np.concatenate([one.ndcg(spec) for one in self.contests])

    def choice(self) -> ModelChoice:
        """Return the best model; a blend only where it beats the best single component by more than its own error.

        The error is the standard error of the mean difference over the same users. Two factorisations double the
        vectors and the time of a session, and so have to be better by twice the error.
        """
        single = next((one.spec for one in self.compared if len(one.spec.components) == 1), None)
        best = next(one.spec for one in self.compared if self._is_worth_it(one.spec, single))
        reason = "It ranks best."
        if best != self.compared[0].spec:
            reason = f"{self.compared[0].spec.model} is not better by more than chance, and needs more."
        if len(self.compared) == 1:
            reason = "It is the only one that the settings allow; what they leave open was compared."
        users = len(self.values(best))
        spec = self._for_strangers(best)
        compared = [
            msgspec.structs.replace(one, spec=spec) if one.spec == best else one for one in self.compared
        ]
        return ModelChoice(spec=spec, compared=compared, users=users, reason=reason)

    def _is_worth_it(self, spec: ModelSpec, single: ModelSpec | None) -> bool:
        """Return true for the best single component, and for a blend that is better beyond its error."""
        if single is None or spec == single:
            return True
        difference = self.values(spec) - self.values(single)
        errors = 2 if spec.model == "ials+softmax" else 1
        return bool(difference.mean() > errors * difference.std() / len(difference) ** 0.5)

    def _for_strangers(self, spec: ModelSpec) -> ModelSpec:
        """Give a model without a prior the half-life of the best popularity, which strangers' lists use."""
        popular = next((one.spec for one in self.compared if one.spec.model == "popular"), None)
        if spec.prior_weight or popular is None:
            return spec
        return msgspec.structs.replace(spec, prior_half_life_days=popular.prior_half_life_days)


def compare(
    splits: Sequence[Split],
    fitted: Sequence[Mapping[str, FittedComponent]],
    settings: TrainingSettings,
    *,
    categories_I: Sequence[Int64 | None],
) -> Comparison:
    """Find the best recency and shares of every model that the settings allow.

    Args:
        splits: held-out pairs, one or more.
        fitted: the components that were fitted to the training part of each split, by name; one that a split lacks
            is not compared.
        settings: `model` is what to compare, `score` what is fixed.
        categories_I: codes of the categories of the items of each split.
    """
    asked = _candidates(settings)
    there = [name for name in asked.components if all(name in one for one in fitted)]
    blends = tuple(model for model in asked.blends if set(model.split("+")) <= set(there))
    asked = replace(asked, components=tuple(there), blends=blends)
    contests = [
        _contest_of(split, {name: one[name] for name in there}, settings, asked, codes)
        for split, one, codes in zip(splits, fitted, categories_I, strict=True)
    ]
    return Comparison(contests=contests, compared=_compare(contests, asked, seed=settings.seed))


def _candidates(settings: TrainingSettings) -> _Candidates:
    given = settings.score
    components, blends = tuple(COMPONENTS), BLENDS
    if settings.model != "auto":
        components = tuple(str(settings.model).split("+"))
        blends = (settings.model,) if len(components) > 1 else ()
    if settings.embedding_size < LEAST_SIZE and settings.model == "auto":  # too small for the softmax
        components = tuple(name for name in components if name != "softmax")
        blends = tuple(model for model in blends if "softmax" not in model)
    own = None if given.own_half_life_days == 0 else given.own_half_life_days
    return _Candidates(
        components=components,
        blends=blends,
        only_blend=settings.model != "auto" and len(components) > 1,
        half_lives=HALF_LIVES if given.prior_half_life_days is None else (given.prior_half_life_days,),
        weights=WEIGHTS if given.prior_weight is None else (given.prior_weight,),
        own_half_lives=OWN_HALF_LIVES if given.own_half_life_days is None else (own,),
        shares=SHARES if given.first_share is None else (given.first_share,),
    )


def _not_measured(interactions: pl.LazyFrame, error: NothingHeldOutError) -> str:
    days = interactions.select(pl.col(names.TIMESTAMP).dt.date().n_unique()).collect().item()
    if days < _LEAST_DAYS:
        return f"{days} day{'' if days == 1 else 's'}: no split by time, so nothing was measured"
    return f"{error}; so nothing was measured"


def _without_comparison(interactions: pl.LazyFrame, settings: TrainingSettings, problem: str) -> ModelChoice:
    """Return the model given or, where `auto` cannot measure, one by the size of the log.

    A factorisation learns from users with several items. With few of those it is noise: popular items are listed.
    """
    model = settings.model
    if model == "auto":
        of_user = interactions.filter(pl.col(names.WEIGHT) > 0).group_by(names.USER_ID)
        several = of_user.agg(pl.col(names.ITEM_ID).n_unique()).filter(pl.col(names.ITEM_ID) > 1)
        model = "ials" if several.select(pl.len()).collect().item() >= _LEAST_USERS else "popular"
    share = 0.5 if "+" in model else 1.0
    return ModelChoice(spec=ModelSpec(model=model, first_share=share).given(settings.score), problem=problem)


def _affordable(
    matrix: InteractionMatrix, settings: TrainingSettings, components: tuple[str, ...], *, splits: int
) -> float:
    """Return the share of the users that all components can be fitted to in the time allowed, 0-1."""
    foreseen = splits * sum(COMPONENTS[name].seconds(matrix, settings) for name in components)
    return min(1.0, settings.choice_seconds / foreseen) if foreseen else 1.0


def _contest_of(
    split: Split,
    fitted: Mapping[str, FittedComponent],
    settings: TrainingSettings,
    asked: _Candidates,
    categories_I: Int64 | None,
) -> Contest:
    most = min(MOST_USERS, max(_LEAST_USERS, _MOST_CELLS // len(split.train.items)))
    return contest(
        split,
        split.sample_users(most_users=most, seed=settings.seed),
        fitted,
        own_half_lives={
            name: asked.own_half_lives if one.own_recency else (None,) for name, one in fitted.items()
        },
        half_lives=asked.half_lives,
        categories_I=categories_I,
    )


def _compare(contests: list[Contest], asked: _Candidates, *, seed: int) -> list[ComparedModel]:
    """Return the best of every component and blend, best first, with intervals that share their draws."""
    singles = {
        name: _best(contests, [ModelSpec(model=name, own_half_life_days=own) for own in owns], asked)
        for name, owns in _variants(contests).items()
    }
    found = [spec for spec in singles.values() if spec.model in asked.blends or not asked.only_blend]
    found += [_best_blend(contests, model, singles, asked) for model in asked.blends]
    values = {spec: np.concatenate([one.ndcg(spec) for one in contests]) for spec in found}
    bounds = mean_intervals({str(place): value for place, value in enumerate(values.values())}, seed=seed)
    compared = [
        ComparedModel(spec=spec, ndcg=mean, low=low, high=high)
        for spec, (mean, low, high) in zip(values, bounds.values(), strict=True)
    ]
    return sorted(compared, key=lambda one: -one.ndcg)


def _variants(contests: list[Contest]) -> dict[str, list[float | None]]:
    found: dict[str, list[float | None]] = {}
    for name, own in contests[0].scores:
        found.setdefault(name, []).append(own)
    return found


def _best(contests: list[Contest], specs: Iterable[ModelSpec], asked: _Candidates) -> ModelSpec:
    """Return the spec and prior with the highest mean NDCG; of equal ones the first."""
    best, most = None, -1.0
    for spec in specs:
        blended = [one.blended(spec) for one in contests]
        for half_life in asked.half_lives:
            for weight in asked.weights:
                values = [
                    one.ndcg_of(scores, half_life, weight)
                    for one, scores in zip(contests, blended, strict=True)
                ]
                mean = float(np.concatenate(values).mean())
                if mean > most:
                    most = mean
                    best = msgspec.structs.replace(spec, prior_half_life_days=half_life, prior_weight=weight)
    assert best is not None  # noqa: S101  there is at least one of each
    return best


def _best_blend(
    contests: list[Contest], model: str, singles: dict[str, ModelSpec], asked: _Candidates
) -> ModelSpec:
    """Return the best blend of two components, near what was best for each alone."""
    one, other = (singles[name] for name in model.split("+"))
    near = replace(
        asked, half_lives=tuple(dict.fromkeys([one.prior_half_life_days, other.prior_half_life_days]))
    )
    of_both = dict.fromkeys([one.own_half_life_days, other.own_half_life_days])
    # a component that knows no own recency has none, whatever the settings give
    owns = [own for own in of_both if own in asked.own_half_lives] or asked.own_half_lives
    specs = [
        ModelSpec(model=model, first_share=share, own_half_life_days=own)
        for own in owns
        for share in asked.shares
    ]
    return _best(contests, specs, near)
