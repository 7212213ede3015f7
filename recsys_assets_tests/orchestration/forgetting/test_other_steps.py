"""Users taken out of everything beside the data, and a scan that finds them before and nothing afterwards."""

import json
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recsys_assets.errors import ForgetError
from recsys_assets.orchestration.forgetting.other_steps import OTHER_STEPS
from recsys_assets.orchestration.forgetting.proof import scan_home
from recsys_assets.orchestration.forgetting.taken_out_databases import take_out_of_database
from recsys_assets.orchestration.forgetting.wanted_ids import WantedIds
from recsys_assets.quality.ledger import Ledger
from recsys_assets.quality.quarantine import content_fingerprint, rejected_days
from recsys_assets.rules.testing.golden import read_golden
from recsys_assets.storage.home import Home
from recsys_assets_tests.orchestration.forgetting.planted import DAY, plant

PLANTED = {
    "quarantine/date=2017-01-01/raw_interactions.json", "quarantine/date=2017-01-01/raw_interactions.parquet",
    "quality.sqlite", "events.sqlite", "dagster/history/runs/index.db", "logs/api.log", "logs/api.log.1.gz",
    "reports/date=2017-01-01/increment_report.html", "reports/replays/1.json", "plan.json", "recalls.jsonl",
    "golden.toml", "lists.parquet", "lists.csv", "scratch/run.arrow",
}  # fmt: skip
IDS = st.one_of(
    st.integers(min_value=1, max_value=10**12).map(str),
    st.text("abcdefghijklmnopqrstuvwxyzäß0123456789-_.@ /&'\"%+", min_size=1, max_size=24)
    .map(str.strip)
    .filter(lambda text: any(c.isalnum() for c in text) and text[0].isalnum() and text[-1].isalnum()),
)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    found = Home(tmp_path / "home")
    found.root.mkdir()
    plant(found, ["2056", "12", "anna1@shop.org"])
    return found


def forget(home: Home, *users: str) -> int:
    return sum(step(home, frozenset(users), number=1).changed for _, step in OTHER_STEPS)


def test_files_that_a_store_s_replaced_before_the_home_left_it_are_removed(home):
    kept = home.aside / "3" / "artifacts" / "features" / "features.sqlite"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"of user 2056")
    forget(home, "2056")
    assert not home.aside.exists()


@pytest.mark.parametrize("user", ["2056", "12", "anna1@shop.org"])
def test_the_scan_finds_a_user_in_every_kind_of_file(home, user):
    assert {one.file for one in scan_home(home, [user]).found} == PLANTED


@pytest.mark.parametrize("user", ["2056", "12", "anna1@shop.org"])
def test_after_the_steps_the_scan_finds_nothing_and_others_are_there(home, user):
    others = [one for one in ["2056", "12", "anna1@shop.org"] if one != user]
    before = {one: scan_home(home, [one]).found for one in others}
    forget(home, user)
    assert scan_home(home, [user]).found == ()
    for one in others:
        kept = {(found.file, found.where) for found in scan_home(home, [one]).found}
        gone = {(found.file, found.where) for found in before[one]} - kept
        assert {file for file, _ in gone} <= {"scratch/run.arrow", "lists.parquet"}  # rows made again; bounds


def test_a_second_time_changes_nothing(home):
    forget(home, "2056")
    before = {path: path.read_bytes() for path in home.root.rglob("*") if path.is_file()}
    assert forget(home, "2056") == 0
    assert {path: path.read_bytes() for path in home.root.rglob("*") if path.is_file()} == before


def test_numbers_that_look_like_the_user_stay(home):
    forget(home, "12")
    assert "<p>12 rows</p>" in (home.reports / "date=2017-01-01" / "increment_report.html").read_text()
    assert json.loads((home.reports / "replays" / "1.json").read_text())["n"] == 12
    assert pl.read_parquet(home.root / "lists.parquet")["value"].to_list() == [12.0, 12.0]


def test_a_rejected_day_keeps_its_other_rows_under_their_fingerprint(home):
    forget(home, "2056")
    (rejected,) = rejected_days(home.quarantine)
    frame = pl.read_parquet(home.quarantine / "date=2017-01-01" / "raw_interactions.parquet")
    assert frame["user_id"].to_list() == ["12", "anna1@shop.org"]
    assert (rejected.rows, rejected.fingerprint) == (2, content_fingerprint(frame))
    with Ledger(home.quality_db, reading=True) as ledger:
        (result,) = ledger.results(day=DAY)
    assert [row["user_id"] for row in result.sample] == ["12", "anna1@shop.org"]
    assert (result.failing_rows, result.detail) == (3, "user_id='(forgotten)' has 12 rows")


