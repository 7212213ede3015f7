"""Evaluation of checked expressions over item arrays: all items once a release, or a request's candidates.

Predicates have three values, as in SQL: a comparison with an unknown value is neither true nor false. A part that
does not depend on the user is computed once for all items; a request only looks its candidates up.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from recsys_assets.rules.language.expression_tree import NO_SUCH_TEXT, UNKNOWN, Expression, ItemTable, Node

Mask = npt.NDArray[np.bool_]
Nums = npt.NDArray[np.int32]
UserFeatures = Mapping[str, Any]
"""Feature -> value, None where unknown."""
Lists = Mapping[str, Mask]
"""List -> mask (I,) of the items on it."""

_COMPARE: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "==": np.equal, "!=": np.not_equal, "<": np.less, "<=": np.less_equal,
    ">": np.greater, ">=": np.greater_equal,
}  # fmt: skip
_ARITHMETIC: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide,
    "least": np.minimum, "greatest": np.maximum,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ThreeValued:
    """Masks of a predicate with three values: true, false, and unknown where neither holds."""

    yes: Any
    """True items: mask (n,), or one value for all."""
    no: Any
    """False items: mask (n,), or one value for all."""


class Evaluator:
    """Evaluates expressions over one release's items."""

    def __init__(self, table: ItemTable, lists: Lists) -> None:
        self._table = table
        self._lists = lists
        self._all: dict[int, tuple[Node, Any]] = {}

    def mask(self, expression: Expression) -> ThreeValued:
        """Evaluate a predicate without user features for all items: (I,) masks."""
        found = self._whole(expression.node)
        return ThreeValued(_spread(found.yes, len(self._table)), _spread(found.no, len(self._table)))

    def truth(self, expression: Expression, nums: Nums, user: UserFeatures) -> ThreeValued:
        """Evaluate a predicate for the items `nums` and a user: (n,) masks."""
        found = self._evaluate(expression.node, nums, user)
        return ThreeValued(_spread(found.yes, len(nums)), _spread(found.no, len(nums)))

    def numbers(self, expression: Expression, nums: Nums, user: UserFeatures) -> npt.NDArray[np.float64]:
        """Evaluate a number for each of `nums`: (n,), NaN where unknown."""
        found: npt.NDArray[np.float64] = _spread(self._evaluate(expression.node, nums, user), len(nums))
        return found

    def numbers_of(self, column: str) -> npt.NDArray[np.float64]:
        """Return a number column: (I,), NaN where unknown."""
        return self._table.number(column)

    def _whole(self, node: Node) -> Any:
        kept = self._all.get(id(node))
        if kept is None:
            # the node is stored too, so that no other node gets its id
            kept = self._all[id(node)] = (node, self._compute(node, None, {}))
        return kept[1]

    def _evaluate(self, node: Node, nums: Nums | None, user: UserFeatures) -> Any:
        if nums is None or node.of_user or node.op == "constant":
            return self._compute(node, nums, user)
        return _gather(self._whole(node), nums)

    def _compute(self, node: Node, nums: Nums | None, user: UserFeatures) -> Any:  # noqa: C901, PLR0911, PLR0912
        match node.op:
            case "constant":
                value = node.constants[0]
                return ThreeValued(value, not value) if node.kind == "boolean" else value
            case "user":
                return _user_value(node, user)
            case "item":
                return self._column(node)
            case "list":
                on_it = self._lists[node.name]
                return ThreeValued(on_it, ~on_it)
            case "contains" | "starts_with":
                return self._words(node)
        parts = [self._evaluate(part, nums, user) for part in node.parts]
        match node.op:
            case "and":
                return ThreeValued(
                    _all_of([part.yes for part in parts]), _any_of([part.no for part in parts])
                )
            case "or":
                return ThreeValued(
                    _any_of([part.yes for part in parts]), _all_of([part.no for part in parts])
                )
            case "not":
                return ThreeValued(parts[0].no, parts[0].yes)
            case "null":
                unknown = _unknown(node.parts[0], parts[0])
                return ThreeValued(unknown, np.logical_not(unknown))
            case "in":
                return self._in(node, parts[0])
            case "abs":
                return np.abs(parts[0])
            case "log":
                with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                    return np.log(np.where(np.greater(parts[0], 0), parts[0], np.nan))
            case "coalesce":
                return np.where(np.isnan(parts[0]), parts[1], parts[0])
            case op if op in _ARITHMETIC:
                with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                    return _finite(_ARITHMETIC[op](parts[0], parts[1]))
            case op:
                return self._compare(op, node, parts[0], parts[1])

    def _column(self, node: Node) -> Any:
        if node.name == "item_id":
            return np.arange(len(self._table), dtype=np.int32)
        if node.kind == "text":
            return self._table.text(node.name).codes
        if node.kind == "boolean":
            holds = self._table.number(node.name) > 0
            return ThreeValued(holds, ~holds)
        return self._table.number(node.name)

    def _compare(self, op: str, node: Node, one: Any, other: Any) -> ThreeValued:
        left, right = node.parts
        if left.kind == "text":
            column = left if left.op == "item" else right
            if column.op == "item":
                one = one if left.op == "item" else self._code(column.name, one)
                other = other if right.op == "item" else self._code(column.name, other)
            unknown = np.logical_or(_unknown(left, one), _unknown(right, other))
        else:
            unknown = np.logical_or(np.isnan(one), np.isnan(other))
        known = np.logical_not(unknown)
        yes = np.logical_and(_COMPARE[op](one, other), known)
        return ThreeValued(yes, np.logical_and(np.logical_not(yes), known))

    def _in(self, node: Node, value: Any) -> ThreeValued:
        part = node.parts[0]
        unknown = _unknown(part, value)
        if part.kind == "text" and part.op == "item":
            codes = [self._code(part.name, text) for text in node.constants]
            yes = np.isin(value, [code for code in codes if code >= 0])
        elif part.kind == "text":
            yes = np.asarray(value in node.constants)
        else:
            yes = np.isin(value, np.array(node.constants))
        yes = np.logical_and(yes, np.logical_not(unknown))
        return ThreeValued(yes, np.logical_and(np.logical_not(yes), np.logical_not(unknown)))

    def _code(self, column: str, text: Any) -> int:
        """Return the code of a text: UNKNOWN for null, NO_SUCH_TEXT for a text that no item has."""
        if text is None:
            return UNKNOWN
        if column == "item_id":
            found = self._table.items.num(str(text))
            return NO_SUCH_TEXT if found is None else found
        return self._table.text(column).code_of.get(text, NO_SUCH_TEXT)

    def _words(self, node: Node) -> ThreeValued:
        column, wanted = node.parts[0], str(node.parts[1].constants[0]).casefold()
        if column.name == "item_id":
            texts: Any = list(self._table.items)
            codes = np.arange(len(self._table), dtype=np.int32)
        else:
            texts, codes = self._table.text(column.name).texts, self._table.text(column.name).codes
        fits = str.startswith if node.op == "starts_with" else str.__contains__
        matching = np.fromiter((fits(text.casefold(), wanted) for text in texts), np.bool_, len(texts))
        known = codes != UNKNOWN
        yes = np.append(matching, False)[codes]
        return ThreeValued(yes, ~yes & known)


