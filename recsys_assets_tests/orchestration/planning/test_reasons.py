"""Reasons in words."""

from datetime import date

from recsys_assets.orchestration.planning.reasons import (
    days_in_words,
    grouped,
    settings_changed,
    why_artifact,
)

JANUARY = [date(2024, 1, day) for day in range(1, 6)]


def why(before: dict, now: dict, **state: bool) -> list[str]:
    return why_artifact(before, now, **{"exists": True, "written": True, "recorded": True, **state})


def test_days_are_named_by_their_span_or_said_to_lie_within_one():
    assert days_in_words(JANUARY[:1]) == "1 day, 2024-01-01"
    assert days_in_words(JANUARY[:3]) == "3 days, 2024-01-01 to 2024-01-03"
    assert days_in_words([JANUARY[0], JANUARY[4]]) == "2 days within 2024-01-01 to 2024-01-05"


def test_days_of_one_reason_are_said_together():
    reasons = dict.fromkeys(JANUARY[:2], "damaged") | {JANUARY[3]: "came to the source"}
    assert grouped(reasons) == [
        "damaged: 2 days, 2024-01-01 to 2024-01-02",
        "came to the source: 1 day, 2024-01-04",
    ]


def test_a_setting_is_named_with_both_values_within_tables_too():
    before = {"epochs": 3, "score": {"prior_weight": None, "first_share": 0.5}, "seed": 0}
    now = {"epochs": 5, "score": {"prior_weight": 1.0, "first_share": 0.5}, "seed": 0}
    assert settings_changed("[training]", before, now) == [
        "[training] epochs 3 → 5",
        "[training] score.prior_weight none → 1.0",
    ]


def test_an_artifact_without_parts_was_built_by_an_earlier_version():
    assert why({}, {"code": "2"}) == ["built by an earlier version, whose record has no parts"]


def test_an_artifact_that_is_gone_is_missing_and_one_never_made_is_not_made_yet():
    assert why({"code": "1"}, {"code": "1"}, exists=False, written=False) == ["missing"]
    assert why({}, {"code": "1"}, exists=False, written=False) == ["not made yet"]


def test_an_artifact_that_dagster_does_not_know_says_so():
    assert why({"code": "1"}, {"code": "1"}, recorded=False) == ["missing in Dagster's history"]


def test_every_part_that_changed_has_a_line():
    before = {"code": "1", "days": {"2024-01-01": "a", "2024-01-02": "b"}, "item_catalogue": "x"}
    now = {"code": "2", "days": {"2024-01-01": "c", "2024-01-03": "d"}, "item_catalogue": "y"}
    assert why(before, now) == [
        "code: version 1 → 2",
        "days added: 1 day, 2024-01-03",
        "days changed: 1 day, 2024-01-01",
        "days gone: 1 day, 2024-01-02",
        "the item catalogue changed",
    ]
