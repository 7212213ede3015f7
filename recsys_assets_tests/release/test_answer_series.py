"""Series of answers: an id tells list and arm, before it is given, for as long as impressions need it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from recsys_assets.release.answer_counts import AnswerCounts, forget_answers
from recsys_assets.release.answer_id import parse_answer_id
from recsys_assets.release.answer_series import ArmName, by_scenario, is_given, series_of

FIRST, SECOND = "20171231-3f9a1c0b7e", "20180101-0123456789"
ARM = ArmName("prices", "cheaper")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "answers.sqlite"


def found_of(path, answer_id):
    return series_of(path)[parse_answer_id(answer_id).series]


def test_an_id_tells_release_list_and_arm_before_anything_is_flushed(path):
    counts = AnswerCounts(path, now_ns=lambda: 5_000)
    plain = found_of(path, counts.give(FIRST, "plain"))
    of_arm = found_of(path, counts.give(FIRST, by_scenario("home"), ARM))
    assert (plain.release, plain.list, plain.experiment, plain.arm, plain.scenario, plain.began) == (
        FIRST,
        "plain",
        None,
        None,
        None,
        5,
    )
    assert (of_arm.list, of_arm.experiment, of_arm.arm, of_arm.scenario) == (
        "scenario:home",
        "prices",
        "cheaper",
        "home",
    )


def test_threads_begin_one_series_for_each_arm(path):
    counts = AnswerCounts(path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: counts.give(FIRST, "plain", ARM if n % 2 else None), range(400)))
    assert len(series_of(path)) == 2


def test_a_series_that_could_not_be_written_is_written_with_the_next_flush(tmp_path):
    path = tmp_path / "later" / "answers.sqlite"
    counts = AnswerCounts(path)
    given = counts.give(FIRST, "plain")
    path.parent.mkdir()
    assert series_of(path) == {}
    counts.flush()
    assert found_of(path, given).release == FIRST


def test_an_answer_is_ours_only_with_a_series_of_its_release(path):
    given = parse_answer_id(AnswerCounts(path).give(FIRST, "plain"))
    other = parse_answer_id(str(given).replace(FIRST, SECOND))
    known = series_of(path)
    assert is_given(given, known)
    assert not is_given(other, known)
    assert not is_given(given, {})


def test_a_series_is_kept_as_long_as_its_release_has_counted_answers(path):
    now = 0
    counts = AnswerCounts(path, now_ns=lambda: now)
    gone = counts.give(FIRST, "plain")
    stays = counts.give(SECOND, "plain")
    counts.flush()
    now = 3_600 * 10**9 * 10
    counts.give(SECOND, "plain")
    counts.flush()
    assert forget_answers(path, before=datetime(1970, 1, 1, 5, tzinfo=UTC)) == 1
    assert parse_answer_id(gone).series not in series_of(path)
    assert found_of(path, stays).release == SECOND
