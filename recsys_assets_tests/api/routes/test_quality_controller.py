"""Check results by day, read from the ledger."""

from datetime import UTC, date, datetime, timedelta

from recsys_assets.api.routes.quality_controller import check_histories
from recsys_assets.quality.expectations import CheckResult
from recsys_assets.quality.ledger import Ledger

FIRST = date(2024, 3, 1)


def test_a_home_without_a_ledger_has_no_results(tmp_path):
    assert check_histories(tmp_path / "quality.sqlite", days=7) == []


def test_each_check_has_its_results_on_the_last_days_oldest_first(tmp_path):
    with Ledger(tmp_path / "quality.sqlite") as ledger:
        ledger.record(
            (
                CheckResult(
                    table="raw_interactions", check="schema", day=FIRST + timedelta(days=n), verdict="ok"
                )
                for n in range(5)
            ),
            at=datetime(2024, 4, 1, tzinfo=UTC),
        )
    (found,) = check_histories(tmp_path / "quality.sqlite", days=2)
    assert (found.table, found.check) == ("raw_interactions", "schema")
    assert [day.day for day in found.days] == ["2024-03-04", "2024-03-05"]
