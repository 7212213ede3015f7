"""Filters: what may be recommended at all. Filters over items alone become one mask a release."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np

from recsys_assets.rules import scratch
from recsys_assets.rules.evaluation import Mask, Nums, UserFeatures
from recsys_assets.rules.expression_tree import Expression
from recsys_assets.rules.facts import Facts
from recsys_assets.rules.reading import Checked, Scenario
from recsys_assets.rules.requests import Asked
from recsys_assets.rules.schema import ExcludedFilter, Filter, OwnFilter, SeenFilter, WhereFilter
from recsys_assets.rules.sources import history_of

_EPOCH: Final = date(1970, 1, 1)


@dataclass(frozen=True, kw_only=True)
class BoundFilter:
    """One filter over one release."""

    name: str
    kind: str
    rule: str
    """In words."""
    mask_I: Mask | None = None
    """(I,): what a filter over items alone keeps."""
    spec: Filter | None = None
    """For the others."""
    expression: Expression | None = None


class Filters:
    """A scenario's filters, bound to a release."""

    def __init__(self, scenario: Scenario, facts: Facts) -> None:
        self._facts = facts
        self.bound = [_bind(stage, facts) for stage in scenario.filters]
        masks = [bound.mask_I for bound in self.bound if bound.mask_I is not None]
        self.mask_I: Mask | None = np.logical_and.reduce(masks) if masks else None
        """(I,): what all filters over items alone keep."""
        self._of_request = [bound for bound in self.bound if bound.mask_I is None]

    def keep(self, nums: Nums, asked: Asked, user: UserFeatures) -> Mask:
        """(n,): which of `nums` pass everything, the request's own exclusions too."""
        masks = [] if self.mask_I is None else [self.mask_I.take(nums)]
        masks += [self.keep_one(bound, nums, asked, user) for bound in self._of_request]
        masks += [mask for _, mask in self.asked_for(nums, asked)]
        if not masks:
            return np.ones(len(nums), dtype=np.bool_)
        kept = masks[0]
        for mask in masks[1:]:
            kept = kept & mask
        return kept

    def keep_one(self, bound: BoundFilter, nums: Nums, asked: Asked, user: UserFeatures) -> Mask:
        """(n,): which of `nums` one filter keeps."""
        if bound.mask_I is not None:
            return bound.mask_I[nums]
        match bound.spec:
            case SeenFilter(cool_off_days=days):
                return _unseen(nums, asked, self._facts, days)
            case WhereFilter() as spec if bound.expression is not None:
                truth = self._facts.evaluator.truth(bound.expression, nums, user)
                return _passing(spec, bound.expression, truth.yes, truth.no)
            case OwnFilter(column=column):
                text = self._facts.table.text(column)
                kept: Mask = text.codes[nums] != text.code_of.get(asked.user_id or "", -2)
                return kept
            case _:
                raise AssertionError(bound.kind)  # every other kind has a mask

    def asked_for(self, nums: Nums, asked: Asked) -> list[tuple[str, Mask]]:
        """What the request itself excludes: name and (n,) mask of each condition."""
        found: list[tuple[str, Mask]] = []
        if asked.exclude:
            found.append(("asked: exclude", ~np.isin(nums, list(asked.exclude))))
        if asked.category is not None:
            text = self._facts.table.text("category")
            found.append(("asked: category", text.codes[nums] == text.code_of.get(asked.category, -2)))
        return found


def _bind(stage: Checked[Filter], facts: Facts) -> BoundFilter:
    spec, expression = stage.spec, stage.expression
    mask: Mask | None = None
    rule = _in_words(spec)
    if isinstance(spec, ExcludedFilter):
        nums = facts.release.items.nums(spec.items)
        mask = np.ones(len(facts.table), dtype=np.bool_)
        mask[nums[nums >= 0]] = False
    elif isinstance(spec, WhereFilter) and expression is not None and not expression.of_user:
        truth = facts.evaluator.mask(expression)
        mask = _passing(spec, expression, truth.yes, truth.no)
    return BoundFilter(
        name=stage.name, kind=spec.kind, rule=rule, mask_I=mask, spec=spec, expression=expression
    )


def _passing(spec: WhereFilter, expression: Expression, yes: Any, no: Any) -> Mask:
    if spec.drop is not None:
        passing: Mask = no if spec.unknown == "drop" else ~yes
        return passing
    keep_unknown = expression.of_user if spec.unknown is None else spec.unknown == "keep"
    kept: Mask = ~no if keep_unknown else yes
    return kept


def _unseen(nums: Nums, asked: Asked, facts: Facts, cool_off_days: int | None) -> Mask:
    if asked.include_seen:
        return np.ones(len(nums), dtype=np.bool_)
    seen = history_of(asked, facts)
    if cool_off_days is not None and asked.user_num is not None:
        release = facts.release
        start, end = release.history_indptr[asked.user_num : asked.user_num + 2].tolist()
        last = (release.manifest.through_day - _EPOCH).days
        # most recent first, so those inside the cool-off come first
        inside = int(np.searchsorted(-release.history_days[start:end], cool_off_days - last, side="left"))
        seen = seen[: len(asked.session) + inside]
    return _not_among(nums, seen, len(facts.table))


def _not_among(nums: Nums, others: Nums, items: int) -> Mask:
    marks = scratch.marks(items)
    marks.put(others, True)  # noqa: FBT003  a value; quicker than an assignment
    found: Mask = ~marks.take(nums)
    marks.put(others, False)  # noqa: FBT003
    return found


def _in_words(spec: Filter) -> str:
    match spec:
        case SeenFilter(cool_off_days=None):
            return "not what the user has"
        case SeenFilter(cool_off_days=days):
            return f"not what the user had in the last {days} days"
        case WhereFilter(keep=keep, drop=drop):
            return f"keep {keep}" if keep is not None else f"drop {drop}"
        case ExcludedFilter(items=items):
            return f"not {_some(items)}"
        case OwnFilter(column=column):
            return f"not where {column} is the user"


def _some(items: Sequence[str], shown: int = 3) -> str:
    more = f" and {len(items) - shown} more" if len(items) > shown else ""
    return ", ".join(items[:shown]) + more
