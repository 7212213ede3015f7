"""What an expression looks like once checked: its parts, their types, and what is wrong where it is not one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["number", "text", "boolean"]
"""The type of a value."""

Constant = float | str | bool


class ExpressionError(Exception):
    """What is wrong with an expression, and where in it. The reader adds file and line."""

    def __init__(self, found: str, *, line: int = 1, suggestion: str | None = None) -> None:
        super().__init__(found)
        self.found = found
        self.line = line
        self.suggestion = suggestion


@dataclass(frozen=True, kw_only=True)
class Columns:
    """What an expression may name."""

    items: Mapping[str, Kind]
    """Item columns."""
    users: Mapping[str, Kind]
    """Features of the user, named `user.COLUMN`."""
    lists: frozenset[str] = frozenset()
    """Lists of item ids, named `lists.NAME`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Node:
    """One checked part of an expression."""

    op: str
    """`item`, `user`, `constant`, an operator, `in`, `null`, `and`, `or`, `not`, or a function's name."""
    kind: Kind
    """Its type."""
    parts: tuple["Node", ...] = ()
    """Its operands."""
    name: str = ""
    """Column or list."""
    constants: tuple[Constant, ...] = ()
    """The constant, or those of an `in`."""
    of_user: bool = field(default=False)
    """Whether a feature of the user decides, so that it differs between requests."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Expression:
    """A checked expression."""

    text: str
    """As it was written."""
    node: Node
    """Its parts."""

    @property
    def of_user(self) -> bool:
        """Whether it needs a user's features."""
        return self.node.of_user

    def item_columns(self) -> set[str]:
        """The item columns that it reads."""
        return {node.name for node in _walk(self.node) if node.op == "item"}

    def user_columns(self) -> set[str]:
        """The user's features that it reads."""
        return {node.name for node in _walk(self.node) if node.op == "user"}

    def lists(self) -> set[str]:
        """The lists that it reads."""
        return {node.name for node in _walk(self.node) if node.op == "list"}


def _walk(node: Node) -> Iterable[Node]:
    yield node
    for part in node.parts:
        yield from _walk(part)