def test_events_keep_their_numbers(home):
    forget(home, "2056")
    with closing(sqlite3.connect(home.events_db)) as events:
        assert events.execute("SELECT seq, user_id FROM events").fetchall() == [
            (8, "12"),
            (9, "anna1@shop.org"),
        ]


def test_a_golden_user_is_removed_with_a_note_and_people_s_words_stay(home):
    forget(home, "2056")
    assert [one.user for one in read_golden(home.golden_file)] == ["12", "anna1@shop.org"]
    text = home.golden_file.read_text()
    assert text.startswith("# a golden user was forgotten here (forget #1)\n")
    assert "# people's" in text
    assert "# as in 12" in text


def test_a_printed_report_goes_with_what_it_shows(home):
    forget(home, "2056")
    assert not list(home.reports.rglob("*.pdf"))


def test_a_log_that_is_appended_to_keeps_its_place(home):
    with (home.logs / "api.log").open("ab") as log:
        forget(home, "2056")
        log.write(b"\nGET /healthz 200")
    text = (home.logs / "api.log").read_text()
    assert text.splitlines()[0] == "GET /v1/users/****/recommendations?k=12 200"
    assert text.endswith("GET /healthz 200")


def test_a_user_in_the_settings_is_left_to_people(home):
    home.settings_file.write_text("[source]\nwhere = \"user_id != '2056'\"\n")
    result = dict(OTHER_STEPS)["other files"](home, frozenset({"2056"}), number=1)
    assert "recsys.toml names the user in line 2" in result.unfinished
    assert "2056" not in result.unfinished


def test_a_row_of_csv_with_several_lines_goes_whole(tmp_path):
    home = Home(tmp_path)
    (tmp_path / "lists.csv").write_text('user_id,title\nu-17,"two\nlines"\nu-18,"three\n\u2028lines"\n')
    forget(home, "u-17")
    assert (tmp_path / "lists.csv").read_text() == 'user_id,title\nu-18,"three\n\u2028lines"\n'


def test_bytes_of_deleted_rows_are_found(tmp_path):
    home = Home(tmp_path)
    with closing(sqlite3.connect(home.events_db)) as events, events:
        events.execute("PRAGMA secure_delete = OFF")
        events.execute("CREATE TABLE events (user_id TEXT)")
        events.executemany("INSERT INTO events VALUES (?)", [("carla-77",), ("berta-1",)])
        events.commit()
        events.execute("DELETE FROM events WHERE user_id = 'carla-77'")
    assert [one.where for one in scan_home(home, ["carla-77"]).found] == ["freed bytes"]
    forget(home, "carla-77")
    assert scan_home(home, ["carla-77"]).found == ()


def test_a_database_that_another_process_holds_is_named(tmp_path):
    path = tmp_path / "held.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("CREATE TABLE events (user_id TEXT)")
        other.execute("INSERT INTO events VALUES ('carla-77')")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ForgetError, match=r"held\.sqlite: another process holds it"):
            take_out_of_database(path, WantedIds(["carla-77"]), busy_seconds=0.1)


def test_no_finding_names_the_user(home):
    (home.root / "anna1@shop.org.json").write_text("{}")
    found = scan_home(home, ["anna1@shop.org"])
    assert "name" in {one.where for one in found.found}
    assert "anna1" not in repr(found)


@settings(max_examples=8, deadline=None)
@example(users=['a"b,c', "7"])
@given(users=st.lists(IDS, min_size=2, max_size=4, unique=True))
def test_whatever_the_ids_the_first_is_forgotten_and_the_others_keep_their_rows(users):
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        plant(home, users)
        assert {one.file for one in scan_home(home, users[:1]).found} == PLANTED
        forget(home, users[0])
        assert scan_home(home, users[:1]).found == ()
        with closing(sqlite3.connect(home.events_db)) as events:
            assert [row[0] for row in events.execute("SELECT user_id FROM events ORDER BY seq")] == users[1:]
        assert pl.read_parquet(home.root / "lists.parquet")["user_id"].to_list() == users[1:]
        assert [one.user for one in read_golden(home.golden_file)] == users[1:]
        assert json.loads(home.plan.read_bytes())["lists"] == [
            {"user": one, "items": ["i1"]} for one in users[1:]
        ]
