"""`recsys replay` as it is typed, and a report in words."""

import json
from datetime import UTC, date, datetime

import msgspec
import pytest
from click.testing import CliRunner

from recsys_assets.cli import main
from recsys_assets.commands.replay_command import report_lines
from recsys_assets.orchestration.replay_report import ReplayedDay, ReplayReport
from recsys_assets.storage.home import Home

DAY = date(2024, 3, 4)


def replayed(state="changed", **given):
    counts = {"raw_before": 90, "raw_after": 80, "rows_before": 90, "rows_after": 80}
    return ReplayedDay(day=DAY, state=state, **{**counts, **given})


def report(**given) -> ReplayReport:
    plain = {
        "replay": "20240401T100000Z",
        "at": datetime(2024, 4, 1, 10, tzinfo=UTC),
        "who": "ann",
        "training": "full",
        "days": [replayed()],
        "made": {"raw_interactions": 1.0, "release": 2.0},
        "compared_with": "20240308-aaaaaaaaaa",
        "release": "20240308-bbbbbbbbbb",
        "current": "20240308-bbbbbbbbbb",
        "seconds": 3.0,
    }
    return ReplayReport(**{**plain, **given})


def run(home: Home, *arguments: str):
    return CliRunner().invoke(main, ["replay", *arguments, "--home", str(home.root)])


@pytest.fixture
def home(tmp_path) -> Home:
    """A home with two reports on replays."""
    home = Home(tmp_path)
    home.replays.mkdir(parents=True)
    for name in ("20240401T100000Z", "20240402T100000Z"):
        (home.replays / f"{name}.json").write_bytes(msgspec.json.encode(report(replay=name)))
    return home


def test_a_report_says_rows_and_releases():
    assert list(report_lines(report())) == [
        "Replay 20240401T100000Z by ann, full: 2024-03-04, 3.0 s",
        "  2024-03-04  90 → 80 raw rows, 90 → 80 interactions: landed again",
        "Release 20240308-bbbbbbbbbb: served now. Before: 20240308-aaaaaaaaaa.",
    ]


def test_a_candidate_that_the_gate_kept_back_is_named_with_its_reasons():
    lines = list(report_lines(report(problems=["NDCG fell"], current="20240308-aaaaaaaaaa")))

    assert "Failed: NDCG fell" in lines
    assert (
        "Release 20240308-bbbbbbbbbb: not served; 20240308-aaaaaaaaaa is. Before: 20240308-aaaaaaaaaa."
        in lines
    )


def test_a_rejected_day_has_its_reason():
    rejected = replayed("rejected", raw_after=90, rows_after=90, problem="2024-03-04  raw  no users")
    lines = list(report_lines(report(days=[rejected], release="", problems=["1 of 1 days rejected"])))

    assert lines[1].endswith(
        "90 raw rows, 90 interactions: rejected; it stays as it was (2024-03-04  raw  no users)"
    )
    assert lines[-1] == "No new release was made; 20240308-bbbbbbbbbb is served."


def test_a_warm_replay_says_that_the_next_build_makes_all():
    assert "the next `recsys build` makes all of it" in list(report_lines(report(training="warm")))[-1]


def test_a_replay_without_a_change_says_so():
    same = report(days=[replayed("same")], made={"raw_interactions": 1.0, "interactions": 1.0})

    assert list(report_lines(same)) == [
        "Nothing changed: 2024-03-04 has the same rows, and nothing that follows is stale.",
        "Release 20240308-bbbbbbbbbb stays.",
    ]


def test_a_day_that_is_gone_from_the_source_is_not_called_the_same():
    gone = report(days=[replayed("gone")], made={})
    assert (
        next(report_lines(gone)) == "2024-03-04: the source has no row of it any more; it stays as it landed."
    )


def test_reports_are_listed_and_shown_again(home):
    listed = run(home, "--list").output.splitlines()
    assert [line.split()[0] for line in listed] == ["20240402T100000Z", "20240401T100000Z"]
    assert run(home, "--show", "last").output.startswith("Replay 20240402T100000Z")
    shown = json.loads(run(home, "--show", "20240401T100000Z", "--json").output)
    assert shown["replay"] == "20240401T100000Z"
    assert "no replay 'x'; there are: 20240402T100000Z, 20240401T100000Z" in run(home, "--show", "x").output


def test_nothing_was_replayed_yet(tmp_path):
    assert run(Home(tmp_path), "--list").output == "Nothing was replayed yet.\n"


@pytest.mark.parametrize("arguments", [[], ["2024-03-04", "--list"], ["--list", "--show", "last"]])
def test_one_thing_at_a_time(home, arguments):
    done = run(home, *arguments)

    assert done.exit_code != 0
    assert "give days, --list or --show REPLAY" in done.output


def test_a_broken_report_is_named(home):
    (home.replays / "20240403T100000Z.json").write_text("{")

    assert "20240403T100000Z.json: no report on a replay" in run(home, "--list").output
