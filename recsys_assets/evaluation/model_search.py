"""The search among models on the same held-out users: the best recency and shares of every component and blend.

The splits and the fitted components are given; `choice` makes both.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec
import numpy as np

from recsys_assets.embeddings.components import COMPONENTS, FittedComponent
from recsys_assets.embeddings.model_spec import ALL_TIME, ModelSpec
from recsys_assets.embeddings.softmax import LEAST_SIZE
from recsys_assets.evaluation.contest import Contest, contest
from recsys_assets.evaluation.evaluated_users import mean_intervals
from recsys_assets.evaluation.held_out import Split
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
LEAST_USERS: Final = 10
"""With fewer users in all splits nothing is compared: a mean over them says nothing."""
MOST_USERS: Final = 1_000
"""Users that models are compared on, at most."""
_MOST_CELLS: Final = 30_000_000
"""Users times items that models are compared on, at most."""


@dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """Models and parameters to compare; one value where the settings give it."""

    components: tuple[str, ...]
    blends: tuple[str, ...]
    only_blend: bool
    half_lives: tuple[float, ...]
    weights: tuple[float, ...]
    own_half_lives: tuple[float | None, ...]
    shares: tuple[float, ...]


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
    space = search_space(settings)
    there = [name for name in space.components if all(name in one for one in fitted)]
    blends = tuple(model for model in space.blends if set(model.split("+")) <= set(there))
    space = replace(space, components=tuple(there), blends=blends)
    contests = [
        _contest_of(split, {name: one[name] for name in there}, settings, space, codes)
        for split, one, codes in zip(splits, fitted, categories_I, strict=True)
    ]
    return Comparison(contests=contests, compared=_compare(contests, space, seed=settings.seed))


def search_space(settings: TrainingSettings) -> SearchSpace:
    """Return the models and parameters that the settings leave open."""
    given = settings.score
    components, blends = tuple(COMPONENTS), BLENDS
    if settings.model != "auto":
        components = tuple(str(settings.model).split("+"))
        blends = (settings.model,) if len(components) > 1 else ()
    if settings.embedding_size < LEAST_SIZE and settings.model == "auto":  # too small for the softmax
        components = tuple(name for name in components if name != "softmax")
        blends = tuple(model for model in blends if "softmax" not in model)
    own = None if given.own_half_life_days == 0 else given.own_half_life_days
    return SearchSpace(
        components=components,
        blends=blends,
        only_blend=settings.model != "auto" and len(components) > 1,
        half_lives=HALF_LIVES if given.prior_half_life_days is None else (given.prior_half_life_days,),
        weights=WEIGHTS if given.prior_weight is None else (given.prior_weight,),
        own_half_lives=OWN_HALF_LIVES if given.own_half_life_days is None else (own,),
        shares=SHARES if given.first_share is None else (given.first_share,),
    )


def _contest_of(
    split: Split,
    fitted: Mapping[str, FittedComponent],
    settings: TrainingSettings,
    space: SearchSpace,
    categories_I: Int64 | None,
) -> Contest:
    most = min(MOST_USERS, max(LEAST_USERS, _MOST_CELLS // len(split.train.items)))
    return contest(
        split,
        split.sample_users(most_users=most, seed=settings.seed),
        fitted,
        own_half_lives={
            name: space.own_half_lives if one.own_recency else (None,) for name, one in fitted.items()
        },
        half_lives=space.half_lives,
        categories_I=categories_I,
    )


def _compare(contests: list[Contest], space: SearchSpace, *, seed: int) -> list[ComparedModel]:
    """Return the best of every component and blend, best first, with intervals that share their draws."""
    singles = {
        name: _best(contests, [ModelSpec(model=name, own_half_life_days=own) for own in owns], space)
        for name, owns in _variants(contests).items()
    }
    found = [spec for spec in singles.values() if spec.model in space.blends or not space.only_blend]
    found += [_best_blend(contests, model, singles, space) for model in space.blends]
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


def _best(contests: list[Contest], specs: Iterable[ModelSpec], space: SearchSpace) -> ModelSpec:
    """Return the spec and prior with the highest mean NDCG; of equal ones the first."""
    best, most = None, -1.0
    for spec in specs:
        blended = [one.blended(spec) for one in contests]
        for half_life in space.half_lives:
            for weight in space.weights:
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
    contests: list[Contest], model: str, singles: dict[str, ModelSpec], space: SearchSpace
) -> ModelSpec:
    """Return the best blend of two components, near what was best for each alone."""
    one, other = (singles[name] for name in model.split("+"))
    near = replace(
        space, half_lives=tuple(dict.fromkeys([one.prior_half_life_days, other.prior_half_life_days]))
    )
    of_both = dict.fromkeys([one.own_half_life_days, other.own_half_life_days])
    # a component that knows no own recency has none, whatever the settings give
    owns = [own for own in of_both if own in space.own_half_lives] or space.own_half_lives
    specs = [
        ModelSpec(model=model, first_share=share, own_half_life_days=own)
        for own in owns
        for share in space.shares
    ]
    return _best(contests, specs, near)
