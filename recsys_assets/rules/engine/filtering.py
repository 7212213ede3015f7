"""Filters: the items that may be recommended at all. Filters over items alone become one mask a release."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from recsys_assets.rules.engine.item_facts import Facts
from recsys_assets.rules.engine.requests import Request
from recsys_assets.rules.engine.sources import marks, seen_of
from recsys_assets.rules.language.evaluator import Mask, Nums, UserFeatures
from recsys_assets.rules.language.expression_tree import NO_SUCH_TEXT, Expression
from recsys_assets.rules.language.reading import Checked, CheckedScenario
from recsys_assets.rules.language.schema import ExcludedFilter, Filter, OwnFilter, SeenFilter, WhereFilter
from recsys_assets.storage.arrays import EPOCH

BY_STATE: Final = "item state"
"""The stage that drops hidden items and, unless the scenario keeps them, those that are not available."""
Keep = Callable[[Nums, Request, UserFeatures], Mask]
"""Returns (n,): whether each of n item numbers passes, for this request and user."""


@dataclass(frozen=True, kw_only=True)
class BoundFilter:
    """One filter over one release."""

    name: str
    kind: str
    rule: str
    """In words."""
    keep: Keep
    mask_I: Mask | None = None
    """(I,): the items that a filter over items alone keeps."""


class Filters:
    """A scenario's filters, bound to a release."""

    def __init__(self, scenario: CheckedScenario, facts: Facts) -> None:
        self._facts = facts
        self._keeps_unavailable = scenario.limits.unavailable == "keep"
        self.bound = [_bind(stage, facts) for stage in scenario.filters]
        masks = [bound.mask_I for bound in self.bound if bound.mask_I is not None]
        self.mask_I: Mask | None = np.logical_and.reduce(masks) if masks else None
        """(I,): the items that all filters over items alone keep."""
        of_request = [bound.keep for bound in self.bound if bound.mask_I is None]
        of_items = [] if self.mask_I is None else [_keep_masked(self.mask_I)]
        self._keep_first, *self._keep_also = [*of_items, *of_request] or [_keep_all]

    def keep(self, nums: Nums, request: Request, user: UserFeatures) -> Mask:
        """Return (n,): whether each of `nums` passes everything, the request's own exclusions too."""
        kept = self._keep_first(nums, request, user)
        for keep in self._keep_also:
            kept = kept & keep(nums, request, user)
        for _, mask in self.of_request(nums, request):
            kept = kept & mask
        return kept

    def of_request(self, nums: Nums, request: Request) -> list[tuple[str, Mask]]:
        """Return the conditions of the moment, of item states and of the request: name and (n,) mask of each."""
        found: list[tuple[str, Mask]] = []
        states = self._facts.lookups.states
        left_out_I = states.hidden_I if self._keeps_unavailable else states.gone_I
        if left_out_I is not None:
            found.append((BY_STATE, ~left_out_I.take(nums)))
        if request.exclude:
            found.append(("asked: exclude", ~np.isin(nums, list(request.exclude))))
        if request.category is not None:
            found.append(("asked: category", self._facts.lookups.in_category(nums, request.category)))
        return found


def _bind(stage: Checked[Filter], facts: Facts) -> BoundFilter:
    spec = stage.spec
    mask_I = _mask(stage, facts)
    keep = _keep_of_request(stage, facts) if mask_I is None else _keep_masked(mask_I)
    return BoundFilter(name=stage.name, kind=spec.kind, rule=_in_words(spec), keep=keep, mask_I=mask_I)


def _mask(stage: Checked[Filter], facts: Facts) -> Mask | None:
    spec, expression = stage.spec, stage.expression
    if isinstance(spec, ExcludedFilter):
        nums = facts.release.items.nums(spec.items)
        mask_I = np.ones(len(facts.table), dtype=np.bool_)
        mask_I[nums[nums >= 0]] = False
        return mask_I
    if isinstance(spec, WhereFilter) and expression is not None and not expression.of_user:
        truth = facts.evaluator.mask(expression)
        return _passing(spec, expression, truth.yes, truth.no)
    return None


def _keep_all(nums: Nums, _request: Request, _user: UserFeatures) -> Mask:
    return np.ones(len(nums), dtype=np.bool_)


def _keep_masked(mask_I: Mask) -> Keep:
    return lambda nums, _request, _user: mask_I.take(nums)


def _keep_of_request(stage: Checked[Filter], facts: Facts) -> Keep:
    expression = stage.expression
    match stage.spec:
        case SeenFilter(cool_off_days=days):
            return lambda nums, request, _: _unseen(nums, request, facts, days)
        case WhereFilter() as spec if expression is not None:

            def keep_where(nums: Nums, _: Request, user: UserFeatures) -> Mask:
                truth = facts.evaluator.truth(expression, nums, user)
                return _passing(spec, expression, truth.yes, truth.no)

            return keep_where
        case OwnFilter(column=column):
            text = facts.table.text(column)
            return lambda nums, request, _: (
                text.codes[nums] != text.code_of.get(request.user_id or "", NO_SUCH_TEXT)
            )
        case _:
            raise AssertionError(stage.spec)  # every other kind has a mask


def _passing(spec: WhereFilter, expression: Expression, yes: Any, no: Any) -> Mask:
    if spec.drop is not None:
        passing: Mask = no if spec.unknown == "drop" else ~yes
        return passing
    keep_unknown = expression.of_user if spec.unknown is None else spec.unknown == "keep"
    kept: Mask = ~no if keep_unknown else yes
    return kept


def _unseen(nums: Nums, request: Request, facts: Facts, cool_off_days: int | None) -> Mask:
    if request.include_seen:
        return np.ones(len(nums), dtype=np.bool_)
    seen = seen_of(request, facts.release)
    if cool_off_days is not None and request.user_num is not None:
        release = facts.release
        start, end = release.history_indptr[request.user_num : request.user_num + 2].tolist()
        last = (release.manifest.through_day - EPOCH).days
        # most recent first, so those inside the cool-off come first; only a wish comes back after it
        inside = int(np.searchsorted(-release.history_days[start:end], cool_off_days - last, side="left"))
        seen = np.setdiff1d(seen, release.history_items[start + inside : end])
        seen = np.concatenate([seen, np.asarray(request.session, dtype=np.int32)])
    return _not_among(nums, seen, len(facts.table))


def _not_among(nums: Nums, others: Nums, items: int) -> Mask:
    taken = marks(items)
    taken.put(others, True)  # noqa: FBT003  a value; quicker than an assignment
    found: Mask = ~taken.take(nums)
    taken.put(others, False)  # noqa: FBT003
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
