"""Lineage: from a day to releases, times and answers; from a release to its days and people; from an answer back."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from recsys_assets.cli import main
from recsys_assets.errors import LineageError
from recsys_assets.orchestration.lineage import lineage_of
from recsys_assets.orchestration.lineage_records import DayLineage, ReleaseLineage
from recsys_assets.quality.check_ledger import Acceptance
from recsys_assets.quality.expectations import CheckResult
from recsys_assets.quality.ledger import Ledger
from recsys_assets.release.answer_counts import AnswerCounts, HourlyAnswers, add_answers
from recsys_assets.release.answer_id import AnswerId
from recsys_assets.release.answer_series import ArmName, by_scenario, series_of
from recsys_assets.release.current import RecordedMove
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.release.served_times import made_moves, served_times
from recsys_assets.storage.home import Home
from recsys_assets_tests.release.building import build_world
from recsys_assets_tests.release.world import FIRST_DAY, LAST_DAY, LINEAGE, NOW

FIRST_LETTER, SECOND_LETTER = "a", "b"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return build_world(tmp_path_factory.mktemp("world") / "artifacts")


@pytest.fixture
def home(world, tmp_path):
    """Two releases that differ in the version of the last day, served one after the other."""
    times = iter(NOW + timedelta(hours=hour) for hour in range(100))
    store = ReleaseStore(tmp_path / "releases", clock=lambda: next(times))
    for letter in (FIRST_LETTER, SECOND_LETTER):
        manifest = world.publish(
            tmp_path,
            lineage=LINEAGE | {LAST_DAY: letter * 64},
            promote=False,
            accepted={FIRST_DAY: ["raw_interactions: accepted by ann at 2024-01-02: a real rise"]},
        )
        store.promote(manifest.release_id, who="ben", why=f"try {letter}")
    return Home(tmp_path)


@pytest.fixture
def ids(home):
    """Ids of the two releases, the first one first."""
    return [manifest.release_id for manifest in reversed(ReleaseStore(home.releases).list())]


def show(home, wanted, *options):
    done = CliRunner().invoke(main, ["lineage", wanted, "--home", str(home.root), *options])
    assert done.exit_code == 0, done.output
    return done.output


def fails(home, wanted):
    done = CliRunner().invoke(main, ["lineage", wanted, "--home", str(home.root)])
    assert done.exit_code == 2
    (line,) = done.output.splitlines()
    return line


def test_a_day_names_the_releases_their_versions_times_and_answers(home, ids):
    add_answers(
        home.answers_db,
        [
            HourlyAnswers(ids[0], "plain", "2024-02-01T06", 30),
            HourlyAnswers(ids[0], "scenario:home", "2024-02-02T06", 12),
        ],
    )
    shown = show(home, str(LAST_DAY))
    assert f"Release {ids[0]} was built on it, with version aaaaaaaaaa, the lake has none now." in shown
    assert f"Release {ids[1]} was built on it, with version bbbbbbbbbb" in shown
    assert "  Served from 2024-02-01 06:00 UTC to 2024-02-01 07:00 UTC, by ben: try a." in shown
    assert "  Served from 2024-02-01 07:00 UTC until now, by ben: try b." in shown
    assert "  42 answers, 2024-02-01 to 2024-02-02: plain 30, scenario home 12." in shown
    assert "  No answers were counted." in shown


def test_a_recall_is_named_at_the_version_that_it_concerns(home, ids):
    store = ReleaseStore(home.releases)
    (home.releases / "recalled.json").write_text(
        json.dumps(
            [
                {
                    "day": str(LAST_DAY),
                    "checksum": "b" * 64,
                    "at": "2024-02-03T01:00:00Z",
                    "why": "x",
                    "who": "ann",
                }
            ]
        )
    )
    store.rollback(who="ann", why="bad prices")
    shown = show(home, str(LAST_DAY))
    assert "Recalled in version bbbbbbbbbb, 2024-02-03 01:00 UTC by ann: x." in shown
    assert "with version bbbbbbbbbb, recalled, the lake" in shown
    assert "with version aaaaaaaaaa, the lake has none now, served now." in shown
    assert f"Of these, recalled since:\n  {LAST_DAY}" in show(home, ids[1])


def test_accepted_days_and_checks_that_warned_are_named(home, ids):
    warned = CheckResult(
        table="interactions", check="rows", verdict="warn", day=LAST_DAY, detail="12 rows instead of 40"
    )
    with Ledger(home.quality_db) as ledger:
        ledger.record([warned], at=NOW)
        ledger.accept(
            Acceptance(
                table="interactions", day=LAST_DAY, fingerprint="f", who="eve", why="a feast", accepted_at=NOW
            )
        )
    shown = show(home, str(LAST_DAY))
    assert "Checks that warned:\n  2024-01-31 interactions rows: 12 rows instead of 40" in shown
    assert "interactions: accepted by eve at 2024-02-01T06:00:00+00:00: a feast" in shown
    release = show(home, ids[0])
    assert "Built on 31 days, 2024-01-01 to 2024-01-31." in release
    assert "2024-01-01 raw_interactions: accepted by ann at 2024-01-02: a real rise" in release
    assert "2024-01-31 interactions rows: 12 rows instead of 40" in release


def test_an_answer_names_its_release_its_time_and_its_recalled_days(home, ids):
    when = NOW + timedelta(minutes=30)
    answer = AnswerId(release=ids[0], ms=int(when.timestamp() * 1000) + 7, series="5f3a9c1e", number=3)
    shown = show(home, str(answer))
    assert f"given 2024-02-01 06:30:00.007000 UTC by release {ids[0]}." in shown
    assert "not current then" not in shown
    late = AnswerId(release=ids[0], ms=answer.ms + 86_400_000, series="5f3a9c1e", number=3)
    assert "But that release was not current then" in show(home, str(late))


def test_an_answer_names_its_list_and_arm_where_a_server_of_this_home_began_its_series(home, ids):
    given = AnswerCounts(home.answers_db).give(ids[0], by_scenario("front"), ArmName("prices", "cheaper"))
    assert "List: scenario front, arm cheaper of experiment prices." in show(home, given)
    (series,) = series_of(home.answers_db)
    assert "kind of list is not known" in show(home, given.replace(f".{series}", ".00000000"))


def test_a_release_that_was_pruned_keeps_its_times_and_answers(home, ids):
    add_answers(home.answers_db, [HourlyAnswers(ids[0], "plain", "2024-02-01T06", 3)])
    gone = "20240131-0123456789"
    add_answers(home.answers_db, [HourlyAnswers(gone, "plain", "2024-02-01T05", 5)])
    shown = show(home, gone)
    assert "is no longer kept" in shown
    assert "5 answers, 2024-02-01: plain 5." in shown


def test_a_served_release_that_was_pruned_may_have_used_the_days_before_its_id(home):
    log = home.releases / "promotions.jsonl"
    lines = log.read_text().splitlines()
    early = json.loads(lines[0]) | {"after": "20240110-0123456789"}
    log.write_text(
        "\n".join(
            [json.dumps(early), json.dumps(json.loads(lines[0]) | {"before": early["after"]}), *lines[1:]]
        )
    )
    found = lineage_of(home, "2024-01-05")
    assert isinstance(found, DayLineage)
    assert found.unknown == ["20240110-0123456789"]
    later = lineage_of(home, "2024-01-11")
    assert isinstance(later, DayLineage)
    assert later.unknown == []


def test_what_is_not_here_is_one_line_with_what_is_near(home, ids):
    wrong = ids[0][:-1] + ("0" if ids[0][-1] != "0" else "1")
    assert f"did you mean {ids[0]}" in fails(home, wrong)
    assert f"did you mean {ids[0]}" in fails(home, f"{wrong}.18d6f3a2b10.5f3a9c1e1")
    assert "2031-01-01: nothing of this day is here" in fails(home, "2031-01-01")
    assert "neither a day (YYYY-MM-DD) nor the id" in fails(home, "nonsense")
    assert "neither a day" in fails(home, "2024-13-01")


def test_an_empty_home_is_one_line(tmp_path):
    assert "the lake is empty" in fails(Home(tmp_path), "2024-01-01")
    with pytest.raises(LineageError, match="this home never had"):
        lineage_of(Home(tmp_path), "20240131-0123456789")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wanted", ["day", "release"])
def test_json_is_one_object_with_all_of_it(home, ids, wanted):
    found = json.loads(show(home, str(LAST_DAY) if wanted == "day" else ids[1], "--json"))
    release = found["releases"][1] if wanted == "day" else found
    assert release["days"][str(FIRST_DAY)] == LINEAGE[FIRST_DAY]
    assert len(release["days"]) == 31
    assert release["served"][0]["who"] == "ben"


def test_exports_are_named_by_the_releases_whose_lists_they_hold(home, ids, tmp_path):
    target = tmp_path / "shop" / "lists.parquet"
    run = CliRunner().invoke(main, ["export", "--to", str(target), "--home", str(home.root)])
    assert run.exit_code == 0, run.output
    ReleaseStore(home.releases).promote(ids[0])
    delta = CliRunner().invoke(main, ["export", "--to", str(target), "--delta", "--home", str(home.root)])
    assert delta.exit_code == 0, delta.output
    found = lineage_of(home, ids[1])
    assert isinstance(found, ReleaseLineage)
    assert found.exports == [str(target)]
    assert f"Its lists are in {target}." in show(home, str(LAST_DAY))


def move(before, after, hour, kind="promote"):
    at = datetime(2024, 2, 1, hour, tzinfo=UTC)
    return RecordedMove(at=at, move=kind, before=before, after=after)


def test_times_end_where_the_next_release_begins_and_a_move_that_did_not_happen_has_none():
    moves = [move(None, "a", 1), move("a", "b", 2), move("b", "c", 3), move("b", "a", 4, "rollback")]
    found = served_times(moves, "a")
    hours = {
        name: [(one.start.hour, one.end and one.end.hour) for one in times] for name, times in found.items()
    }
    assert hours == {"a": [(1, 2), (4, None)], "b": [(2, 4)]}
    assert made_moves(moves, "a") == [*moves[:2], moves[3]]
    assert made_moves(moves, "b") == moves[:2]
    assert served_times([], None) == {}
    assert served_times([move(None, "a", 1), move("a", "a", 2)], "a")["a"][0].end is None
