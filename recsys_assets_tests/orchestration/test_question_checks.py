"""Audit results as Dagster shows them: by question, with single checks, their history and failing rows."""

from datetime import date, timedelta

import dagster as dg

from recsys_assets.orchestration.question_checks import answers, answers_of_days, question_specs
from recsys_assets.orchestration.run_results import rejection_summary
from recsys_assets.quality.audit_and_publish import PublishOutcome
from recsys_assets.quality.expectations import CheckResult
from recsys_assets.storage.home import Home

DAYS = [date(2017, 9, 3), date(2017, 9, 1), date(2017, 9, 2)]
RAW = {"table": "raw_interactions", "asset": "raw_interactions"}


def result(day: date, verdict: str, *, check: str = "drift_rows", **changes) -> CheckResult:
    return CheckResult(
        table="raw_interactions",
        check=check,
        verdict=verdict,
        day=day,
        detail=f"{verdict} on {day}",
        **changes,
    )


def answer(results, name: str = "did_it_all_come", **more) -> dg.AssetCheckResult:
    return next(found for found in answers(results, **RAW, **more) if found.check_name == name)


def values(check: dg.AssetCheckResult, *names: str) -> tuple:
    return tuple(check.metadata[name].value for name in names)


def test_the_worst_day_comes_first_and_its_rows_are_shown():
    results = [
        result(DAYS[2], "warn", sample=[{"row": 1}]),
        result(DAYS[0], "block"),
        result(DAYS[1], "block", sample=[{"row": 2}]),
    ]
    check = answer(results, audited=3)
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert check.description == "2017-09-01, drift_rows: block on 2017-09-01"
    days = [row.data["day"] for row in check.metadata["worst"].records]
    assert days == ["2017-09-01", "2017-09-03", "2017-09-02"]
    assert check.metadata["failing_rows_of"].value == "drift_rows, 2017-09-01"
    assert values(check, "days_audited", "days_warned", "days_rejected") == (3, 1, 2)


def test_a_day_that_fails_two_checks_of_a_question_counts_once():
    results = [result(DAYS[0], "warn"), result(DAYS[0], "block", check="drift_users")]
    assert values(answer(results), "days_audited", "days_warned", "days_rejected") == (1, 0, 1)


def test_every_question_is_answered_and_without_results_it_is_yes():
    found = answers([], **RAW)
    assert [check.check_name for check in found] == [
        spec.name for spec in question_specs("raw_interactions", asset="raw_interactions")
    ]
    assert all(check.passed and check.description is None for check in found)


def test_the_single_checks_have_their_limits_and_the_last_days():
    first = date(2017, 8, 1)
    before = [
        result(first + timedelta(days=n), "ok", value=1.0, warn_above=4.0, block_above=8.0) for n in range(40)
    ]
    check = answer([result(DAYS[0], "block", value=8.5, warn_above=4.0, block_above=8.0)], before=before)
    (row,) = (record.data for record in check.metadata["checks"].records)
    assert (row["newest"], row["found"], row["warns"], row["rejects"]) == ("block", "8.5", "> 4", "> 8")
    assert row["last_days"] == "▁" * 29 + "█"


def test_a_failing_share_is_a_bar_too():
    results = [
        result(day, "ok", passed_share=share)
        for day, share in zip(sorted(DAYS), (1.0, 0.5, 0.0), strict=True)
    ]
    (row,) = (record.data for record in answer(results).metadata["checks"].records)
    assert (row["found"], row["last_days"]) == ("0", "▁▅█")


def test_a_day_that_is_not_good_and_one_that_is_good_again_are_answered_under_their_partition(tmp_path):
    results = [result(DAYS[0], "block"), result(DAYS[1], "ok"), result(DAYS[2], "ok")]
    again = [("did_it_all_come", DAYS[1]), ("did_it_all_come", DAYS[0])]
    found = list(answers_of_days(results, **RAW, home=Home(tmp_path), good_again=again))
    assert [(e.partition, e.check_name, e.passed) for e in found] == [
        ("2017-09-03", "did_it_all_come", False),
        ("2017-09-01", "did_it_all_come", True),
    ]


def test_the_metadata_of_an_answer_is_with_its_question():
    found = answers([], **RAW, metadata={"did_it_all_come": {"rows": 3}})
    assert {check.check_name for check in found if "rows" in check.metadata} == {"did_it_all_come"}


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