def _user_value(node: Node, user: UserFeatures) -> Any:
    value = user.get(node.name)
    if node.kind == "number":
        return np.nan if value is None else float(value)
    return value


def _unknown(node: Node, value: Any) -> Any:
    if node.kind == "number":
        return np.isnan(value)
    if node.kind == "boolean":
        return np.logical_not(np.logical_or(value.yes, value.no))
    return np.less(value, 0) if isinstance(value, np.ndarray) else value is None or value == UNKNOWN


def _all_of(masks: list[Any]) -> Any:
    found = masks[0]
    for mask in masks[1:]:
        found = np.logical_and(found, mask)
    return found


def _any_of(masks: list[Any]) -> Any:
    found = masks[0]
    for mask in masks[1:]:
        found = np.logical_or(found, mask)
    return found


def _finite(values: Any) -> Any:
    return np.where(np.isinf(values), np.nan, values)


def _gather(whole: Any, nums: Nums) -> Any:
    if isinstance(whole, ThreeValued):
        return ThreeValued(_gather(whole.yes, nums), _gather(whole.no, nums))
    return whole[nums] if isinstance(whole, np.ndarray) and whole.ndim else whole


def _spread(values: Any, count: int) -> Any:
    found = np.asarray(values)
    return np.full(count, found) if found.ndim == 0 else found
