"""Team-draft interleaving, the store of teams, and the credit of clicks."""

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.errors import AnswersUnavailableError
from recsys_assets.experiments.interleaving import team_draft
from recsys_assets.experiments.team_credit import team_days, teams_frame
from recsys_assets.experiments.teams import AnswerTeams, TeamRow, read_teams, remove_teams
from recsys_assets.release.answer_id import AnswerId

LISTS = st.lists(st.integers(0, 40), max_size=30, unique=True)


@given(first=LISTS, second=LISTS, k=st.integers(0, 40), seed=st.text())
def test_each_item_is_there_once_and_as_many_as_there_are(
    first: list[int], second: list[int], k: int, seed: str
) -> None:
    items = [one.item for one in team_draft(first, second, k, seed=seed)]
    assert len(set(items)) == len(items) == min(k, len({*first, *second}))


@given(first=LISTS, second=LISTS, k=st.integers(0, 40), seed=st.text())
def test_after_each_round_both_teams_have_as_many_items(
    first: list[int], second: list[int], k: int, seed: str
) -> None:
    teams = [one.team for one in team_draft(first, second, k, seed=seed) if one.counts]
    assert all(teams[place] != teams[place + 1] for place in range(0, len(teams) - 1, 2))


@given(first=LISTS, second=LISTS, k=st.integers(0, 40), seed=st.text())
def test_a_teams_items_keep_the_order_of_its_list(
    first: list[int], second: list[int], k: int, seed: str
) -> None:
    for team, items in enumerate((first, second)):
        picked = [one for one in team_draft(first, second, k, seed=seed) if one.team == team]
        assert [one.place for one in picked] == sorted(one.place for one in picked)
        assert all(items[one.place] == one.item for one in picked)


def test_each_team_picks_first_in_half_of_the_answers() -> None:
    firsts = [team_draft([1, 2], [3, 4], 2, seed=f"{number}")[0].team for number in range(2_000)]
    assert 900 < sum(firsts) < 1_100


def test_items_after_the_end_of_one_list_count_for_no_team() -> None:
    found = team_draft([1], [2, 3, 4, 5], 5, seed="a")
    assert [one.counts for one in found[-2:]] == [False, False]


def test_the_same_seed_gives_the_same_list() -> None:
    drawn = [team_draft(range(10), range(20, 30), 10, seed="x") for _ in range(2)]
    assert drawn[0] == drawn[1]


def test_teams_are_read_as_they_were_flushed(tmp_path: Path) -> None:
    teams, rows = AnswerTeams(tmp_path / "a.sqlite"), [TeamRow("x", "i1", "now"), TeamRow("x", "i2", "other")]
    teams.add(rows)
    assert list(read_teams(tmp_path / "a.sqlite")) == []
    teams.flush()
    teams.flush()
    assert list(read_teams(tmp_path / "a.sqlite")) == rows


def test_teams_wait_while_the_file_cannot_be_written(tmp_path: Path) -> None:
    file = tmp_path / "gone" / "a.sqlite"
    teams = AnswerTeams(file)
    teams.add([TeamRow("x", "i1", "now")])
    with pytest.raises(AnswersUnavailableError):
        teams.flush()
    file.parent.mkdir()
    teams.flush()
    assert len(list(read_teams(file))) == 1


def test_teams_of_old_answers_are_removed(tmp_path: Path) -> None:
    file, release = tmp_path / "a.sqlite", "20171231-3f9a1c0b7e"
    times = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))
    old, new = (
        str(AnswerId(release=release, ms=int(at.timestamp() * 1000), series="0123abcd", number=1))
        for at in times
    )
    teams = AnswerTeams(file)
    teams.add(TeamRow(answer, item, "now") for answer in (old, new) for item in ("i1", "i2"))
    teams.flush()
    before = datetime(2026, 2, 1, tzinfo=UTC)
    assert remove_teams(file, before=before, dry_run=True) == remove_teams(file, before=before) == 1
    assert {row.answer_id for row in read_teams(file)} == {new}


def test_a_click_counts_for_the_team_of_its_item() -> None:
    day = date(2026, 11, 1)
    items = pl.DataFrame(
        {
            "answer_id": ["x"] * 3,
            "item_id": ["i1", "i2", "i3"],
            "unit": ["u"] * 3,
            "day": [day] * 3,
            "clicked": [0, 1, 1],
        }
    )
    teams = teams_frame([TeamRow("x", "i1", "now"), TeamRow("x", "i2", "other")])
    found = team_days(items, teams)
    assert found.rows() == [("now", "u", day, 1, 0, 0, 0.0), ("other", "u", day, 1, 1, 0, 0.0)]
