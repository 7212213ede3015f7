"""The days that get an increment report are those that `[report]` asks for."""

from datetime import UTC, date, datetime

import pytest

from recsys_assets.interactions.report_page import last_reported_days, reported_days
from recsys_assets.quality.expectations import CheckResult
from recsys_assets.quality.ledger import Ledger
from recsys_assets.settings import ReportSettings

DAYS = [date(2024, 1, n) for n in range(1, 6)]


@pytest.fixture
def quality_db(tmp_path):
    """The second day's cleaned events warned, the fifth was rejected and accepted; the first has no results."""
    verdicts = [
        ("raw", DAYS[1], "ok"),
        ("clean", DAYS[1], "warn"),
        ("raw", DAYS[3], "ok"),
        ("raw", DAYS[4], "block"),
    ]
    with Ledger(tmp_path / "quality.sqlite") as ledger:
        ledger.record(
            [
                CheckResult(table=table, check="rows", day=day, verdict=verdict, passed_share=1.0,
                            failing_rows=0, sample=[])
                for table, day, verdict in verdicts
            ],
            at=datetime(2024, 2, 1, tzinfo=UTC),
        )  # fmt: skip
    return tmp_path / "quality.sqlite"


@pytest.mark.parametrize(
    ("when", "expected"), [("always", DAYS), ("warned", [DAYS[1], DAYS[4]]), ("never", [])]
)
def test_always_warned_or_never(quality_db, when, expected):
    assert reported_days(DAYS[::-1], ReportSettings(when=when, days=1), ledger=quality_db) == expected


@pytest.mark.parametrize(("days", "expected"), [(0, []), (3, DAYS[4:]), (4, [DAYS[1], DAYS[4]])])
def test_of_the_last_days_only(quality_db, days, expected):
    settings = ReportSettings(when="warned", days=days)
    assert last_reported_days(DAYS[::-1], settings, ledger=quality_db) == expected
