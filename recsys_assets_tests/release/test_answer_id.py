"""Ids of answers: they say release, time and worker, and no two are alike."""

from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.release.answer_counts import AnswerCounts, new_answer_id
from recsys_assets.release.answer_id import AnswerId, parse_answer_id

RELEASE = "20171231-3f9a1c0b7e"
HEX = st.integers(0, 15).map("0123456789abcdef".__getitem__)
RELEASES = st.builds(
    lambda day, digits: f"{day:%Y%m%d}-{''.join(digits)}",
    st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31)),  # noqa: DTZ001  a day
    st.lists(HEX, min_size=10, max_size=10),
)
IDS = st.builds(
    AnswerId,
    release=RELEASES,
    ms=st.integers(0, 253_402_300_799_999),
    worker=st.lists(HEX, min_size=8, max_size=8).map("".join),
    number=st.integers(0, 2**63),
)


@given(IDS)
def test_an_id_is_read_as_it_was_written(found):
    assert parse_answer_id(str(found)) == found
    assert quote(str(found), safe="") == str(found)


@given(
    st.one_of(
        st.text(),
        st.from_regex(r"\d{8}-[0-9a-f]{10}\.[0-9a-f]{1,13}\.[0-9a-f]{8,26}", fullmatch=True),
        st.tuples(IDS, st.text(max_size=3)).map(lambda pair: str(pair[0]) + pair[1]),
    )
)
def test_a_text_that_is_read_is_the_one_that_is_written(text):
    found = parse_answer_id(text)
    assert found is None or str(found) == text


def test_a_given_id_names_its_release_its_time_and_its_place_among_those_of_the_worker(tmp_path):
    counts = AnswerCounts(tmp_path / "answers.sqlite", now_ns=lambda: 1_764_220_000_123_456_789)
    first, second = (parse_answer_id(counts.give(RELEASE, "plain")) for _ in range(2))
    assert first is not None
    assert second is not None
    assert (first.release, first.number, second.number) == (RELEASE, 1, 2)
    assert first.at == datetime(2025, 11, 27, 5, 6, 40, 123_000, tzinfo=UTC)
    assert first.worker == second.worker


def test_ids_of_two_workers_differ_though_their_clocks_stand_still_or_go_backwards(tmp_path):
    times = iter([5_000_000_000, 4_000_000_000, *[4_000_000_000] * 998] * 2)
    workers = [AnswerCounts(tmp_path / "answers.sqlite", now_ns=lambda: next(times)) for _ in range(2)]
    given_ids = [worker.give(RELEASE, "plain") for worker in workers for _ in range(1_000)]
    assert len(set(given_ids)) == 2_000


def test_a_list_that_no_server_gives_has_an_id_too():
    found = parse_answer_id(new_answer_id(RELEASE))
    assert found is not None
    assert found.release == RELEASE


@pytest.mark.parametrize("text", ["", RELEASE, f"{RELEASE}.19ac5d0f3a2", f"{RELEASE}.19AC5D0F3A2.5f3a9c1e1"])
def test_other_texts_are_no_ids(text):
    assert parse_answer_id(text) is None
