"""Relevance on its stated scale, and the boosts that are added to it.

relevance = clip(s / best s, 0, 1) with s the score of the asker (`release/taste`), or log popularity where
there is none; all 0 where no s is positive. score = relevance + clip(sum of boosts, -1, 1), and then the factor of the
item's state, if it has one.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from recsys_assets.rules.engine.item_facts import Facts
from recsys_assets.rules.language.evaluator import Nums, UserFeatures
from recsys_assets.rules.language.expression_tree import Expression
from recsys_assets.rules.language.reading import Checked, CheckedScenario
from recsys_assets.rules.language.schema import (
    Boost,
    Fatigue,
    FeatureBoost,
    Newness,
    PopularityDebias,
    Scoring,
)
from recsys_assets.storage.arrays import Float32

_LOWER_31: Final = np.int32(2**31 - 1)


@dataclass(frozen=True, kw_only=True)
class BoundBoost:
    """One boost over one release."""

    name: str
    kind: str
    rule: str
    """In words."""
    added_I: Float32 | None = None
    """(I,): the sum that a boost over items alone adds."""
    spec: Scoring | None = None
    expression: Expression | None = None


class Boosts:
    """A scenario's boosts, bound to a release."""

    def __init__(self, scenario: CheckedScenario, facts: Facts) -> None:
        self._facts = facts
        self.bound = [
            _bind(stage, facts) for stage in scenario.scoring if not isinstance(stage.spec, Fatigue)
        ]
        added = [bound.added_I for bound in self.bound if bound.added_I is not None]
        self._of_request = [bound for bound in self.bound if bound.added_I is None]
        self._added_I: Float32 | None = np.sum(added, axis=0, dtype=np.float32) if added else None
        if self._added_I is not None and not self._of_request:
            self._added_I = np.clip(self._added_I, -1, 1)

    def added(self, nums: Nums, user: UserFeatures) -> Float32 | None:
        """Return (n,): the sum of all boosts of each, -1 to 1; None where there is no boost."""
        total = None if self._added_I is None else self._added_I.take(nums)
        if not self._of_request:
            return total
        for bound in self._of_request:
            one = self.added_by(bound, nums, user)
            total = one if total is None else total + one
        return np.clip(total, -1, 1)  # type: ignore[arg-type]

    def raised(self, nums: Nums, scores_n: Float32) -> Float32:
        """Return (n,): scores with the factors of item states; see `BoundStates.raised`."""
        return self._facts.lookups.states.raised(nums, scores_n)

    def factors(self, nums: Nums) -> Float32 | None:
        """Return (n,): the factor of each item's state; None where no state has any."""
        factors_I = self._facts.lookups.states.boost_I
        return None if factors_I is None else factors_I.take(nums)

    def added_by(self, bound: BoundBoost, nums: Nums, user: UserFeatures) -> Float32:
        """Return (n,): the part that one boost adds to each."""
        if bound.added_I is not None:
            return bound.added_I[nums]
        assert bound.expression is not None  # noqa: S101  only expressions ask for the user
        match bound.spec:
            case Boost(by=by):
                yes = self._facts.evaluator.truth(bound.expression, nums, user).yes
                return yes.astype(np.float32) * np.float32(by)  # type: ignore[no-any-return]
            case FeatureBoost(weight=weight):
                return _weighted(self._facts.evaluator.numbers(bound.expression, nums, user), weight)
            case _:
                raise AssertionError(bound.kind)  # every other kind is over items alone


def relevance(scores_n: Float32) -> Float32:
    """Return (n,): each score divided by the best one, 0-1. `scores_n`: the asker's scores, or log popularity."""
    best = scores_n[scores_n.argmax()] if len(scores_n) else 0
    if not best > 0:
        return np.zeros(len(scores_n), dtype=np.float32)
    found: Float32 = scores_n / best
    return np.maximum(found, 0, out=found)


def best_first(scores_n: Float32, nums: Nums) -> npt.NDArray[np.intp]:
    """Return (n,): places by descending score, of equal scores the lower item number first.

    One sort of integers, whose upper half is the score and whose lower half the number: numpy sorts them without
    branches, where a sort by score and a look at equal neighbours take twice the time.
    """
    bits_n = (np.float32(0) - scores_n).view(np.int32)  # the difference has no negative zero
    # as integers, negative floats are in descending order: turned around, all are in their order
    keys_n = (bits_n ^ ((bits_n >> 31) & _LOWER_31)).astype(np.int64)
    keys_n <<= 32
    keys_n |= nums
    return keys_n.argsort()


def _bind(stage: Checked[Scoring], facts: Facts) -> BoundBoost:
    spec, expression = stage.spec, stage.expression
    added: Float32 | None = None
    everything = np.arange(len(facts.table), dtype=np.int32)
    match spec:
        case Boost(where=where, by=by):
            rule = f"{by:+g} where {where}"
            if expression is not None and not expression.of_user:
                added = facts.evaluator.mask(expression).yes.astype(np.float32) * np.float32(by)
        case FeatureBoost(value=value, weight=weight):
            rule = f"{weight:+g} x {value}"
            if expression is not None and not expression.of_user:
                added = _weighted(facts.evaluator.numbers(expression, everything, {}), weight)
        case Newness(half_life_days=half_life, weight=weight):
            rule = f"{weight:+g} for a new item, halved every {half_life:g} days"
            age = facts.table.number("days_since_first")
            added = _weighted(np.exp2(-np.maximum(age, 0) / half_life), weight)
        case PopularityDebias(weight=weight):
            rule = f"{weight:+g} x log popularity"
            added = facts.popularity_I * np.float32(weight)
    return BoundBoost(
        name=stage.name, kind=spec.kind, rule=rule, added_I=added, spec=spec, expression=expression
    )


def _weighted(values: npt.NDArray[np.float64], weight: float) -> Float32:
    cut = np.clip(np.nan_to_num(values, nan=0.0), 0, 1)
    found: Float32 = (cut * weight).astype(np.float32)
    return found
