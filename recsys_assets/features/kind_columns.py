"""The kinds of events that get feature columns of their own, and their names in columns, rules and answers."""

import keyword
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from recsys_assets.quality.contract import Column, Contract

MOST_KINDS: Final = 8
"""Kinds with columns: as many as there are named ones (view, cart, purchase, rating, like, dislike, hide, impression),
so that a column mapped by mistake does not widen the tables without end."""
COUNTS: Final = {
    "events_total": "in the whole history",
    "events_7d": "in the last 7 days",
    "events_28d": "in the last 28 days",
    "events_90d": "in the last 90 days",
}
"""The columns that are also counted by kind, and their time in words."""
_TOTAL: Final = "events_total"
_LONGEST: Final = 40
"""Most characters of a kind's name in a column."""


def kind_name(kind: str) -> str:
    """Return a kind as it is written in a column's name: an identifier, so that a predicate can name it.

    Other characters become `_`, a digit gets one before it, and a word of the language, such as `return`, one after
    it: `add to cart` is `add_to_cart`.
    """
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", kind).lower())[:_LONGEST]
    name = "".join(letter if f"a{letter}".isidentifier() else "_" for letter in text)
    if not name.isidentifier():
        name = f"_{name}"
    return f"{name}_" if keyword.iskeyword(name) else name


def kinds_with_columns(events_by_kind: Mapping[str, int]) -> dict[str, str]:
    """Return kind -> its name, of the kinds with the `MOST_KINDS` most frequent names, in the names' order.

    Args:
        events_by_kind: kind -> its events. Kinds of one name are counted together.
    """
    names = {kind: kind_name(kind) for kind in sorted(events_by_kind)}
    events = Counter[str]()
    for kind, name in names.items():
        events[name] += events_by_kind[kind]
    frequent = sorted(events, key=lambda name: (-events[name], name))[:MOST_KINDS]
    return {kind: name for kind, name in sorted(names.items(), key=lambda pair: pair[1]) if name in frequent}


def column_of(count: str, name: str) -> str:
    """Return the column of a count by kind: `events_28d.purchase`."""
    return f"{count}.{name}"


def kinds_of(columns: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the kinds that a feature table has columns for, in their order."""
    prefix = column_of(_TOTAL, "")
    return tuple(name.removeprefix(prefix) for name in columns if name.startswith(prefix))


def with_kinds(contract: Contract, names: tuple[str, ...]) -> Contract:
    """Return the contract of a feature table with the columns of these kinds, each beside its total."""
    columns: dict[str, Column] = {}
    for count, column in contract.columns.items():
        columns[count] = column
        for name in names if count in COUNTS else ():
            columns[column_of(count, name)] = Column(
                dtype=column.dtype,
                ge=column.ge,
                unit=column.unit,
                description=f"Events of the kind {name} {COUNTS[count]}.",
            )
    return Contract(name=contract.name, description=contract.description, columns=columns, key=contract.key)
