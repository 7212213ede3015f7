"""Checks on an export: its rows, a list for every user, and no item that the user has already."""

from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from recsys_assets.exports.export_target import ExportManifest

_SPECS = {
    "are_there_lists": "Was a list made for at least one user? An empty export would empty what it feeds. "
    "If not: look at `[export] users`.",
    "has_every_user_a_list": "Has every user at least one item? One without shows nothing. "
    "If not: the scenario's filters may be too narrow; see `recsys recommend USER --scenario … --explain`.",
    "is_nothing_seen_in_them": "Is no item in them that the user has already? "
    "If not: a scenario may allow it; without one, `recsys build` makes the release again.",
}
EXPORT_CHECKS = [
    dg.AssetCheckSpec(name=name, asset="exported_lists", description=text) for name, text in _SPECS.items()
]


def answers_on(found: "ExportManifest") -> list[dg.AssetCheckResult]:
    """Return the answers, counted while the lists were made."""
    with_list = found.users - found.empty
    passed = (with_list > 0, found.empty == 0, found.seen == 0)
    metadata = (
        {"users": found.users, "rows": found.rows},
        {"users": found.users, "empty_lists": found.empty},
        {"seen_items": found.seen},
    )
    by_rules = dg.AssetCheckSeverity.ERROR if found.scenario is None else dg.AssetCheckSeverity.WARN
    severities = (dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN, by_rules)
    return [
        dg.AssetCheckResult(check_name=name, passed=ok, severity=severity, metadata=dict(more))
        for name, ok, severity, more in zip(_SPECS, passed, severities, metadata, strict=True)
    ]
