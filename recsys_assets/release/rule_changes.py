"""Differences between the rules of two releases: each rule that was added, removed, edited or moved, by name.

The API imports this: standard library and msgspec only.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from recsys_assets.errors import BrokenReleaseError
from recsys_assets.release.manifest import WAY_OUT
from recsys_assets.storage.field_changes import FieldChange, changed_fields
from recsys_assets.storage.toml_files import TomlError, content_of, parse_toml

_RULES: Final = "rules.toml"
_SECTIONS: Final = ("candidates", "filters", "scoring", "reranking")


class RuleChange(msgspec.Struct, frozen=True, kw_only=True):
    """One rule, or one part of a scenario, that changed."""

    scenario: str
    """Its scenario; empty for the file as a whole."""
    section: str
    """`candidates`, `filters`, `scoring` or `reranking`; empty for the scenario as a whole."""
    rule: str
    """The rule's name, by default its kind or source; empty for the scenario as a whole."""
    change: Literal["added", "removed", "edited", "moved"]
    """`moved`: it runs at another place among the rules that both have."""
    fields: list[FieldChange] = []
    """The edited fields."""


def rule_changes(before: Path, after: Path) -> list[RuleChange]:
    """Return the changes between the rules of two releases' folders, by scenario; a release may have no rules.

    Raises:
        BrokenReleaseError: a rules file cannot be read.
    """
    one, other = _rules(before), _rules(after)
    top = [{name: value for name, value in rules.items() if name != "scenarios"} for rules in (one, other)]
    found = _edited(("", "", ""), *top)
    scenarios: tuple[dict[str, Any], dict[str, Any]] = (one.get("scenarios", {}), other.get("scenarios", {}))
    for name in dict.fromkeys([*scenarios[0], *scenarios[1]]):
        pair = [each[name] for each in scenarios if name in each]
        if len(pair) == 1:
            change: Literal["added", "removed"] = "removed" if name in scenarios[0] else "added"
            found.append(RuleChange(scenario=name, section="", rule="", change=change))
            continue
        rest = [{key: value for key, value in each.items() if key not in _SECTIONS} for each in pair]
        found += _edited((name, "", ""), *rest)
        for section in _SECTIONS:
            found += _section_changes(name, section, *(each.get(section, []) for each in pair))
    return found


def _rules(folder: Path) -> dict[str, Any]:
    try:
        return parse_toml(content_of(folder / _RULES))[1]
    except FileNotFoundError:
        return {}
    except (OSError, TomlError) as error:
        raise BrokenReleaseError(f"{folder / _RULES}: cannot be read ({error}); {WAY_OUT}") from error


def _edited(
    place: tuple[str, str, str], before: Mapping[str, Any], after: Mapping[str, Any]
) -> list[RuleChange]:
    fields = changed_fields(before, after)
    scenario, section, rule = place
    edited = RuleChange(scenario=scenario, section=section, rule=rule, change="edited", fields=fields)
    return [edited] if fields else []


def _section_changes(
    scenario: str, section: str, before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> Iterator[RuleChange]:
    one, other = _by_name(before), _by_name(after)
    common = [name for name in one if name in other]
    places = {name: place for place, name in enumerate(name for name in other if name in one)}
    for name in dict.fromkeys([*one, *other]):
        place = (scenario, section, name)
        if name in one and name in other:
            yield from _edited(place, one[name], other[name])
            if common.index(name) != places[name]:
                yield RuleChange(scenario=scenario, section=section, rule=name, change="moved")
        else:
            change: Literal["added", "removed"] = "removed" if name in one else "added"
            yield RuleChange(scenario=scenario, section=section, rule=name, change=change)


def _by_name(rules: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {str(rule.get("name") or rule.get("kind") or rule.get("source")): rule for rule in rules}
