"""The ledger gives back what it was given, by day, table and check."""

from datetime import UTC, date, datetime

from recsys_assets.quality.expectations import CheckResult
from recsys_assets.quality.ledger import Acceptance, Ledger

DAY = date(2017, 3, 1)
AT = datetime(2017, 4, 1, tzinfo=UTC)
RESULT = CheckResult(
    table="raw",
    check="a_between",
    verdict="warn",
    day=DAY,
    passed_share=0.5,
    failing_rows=1,
    sample=[{"a": -7, "name": "é"}],
    value=3.0,
    warn_below=1.0,
    block_below=0.0,
    warn_above=2.0,
    block_above=4.0,
    detail="1 of 2 rows fail",
)


def test_a_result_comes_back_with_every_field(tmp_path):
    with Ledger(tmp_path / "quality.sqlite") as ledger:
        ledger.record([RESULT], at=AT)
    with Ledger(tmp_path / "quality.sqlite") as ledger:
        assert ledger.results(day=DAY) == [RESULT]


def test_a_result_about_a_whole_table_has_no_day(tmp_path):
    whole = CheckResult(table="item_catalogue", check="schema", verdict="ok")
    with Ledger(tmp_path / "quality.sqlite") as ledger:
        ledger.record([RESULT, whole], at=AT)
        assert ledger.results() == [whole, RESULT]


def test_an_acceptance_comes_back_with_every_field(tmp_path):
    accepted = Acceptance(table="raw", day=DAY, fingerprint="f", who="ada", why="real", accepted_at=AT)
    with Ledger(tmp_path / "quality.sqlite") as ledger:
        ledger.accept(accepted)
        assert ledger.acceptances() == [accepted]


def test_profiles_are_limited_to_the_requested_days(tmp_path):
    profiles = {date(2017, 3, n): bytes([n]) for n in (1, 2, 3)}
    with Ledger(tmp_path / "quality.sqlite") as ledger:
        ledger.put_profiles("raw", profiles)
        found = ledger.profiles("raw", since=date(2017, 3, 2), before=date(2017, 3, 3))
    assert found == {date(2017, 3, 2): b"\x02"}
