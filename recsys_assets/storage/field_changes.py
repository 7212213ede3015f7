"""Two mappings compared: values by their dotted names, and days by their checksums. msgspec only."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import msgspec


class FieldChange(msgspec.Struct, frozen=True, kw_only=True):
    """One value that changed, appeared or went."""

    name: str
    """Its name, with dots between the levels."""
    before: Any
    """The value before; None where there was none."""
    after: Any
    """The value after; None where there is none any more."""


class DayChanges(msgspec.Struct, frozen=True, kw_only=True):
    """UTC days that two releases were built on."""

    added: list[date] = []
    """Days of the later release only."""
    rebuilt: list[date] = []
    """Days of both, with other interactions."""
    removed: list[date] = []
    """Days of the earlier release only."""


def day_changes(before: Mapping[date, str], after: Mapping[date, str]) -> DayChanges:
    """Compare two lineages, each day -> checksum."""
    return DayChanges(
        added=sorted(after.keys() - before.keys()),
        rebuilt=sorted(day for day in before.keys() & after.keys() if before[day] != after[day]),
        removed=sorted(before.keys() - after.keys()),
    )


def changed_fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[FieldChange]:
    """Return the values that differ, by dotted name; a value that is missing is the same as None."""
    one, other = dict(_flat(before)), dict(_flat(after))
    return [
        FieldChange(name=name, before=one.get(name), after=other.get(name))
        for name in dict.fromkeys([*one, *other])
        if one.get(name) != other.get(name)
    ]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        elif value != {}:
            yield f"{prefix}{name}", value
