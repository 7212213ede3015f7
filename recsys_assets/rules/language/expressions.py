"""The language of predicates: parsing and type checks.

Expressions are parsed by Python's own parser (`ast.parse`) and never evaluated by Python: only the few nodes
below are accepted, each is checked against the known columns and types, and all others are errors. A library would
delay the start of a server (importing sqlglot takes 0.26 s, cel-python 0.33 s).

Allowed: item columns by name, counts of events also by kind (`events_28d.purchase`); `user.COLUMN`; numbers, 'text',
True, False; `+ - * /`; `== != < <= > >=`, also chained (`5 <= price <= 20`); `in` and `not in` a tuple of constants or
`lists.NAME` (with `item_id`); `is null`, `is not null`; `and`, `or`, `not`; and the functions of `FUNCTIONS`.
"""

import ast
import difflib
import keyword
import re
import warnings
from collections.abc import Iterable, Mapping
from typing import Final, NoReturn

from recsys_assets.rules.language.expression_tree import (
    Columns,
    Constant,
    Expression,
    ExpressionError,
    Kind,
    Node,
)
from recsys_assets.storage.toml_files import shown

LONGEST: Final = 2_000
"""Most characters of an expression."""
DEEPEST: Final = 60
"""Most parts within one another: checking takes four calls of Python a part, of about 1,000 that it allows."""
LARGEST_NUMBER: Final = 10**15
"""Greatest number, either side of 0: each whole one up to it is exact as a 64-bit float."""

FUNCTIONS: Final[Mapping[str, tuple[tuple[Kind, ...], Kind]]] = {
    "abs": (("number",), "number"),
    "log": (("number",), "number"),
    "least": (("number", "number"), "number"),
    "greatest": (("number", "number"), "number"),
    "coalesce": (("number", "number"), "number"),
    "contains": (("text", "text"), "boolean"),
    "starts_with": (("text", "text"), "boolean"),
}
"""Name -> types of its arguments and of its value. `log` is natural, unknown for x <= 0; `contains` and
`starts_with` take a text column and a constant, and ignore case."""

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_QUOTED: Final = 120
_COUNTS: Final = "events_"
"""The beginning of the columns that are there by kind, too."""

_OPERATORS: Final[Mapping[type[ast.AST], str]] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/",
}  # fmt: skip


def parse(text: str, *, columns: Columns, kind: Kind) -> Expression:
    """Parse an expression and check that its value is of `kind`.

    Raises:
        ExpressionError: it is not valid, uses a name that does not exist, or mixes types.
    """
    source = f"({text}\n)"
    node = _Checker(columns, source).check(_read(text, source))
    if node.kind != kind:
        raise ExpressionError(
            f"{_quoted(text)} is a {node.kind}, expected a {kind}",
            suggestion="compare it with something, e.g. `price <= 20`"
            if kind == "boolean"
            else f"write a {kind} without comparing it",
        )
    return Expression(text=text, node=node)


def closest(name: str, known: Iterable[str]) -> str | None:
    """Suggest the nearest known name, or list the known names where none is near."""
    names = sorted(known)
    if near := difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5):
        return f"did you mean `{near[0]}`?"
    return f"there are: {', '.join(names)}" if names else None


