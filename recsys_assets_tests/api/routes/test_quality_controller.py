"""Check results by day, read from the ledger."""

from datetime import UTC, date, datetime, timedelta

import msgspec

from recsys_assets.api.routes.quality_controller import attention, check_histories, rows_of_home
from recsys_assets.quality.expectations import CheckResult
from recsys_assets.quality.ledger import Ledger
from recsys_assets.quality.row_account import HomeAccount, RowAccount, RowsOfReason
from recsys_assets.storage.home import Home

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


def _recorded(tmp_path, *results):
    with Ledger(tmp_path / "quality.sqlite") as ledger:
        ledger.record(
            [CheckResult(table=table, check=check, day=day, verdict=verdict, failing_rows=rows)
             for table, check, day, verdict, rows in results],
            at=datetime(2024, 4, 1, tzinfo=UTC),
        )  # fmt: skip
    return tmp_path / "quality.sqlite"


def test_attention_is_grouped_by_question_the_newest_day_and_the_worst_check_first(tmp_path):
    older, newer = FIRST, FIRST + timedelta(days=1)
    ledger = _recorded(
        tmp_path,
        ("raw_interactions", "drift_rows", older, "warn", 1),
        ("raw_interactions", "drift_users", older, "block", 2),
        ("raw_interactions", "drift_mean_log_price", older, "warn", 3),
        ("raw_interactions", "schema", older, "ok", 0),
        ("interactions", "kept_by_cleaning", newer, "warn", 4),
    )

    found = [(one.day, one.question, [f.check for f in one.findings]) for one in attention(ledger, days=9)]

    assert found == [
        ("2024-03-02", "Was most of it kept?", ["kept_by_cleaning"]),
        ("2024-03-01", "Did it all come?", ["drift_users", "drift_rows"]),
        ("2024-03-01", "How much, at what price?", ["drift_mean_log_price"]),
    ]
    commands = [one.command for one in attention(ledger, days=9)]
    assert commands[:2] == ["recsys report 2024-03-02", "recsys quarantine show 2024-03-01"]
    assert {one.day for one in attention(ledger, days=1)} == {"2024-03-02"}


def test_a_check_that_no_question_has_and_a_table_without_days_are_shown(tmp_path):
    ledger = _recorded(tmp_path, ("item_catalogue", "a_check_of_old", None, "warn", 1))

    (found,) = attention(ledger, days=9)

    assert (found.day, found.question, found.command) == (None, "a check of old", None)


def test_a_home_without_a_ledger_needs_no_attention(tmp_path):
    assert attention(tmp_path / "quality.sqlite", days=7) == []


def test_rows_by_reason_of_the_home_and_of_the_last_days(tmp_path):
    home = Home(tmp_path)
    assert rows_of_home(home, home.quality_db, days=9) is None
    lost = RowAccount(kept=3, reasons={"no_user": RowsOfReason(rows=2, example="user_id=None")})
    with Ledger(home.quality_db) as ledger:
        for n, account in enumerate([lost, RowAccount(kept=1), lost]):
            ledger.put_account(FIRST + timedelta(days=n), account)
    home.row_account.write_bytes(msgspec.json.encode(HomeAccount(source_rows=11, account=lost.plus(lost))))

    found = rows_of_home(home, home.quality_db, days=9)

    assert (found.rows, found.interactions, found.differences) == (11, 6, "")
    reasons = [(one.reason, one.rows, one.meaning, one.example) for one in found.left_out]
    assert reasons == [("no_user", 4, "without a user", "user_id=None")]
    assert [(day.day, day.rows, day.interactions) for day in found.days] == [
        ("2024-03-03", 5, 3),
        ("2024-03-01", 5, 3),
    ]
    assert [day.day for day in rows_of_home(home, home.quality_db, days=1).days] == ["2024-03-03"]
