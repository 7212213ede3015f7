"""The ledger gives back what it was given, by day, table and check."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from recsys_assets.api.routes.quality_controller import check_histories
from recsys_assets.quality.check_ledger import Acceptance
from recsys_assets.quality.expectations import CheckResult
from recsys_assets.quality.ledger import Ledger

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
ACCEPTANCE = Acceptance(table="raw", day=DAY, fingerprint="f", who="ada", why="real", accepted_at=AT)


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
    with Ledger(tmp_path / "quality.sqlite") as ledger:
        ledger.accept(ACCEPTANCE)
        assert ledger.acceptances() == [ACCEPTANCE]


def test_profiles_are_limited_to_the_requested_days(tmp_path):
    profiles = {date(2017, 3, n): bytes([n]) for n in (1, 2, 3)}
    with Ledger(tmp_path / "quality.sqlite") as ledger:
        ledger.put_profiles("raw", profiles)
        found = ledger.profiles("raw", since=date(2017, 3, 2), before=date(2017, 3, 3))
    assert found == {date(2017, 3, 2): b"\x02"}


def test_a_check_recorded_again_replaces_only_its_own_result(tmp_path):
    other = replace(RESULT, check="schema", verdict="ok")
    with Ledger(tmp_path / "quality.sqlite") as ledger:
        ledger.record([RESULT, other], at=AT)
        ledger.record([replace(RESULT, verdict="block")], at=AT)
        assert [(r.check, r.verdict) for r in ledger.results()] == [("a_between", "block"), ("schema", "ok")]


def test_what_is_recorded_last_counts_whatever_the_clock_said(tmp_path):
    earlier = AT - timedelta(days=400)
    with Ledger(tmp_path / "quality.sqlite") as ledger:
        for at, verdict, who in ((AT, "ok", "ada"), (earlier, "block", "bob")):
            ledger.record([replace(RESULT, verdict=verdict)], at=at)
            ledger.accept(replace(ACCEPTANCE, who=who, accepted_at=at))
        assert [result.verdict for result in ledger.results()] == ["block"]
        assert [one.who for one in ledger.acceptances()] == ["bob"]


def test_the_history_of_a_table_is_its_newest_days_oldest_first(tmp_path):
    days = [DAY + timedelta(days=n) for n in range(4)]
    with Ledger(tmp_path / "quality.sqlite") as ledger:
        ledger.record((replace(RESULT, day=day, value=float(n)) for n, day in enumerate(days)), at=AT)
        ledger.record([replace(RESULT, table="other"), replace(RESULT, day=None)], at=AT)
        assert [(r.day, r.value) for r in ledger.history("raw", days=2)] == [(days[2], 2.0), (days[3], 3.0)]


def test_attention_is_what_warns_or_blocks(tmp_path):
    later, blocks = DAY + timedelta(days=1), replace(RESULT, verdict="block", check="b")
    with Ledger(tmp_path / "quality.sqlite") as ledger:
        ledger.record([RESULT, replace(RESULT, check="schema", verdict="ok")], at=AT)
        ledger.record([replace(RESULT, day=later, verdict="ok"), replace(blocks, day=later)], at=AT)
        assert ledger.attention(since=DAY) == [RESULT, replace(blocks, day=later)]
        assert ledger.attention(since=later) == [replace(blocks, day=later)]


@pytest.mark.parametrize("value", [float("nan"), np.float64(2.5)])
def test_any_number_can_be_recorded(tmp_path, value):
    with Ledger(tmp_path / "quality.sqlite") as ledger:
        ledger.record([replace(RESULT, value=value)], at=AT)
        assert repr(ledger.results()[0].value) == repr(float(value))


FORMER = """
CREATE TABLE check_results (
    table_name TEXT NOT NULL, day TEXT NOT NULL, check_name TEXT NOT NULL, verdict TEXT NOT NULL,
    passed_share REAL, failing_rows INTEGER NOT NULL, value REAL,
    warn_below REAL, block_below REAL, warn_above REAL, block_above REAL,
    detail TEXT NOT NULL, sample TEXT NOT NULL, checked_at TEXT NOT NULL,
    PRIMARY KEY (table_name, day, check_name)
) WITHOUT ROWID;
CREATE TABLE acceptances (
    table_name TEXT NOT NULL, day TEXT NOT NULL, fingerprint TEXT NOT NULL,
    who TEXT NOT NULL, why TEXT NOT NULL, accepted_at TEXT NOT NULL,
    PRIMARY KEY (table_name, day, fingerprint)
) WITHOUT ROWID;
"""


def former_ledger(path, results):
    """A ledger as version 0.4 left it: a row a result."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(FORMER)
        connection.executemany(
            "INSERT INTO check_results VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            [
                (
                    r.table, "" if r.day is None else r.day.isoformat(), r.check, r.verdict, r.passed_share,
                    r.failing_rows, r.value, r.warn_below, r.block_below, r.warn_above, r.block_above,
                    r.detail, json.dumps(r.sample, ensure_ascii=False), AT.isoformat(),
                )
                for r in results
            ],
        )  # fmt: skip
        connection.execute(
            "INSERT INTO acceptances VALUES ('raw', '2017-03-01', 'f', 'ada', 'real', ?)", (AT.isoformat(),)
        )
        connection.commit()


def test_a_ledger_of_an_earlier_version_keeps_its_results_and_acceptances(tmp_path):
    whole = CheckResult(table="item_catalogue", check="schema", verdict="ok")
    former_ledger(tmp_path / "quality.sqlite", [whole, RESULT, replace(RESULT, check="b", value=None)])
    for _ in range(2):
        with Ledger(tmp_path / "quality.sqlite") as ledger:
            assert ledger.results() == [whole, RESULT, replace(RESULT, check="b", value=None)]
            assert [(a.why, a.as_normal) for a in ledger.acceptances()] == [("real", True)]


def test_the_page_shows_the_results_of_a_ledger_of_an_earlier_version(tmp_path):
    former_ledger(tmp_path / "quality.sqlite", [RESULT])
    (found,) = check_histories(tmp_path / "quality.sqlite", days=7)
    assert [(day.day, day.verdict) for day in found.days] == [("2017-03-01", "warn")]