def _read(text: str, source: str) -> ast.expr:
    if len(text) > LONGEST:
        raise ExpressionError(f"{len(text):,} characters; an expression has at most {LONGEST:,}")
    if not text.strip():
        raise ExpressionError("empty, expected an expression", suggestion="e.g. `price <= 20`")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # the checker reports what Python would warn of
            return _require_shallow(ast.parse(source, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None) or 1
        raise ExpressionError(
            f"{_quoted(text)} cannot be read ({getattr(error, 'msg', error)})",
            line=min(line, text.count("\n") + 1),
            suggestion=_syntax_hint(text),
        ) from None


def _require_shallow(expression: ast.expr) -> ast.expr:
    waiting: list[tuple[ast.AST, int]] = [(expression, 1)]
    while waiting:
        at, depth = waiting.pop()
        if depth > DEEPEST:
            _fail(at, f"more than {DEEPEST} parts within one another", "write it as several stages")
        waiting += [(part, depth + 1) for part in ast.iter_child_nodes(at)]
    return expression


def _quoted(text: str) -> str:
    """Quote a part of an expression for a message of one line."""
    plain = " ".join(text.split())
    return f"`{plain}`" if plain.isprintable() and len(plain) <= _QUOTED else shown(plain)


def _syntax_hint(  # noqa: PLR0911  one hint a habit of other languages
    text: str,
) -> str | None:
    words = text.split()
    for word, better in (("AND", "and"), ("OR", "or"), ("NOT", "not"), ("IN", "in"), ("IS", "is")):
        if word in words:
            return f"write `{better}` for `{word}`"
    for word in re.findall(rf"\b{_COUNTS}\w*\.([a-z]+)\b", text):
        if keyword.iskeyword(word):
            return f"write `{word}_` for the kind `{word}`"
    if "<>" in text:
        return "write `!=` for `<>`"
    if "&&" in text or "||" in text:
        return "write `and` for `&&`, `or` for `||`"
    if "=" in text.replace("==", "").replace("!=", "").replace("<=", "").replace(">=", ""):
        return "write `==` to compare"
    if text.count("'") % 2 or text.count('"') % 2:
        return "close the quote"
    if text.count("(") != text.count(")"):
        return "close the bracket"
    return None


def _fail(at: ast.AST, found: str, suggestion: str | None = None) -> NoReturn:
    raise ExpressionError(found, line=getattr(at, "lineno", 1), suggestion=suggestion)


class _Checker:
    def __init__(self, columns: Columns, source: str) -> None:
        self._columns = columns
        self._source = source

    def check(self, at: ast.expr) -> Node:  # noqa: C901, PLR0911  one case a node of the language
        match at:
            case ast.Constant(value=bool() | int() | float() | str() as value):
                return self._constant(at, value)
            case ast.Name(id=name):
                return self._item(at, name)
            case ast.Attribute(value=ast.Name(id="user"), attr=name):
                return self._user(at, name)
            case ast.Attribute(value=ast.Attribute(value=ast.Name(id="user"), attr=count), attr=kind) if (
                count.startswith(_COUNTS)
            ):
                return self._user(at, f"{count}.{kind}")
            case ast.Attribute(value=ast.Name(id=count), attr=kind) if count.startswith(_COUNTS):
                return self._item(at, f"{count}.{kind}")
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return Node.over("-", "number", (Node.constant(0), self._of(operand, "number")))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return Node.over("not", "boolean", (self._of(operand, "boolean"),))
            case ast.BoolOp(op=op, values=values):
                parts = tuple(self._of(value, "boolean") for value in values)
                return Node.over("and" if isinstance(op, ast.And) else "or", "boolean", parts)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                parts = (self._of(left, "number"), self._of(right, "number"))
                return Node.over(_OPERATORS[type(op)], "number", parts)
            case ast.Compare():
                return self._comparison(at)
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                return self._call(at, name, arguments)
            case _:
                _fail(
                    at,
                    f"{self._as_written(at)} is not part of the language",
                    "write columns, `user.COLUMN`, numbers, 'text', comparisons, `in`, `is null`, `and`, "
                    f"`or`, `not`, {', '.join(FUNCTIONS)}",
                )

    def _as_written(self, at: ast.AST) -> str:
        return _quoted(ast.get_source_segment(self._source, at) or "")

    def _constant(self, at: ast.Constant, value: Constant) -> Node:
        if isinstance(value, str) and _SURROGATE.search(value):
            _fail(at, f"{shown(value)} has half of a character", "write the whole character")
        if not isinstance(value, str) and not abs(value) <= LARGEST_NUMBER:
            _fail(at, f"{self._as_written(at)} is too large", f"numbers are at most {LARGEST_NUMBER:.0e}")
        return Node.constant(value)

    def _user(self, at: ast.expr, name: str) -> Node:
        if name not in self._columns.users:
            _fail(at, f"a user has no feature `{name}`", closest(name, self._columns.users))
        return Node(op="user", kind=self._columns.users[name], name=name, of_user=True)

    def _item(self, at: ast.expr, name: str) -> Node:
        if name not in self._columns.items:
            if name in self._columns.users:
                _fail(at, f"items have no column `{name}`", f"a user has: write `user.{name}`")
            _fail(at, f"items have no column `{name}`", closest(name, self._columns.items))
        return Node(op="item", kind=self._columns.items[name], name=name)

    def _of(self, at: ast.expr, kind: Kind) -> Node:
        node = self.check(at)
        if node.kind != kind:
            _fail(
                at,
                f"{self._as_written(at)} is a {node.kind}, expected a {kind}",
                "put text in quotes, numbers without" if "text" in {node.kind, kind} else None,
            )
        return node

    def _comparison(self, at: ast.Compare) -> Node:
        operands = [at.left, *at.comparators]
        pairs = [
            self._pair(at, left, op, right)
            for left, op, right in zip(operands[:-1], at.ops, operands[1:], strict=True)
        ]
        return pairs[0] if len(pairs) == 1 else Node.over("and", "boolean", tuple(pairs))

    def _pair(self, at: ast.Compare, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Node:
        if isinstance(op, ast.In | ast.NotIn):
            found = self._membership(left, right)
            return found if isinstance(op, ast.In) else Node.over("not", "boolean", (found,))
        if isinstance(op, ast.Is | ast.IsNot):
            if not _is_null(right):
                _fail(at, f"{self._as_written(at)}: only null comes after `is`", "write `==` to compare")
            found = Node.over("null", "boolean", (self.check(left),))
            return found if isinstance(op, ast.Is) else Node.over("not", "boolean", (found,))
        if _is_null(right) or _is_null(left):
            _fail(at, f"{self._as_written(at)}: nothing equals null", "write `is null` or `is not null`")
        one, other = self.check(left), self.check(right)
        if one.kind != other.kind:
            _fail(
                at,
                f"{self._as_written(at)} compares a {one.kind} with a {other.kind}",
                "put text in quotes, numbers without",
            )
        symbol = _OPERATORS[type(op)]
        if one.kind != "number" and symbol not in {"==", "!="}:
            _fail(at, f"{self._as_written(at)}: {symbol} takes numbers", f"a {one.kind} takes == and !=")
        if one.kind == "boolean":
            _fail(at, f"{self._as_written(at)} compares truth values", "write `x` or `not x`")
        if one.op == other.op == "item" and one.kind == "text":
            _fail(at, f"{self._as_written(at)} compares two text columns", "compare one with a constant")
        return Node.over(symbol, "boolean", (one, other))

    def _membership(self, left: ast.expr, right: ast.expr) -> Node:
        one = self.check(left)
        match right:
            case ast.Attribute(value=ast.Name(id="lists"), attr=name):
                if name not in self._columns.lists:
                    _fail(right, f"there is no list `{name}`", closest(name, self._columns.lists))
                if one.op != "item" or one.name != "item_id":
                    _fail(left, f"{self._as_written(left)} in a list", f"write `item_id in lists.{name}`")
                return Node(op="list", kind="boolean", name=name)
            case ast.Tuple(elts=elements) | ast.List(elts=elements) if elements:
                constants: list[Constant] = []
                for element in elements:
                    node = self.check(element)
                    if node.op != "constant" or node.kind != one.kind or node.kind == "boolean":
                        _fail(element, f"{self._as_written(element)} is no constant {one.kind}")
                    constants += node.constants
                return Node(
                    op="in", kind="boolean", parts=(one,), constants=tuple(constants), of_user=one.of_user
                )
            case _:
                _fail(
                    right,
                    f"{self._as_written(right)} is no list",
                    "write `in ('A', 'B')`, with a comma after a single one, or `item_id in lists.NAME`",
                )

    def _call(self, at: ast.expr, name: str, arguments: list[ast.expr]) -> Node:
        if name not in FUNCTIONS:
            _fail(at, f"there is no function `{name}`", closest(name, FUNCTIONS))
        takes, gives = FUNCTIONS[name]
        if len(arguments) != len(takes):
            _fail(at, f"`{name}` takes {len(takes)} arguments, found {len(arguments)}")
        parts = tuple(self._of(argument, kind) for argument, kind in zip(arguments, takes, strict=True))
        if takes[0] == "text" and (parts[0].op != "item" or parts[1].op != "constant"):
            _fail(at, f"{self._as_written(at)}: {name} takes a text column and a constant")
        return Node.over(name, gives, parts)


def _is_null(at: ast.expr) -> bool:
    match at:
        case ast.Constant(value=None):
            return True
        case ast.Name(id=name):
            return name.lower() == "null"
        case _:
            return False
