"""The checks of a release, answered by the gate while the release is a candidate: good enough, and able to serve."""

from typing import Any

import dagster as dg

from recsys_assets.orchestration.promotion_gate import Judgement
from recsys_assets.orchestration.question_checks import answers, question_specs
from recsys_assets.release.gate_report import GateName
from recsys_assets.release.list_audit import RECOMMENDATIONS

_CHECKS: dict[str, tuple[tuple[GateName, ...], str]] = {
    "held_out": (
        ("held_out",),
        (
            "Does it rank held-out items as well as the current release, for the same users (`[gate] margin`)? One "
            "that does not makes people's lists worse. If not: look at what changed, settings and days; `recsys tune`."
        ),
    ),
    "best_baseline": (
        ("best_baseline",),
        "Is it as good as the best baseline? Else a one-line list serves people better. If not: `recsys tune`.",
    ),
    "index_recall": (
        ("index_recall",),
        "Does the search find what exact search finds? What it misses is never shown. If not: build the index again.",
    ),
    "golden_users_and_rules_cases": (
        ("golden_users", "rules_cases"),
        (
            "Are the lists of golden users, and the cases of the rules, as people wrote them down (`golden.toml`, "
            "`rules_tests.toml`)? If not: mend the rules, or what is expected."
        ),
    ),
    "smoke_test": (
        ("smoke_test",),
        (
            "Does a real server start with it, and answer as the release says? One that does not is an outage. If not: "
            "look at the first fault."
        ),
    ),
}
"""Asset check -> the results of the gate that answer it, and its description."""
GATE_CHECKS = [
    *(
        dg.AssetCheckSpec(name, asset="release", blocking=True, description=text)
        for name, (_, text) in _CHECKS.items()
    ),
    *question_specs(RECOMMENDATIONS.name, asset="release", blocking=True),
]
"""At most ten; the answers to the questions about lists are the gate's result `lists`."""


def answers_of_gate(found: Judgement) -> list[dg.AssetCheckResult]:
    """Return the gate's results as asset checks, with their figures."""
    by_name = {one.name: one for one in found.report.results}
    against = found.report.against or "none"
    given = []
    for check, (names, _) in _CHECKS.items():
        results = [by_name[name] for name in names]
        metadata: dict[str, Any] = {"release_id": found.report.release, "against": against}
        for one in results:
            prefix = "" if len(results) == 1 else f"{one.name}_"
            figures = {"value": one.value, "bound": one.bound, "detail": one.detail}
            metadata |= {f"{prefix}{key}": value for key, value in figures.items() if value is not None}
        failed = [one.detail for one in results if not one.passed]
        given.append(
            dg.AssetCheckResult(
                check_name=check,
                asset_key="release",
                passed=not failed,
                description="\n".join(failed) or None,
                metadata=metadata,
            )
        )
    return [*given, *answers(found.lists, table=RECOMMENDATIONS.name, asset="release")]
