"""Audit results as Dagster and the user see them."""

from datetime import date

import dagster as dg

from recsys_assets.orchestration.metadata import as_asset_checks, rejection_summary
from recsys_assets.quality.audit_and_publish import PublishOutcome
from recsys_assets.quality.expectations import CheckResult
from recsys_assets.storage.home import Home

DAYS = [date(2017, 9, 3), date(2017, 9, 1), date(2017, 9, 2)]


def result(day: date, verdict: str, **changes) -> CheckResult:
    return CheckResult(
        table="t", check="rows", verdict=verdict, day=day, detail=f"{verdict} on {day}", **changes
    )


def test_the_worst_day_comes_first_and_its_rows_are_shown():
    results = [
        result(DAYS[2], "warn", sample=[{"row": 1}]),
        result(DAYS[0], "block"),
        result(DAYS[1], "block", sample=[{"row": 2}]),
    ]
    (check,) = as_asset_checks(results, asset="raw_interactions", declared=["rows"])
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert check.description == "2017-09-01: block on 2017-09-01"
    assert [row.data["day"] for row in check.metadata["worst"].records] == [
        "2017-09-01",
        "2017-09-03",
        "2017-09-02",
    ]
    assert check.metadata["failing_rows_of"].value == "2017-09-01"
    assert {name: check.metadata[name].value for name in ("audited", "warned", "blocked")} == {
        "audited": 3, "warned": 1, "blocked": 2,
    }  # fmt: skip


def test_a_declared_check_without_results_passes():
    (check,) = as_asset_checks([], asset="raw_interactions", declared=["rows"])
    assert (check.passed, check.description) == (True, None)


def test_several_rejected_days_are_accepted_as_one_span(tmp_path):
    days = [date(2017, 9, 3), date(2017, 9, 1)]
    blocked = {
        day: [CheckResult(table="t", check="rows", verdict="block", day=day, detail="none")] for day in days
    }
    summary = rejection_summary(PublishOutcome(rejected=blocked), "raw_interactions", home=Home(tmp_path))
    assert len(summary.splitlines()) == 5
    assert "2 of 2 days rejected (2017-09-01 to 2017-09-03)" in summary
    assert f"recsys quarantine show 2017-09-01 --home {tmp_path}\n" in summary
    assert summary.endswith(f"recsys quarantine accept 2017-09-01..2017-09-03 --home {tmp_path} --why TEXT")
