"""A checked expression: its parts and their types, and the error of a text that is not one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["number", "text", "boolean"]
"""The type of a value."""

Constant = float | str | bool


class ExpressionError(Exception):
    """A mistake in an expression, and its line within the expression. The reader adds the file."""

    def __init__(self, found: str, *, line: int = 1, suggestion: str | None = None) -> None:
        super().__init__(found)
        self.found = found
        self.line = line
        self.suggestion = suggestion


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Names that an expression may use."""

    items: Mapping[str, Kind]
    """Item columns."""
    users: Mapping[str, Kind]
    """Features of the user, written `user.COLUMN`."""
    lists: frozenset[str] = frozenset()
    """Lists of item ids, written `lists.NAME`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Node:
    """One checked part of an expression."""

    op: str
    """`item`, `user`, `constant`, an operator, `in`, `null`, `and`, `or`, `not`, or a function's name."""
    kind: Kind
    """Type of its value."""
    parts: tuple["Node", ...] = ()
    """Its operands."""
    name: str = ""
    """Column or list."""
    constants: tuple[Constant, ...] = ()
    """The constant, or those of an `in`."""
    of_user: bool = False
    """True where it reads a feature of the user, so that its value differs between requests."""

    @classmethod
    def constant(cls, value: Constant) -> "Node":
        """Make a constant."""
        if isinstance(value, bool):
            return cls(op="constant", kind="boolean", constants=(value,))
        if isinstance(value, str):
            return cls(op="constant", kind="text", constants=(value,))
        return cls(op="constant", kind="number", constants=(float(value),))

    @classmethod
    def over(cls, op: str, kind: Kind, parts: tuple["Node", ...]) -> "Node":
        """Make an operation or function over its operands."""
        return cls(op=op, kind=kind, parts=parts, of_user=any(part.of_user for part in parts))


@dataclass(frozen=True, kw_only=True, eq=False)
class Expression:
    """A checked expression."""

    text: str
    """As it was written."""
    node: Node
    """Its parts."""

    @property
    def of_user(self) -> bool:
        """True where it reads a feature of the user."""
        return self.node.of_user

    def item_columns(self) -> set[str]:
        """Return the item columns that it reads."""
        return {node.name for node in _walk(self.node) if node.op == "item"}

    def user_columns(self) -> set[str]:
        """Return the features of the user that it reads."""
        return {node.name for node in _walk(self.node) if node.op == "user"}

    def lists(self) -> set[str]:
        """Return the lists that it reads."""
        return {node.name for node in _walk(self.node) if node.op == "list"}


def _walk(node: Node) -> Iterable[Node]:
    yield node
    for part in node.parts:
        yield from _walk(part)
