"""Counts of answers: they add up over workers and restarts, and nothing that fails loses them."""

import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from recsys_assets.errors import AnswersUnavailableError
from recsys_assets.release.answer_counts import (
    AnswerCounts,
    HourlyAnswers,
    add_answers,
    forget_answers,
    read_answers,
)
from recsys_assets.release.answer_series import by_scenario

FIRST, SECOND = "20171231-3f9a1c0b7e", "20180101-0123456789"
HOUR = 3_600 * 10**9


@pytest.fixture
def path(tmp_path):
    return tmp_path / "answers.sqlite"


def test_answers_are_counted_by_release_list_and_utc_hour(path):
    now = 0
    counts = AnswerCounts(path, now_ns=lambda: now)
    counts.give(FIRST, "plain")
    counts.give(FIRST, by_scenario("plain"))
    now = HOUR - 1
    counts.flush()
    now = HOUR
    counts.give(FIRST, "plain")
    counts.give(SECOND, "similar")
    counts.flush()
    assert read_answers(path) == [
        HourlyAnswers(FIRST, "plain", "1970-01-01T00", 1),
        HourlyAnswers(FIRST, "plain", "1970-01-01T01", 1),
        HourlyAnswers(FIRST, "scenario:plain", "1970-01-01T00", 1),
        HourlyAnswers(SECOND, "similar", "1970-01-01T01", 1),
    ]
    assert [one.answers for one in read_answers(path, release=SECOND)] == [1]


def test_workers_threads_and_restarts_add_up(path):
    def work(_):
        counts = AnswerCounts(path, now_ns=lambda: 0)
        for _ in range(5):
            for _ in range(20):
                counts.give(FIRST, "plain")
            counts.flush()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(8)))
    assert read_answers(path) == [HourlyAnswers(FIRST, "plain", "1970-01-01T00", 800)]


def test_threads_of_one_worker_lose_no_answer_and_share_no_id(path):
    counts = AnswerCounts(path, now_ns=lambda: 0)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: counts.give(FIRST, "plain"), range(4_000)))
    counts.flush()
    assert len(set(found)) == 4_000
    assert read_answers(path)[0].answers == 4_000


def test_nothing_is_written_where_nothing_was_answered(path):
    AnswerCounts(path).flush()
    assert not path.exists()
    assert read_answers(path) == []
    assert forget_answers(path, before=datetime.now(UTC)) == 0


def test_a_file_whose_table_is_about_to_be_made_has_no_answers(path):
    path.touch()
    assert read_answers(path) == []
    assert forget_answers(path, before=datetime(2030, 1, 1, tzinfo=UTC)) == 0


def test_counts_that_cannot_be_written_are_kept_and_written_later(path):
    path.mkdir()
    counts = AnswerCounts(path, now_ns=lambda: 0)
    counts.give(FIRST, "plain")
    for _ in range(2):
        with pytest.raises(AnswersUnavailableError, match=r"answers.sqlite: answers cannot be counted"):
            counts.flush()
    path.rmdir()
    counts.give(FIRST, "plain")
    counts.flush()
    counts.flush()
    assert read_answers(path)[0].answers == 2


def test_a_file_that_another_process_holds_delays_the_counts_and_loses_none(path, monkeypatch):
    monkeypatch.setattr("recsys_assets.release.answer_counts._BUSY_SECONDS", 0.0)
    counts = AnswerCounts(path, now_ns=lambda: 0)
    counts.give(FIRST, "plain")
    counts.flush()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    counts.give(FIRST, "plain")
    with pytest.raises(AnswersUnavailableError, match="locked"):
        counts.flush()
    holder.execute("ROLLBACK")
    holder.close()
    counts.flush()
    assert read_answers(path)[0].answers == 2


@pytest.mark.parametrize("writable", [True, False])
def test_reading_leaves_no_file_beside_the_counts(path, monkeypatch, writable):
    add_answers(path, [HourlyAnswers(FIRST, "plain", "2026-01-01T00", 3)])
    monkeypatch.setattr(os, "access", lambda *_: writable)  # root may write everywhere
    assert read_answers(path)[0].answers == 3
    assert list(path.parent.iterdir()) == [path]


def test_a_home_that_is_gone_is_not_made_again(tmp_path):
    counts = AnswerCounts(tmp_path / "gone" / "answers.sqlite")
    counts.give(FIRST, "plain")
    with pytest.raises(AnswersUnavailableError, match="unable to open"):
        counts.flush()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_named(path):
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(AnswersUnavailableError, match=r"answers.sqlite: .*recsys build"):
        read_answers(path)


def test_old_hours_are_forgotten(path):
    add_answers(
        path,
        [HourlyAnswers(FIRST, "plain", f"2026-01-0{day}T{hour}", 1) for day in (1, 2) for hour in (10, 23)],
    )
    before = datetime(2026, 1, 2, 11, tzinfo=UTC)
    assert forget_answers(path, before=before, dry_run=True) == 3
    assert len(read_answers(path)) == 4
    assert forget_answers(path, before=before) == 3
    assert [one.hour for one in read_answers(path)] == ["2026-01-02T23"]
