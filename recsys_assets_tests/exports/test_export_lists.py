"""Exports to files: the API's own lists, whole or as a delta, and never half of one."""

import gzip
import json
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner
from litestar.testing import TestClient

from recsys_assets.api.app import create_app
from recsys_assets.cli import main
from recsys_assets.errors import ExportError, ReleaseError, RulesError
from recsys_assets.exports.export_lists import ExportOutcome, ExportRequest, export_lists
from recsys_assets.intake.event_store import store_rows
from recsys_assets.intake.rows import EventRow
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.storage.home import Home
from recsys_assets_tests.exports.half_done import half_done_export

AT = 1_712_016_000_000_000
"""2024-04-02, us since 1970."""


def export(home: Home, to: Path | str, **given) -> ExportOutcome:
    return export_lists(home, ExportRequest(to=str(to), **given))


def lists_in(frame: pl.DataFrame) -> dict[str, list[tuple[str, float]]]:
    """User -> (item, score) by rank."""
    rows = frame.filter(pl.col("rank") > 0).sort("user_id", "rank")
    found: dict[str, list[tuple[str, float]]] = {}
    for user_id, item_id, score in rows.select("user_id", "item_id", "score").iter_rows():
        found.setdefault(user_id, []).append((item_id, float(f"{score:.6g}")))
    return found


def api_lists(home: Home, users: list[str], **query) -> dict[str, list[tuple[str, float]]]:
    with TestClient(create_app(home)) as client:
        answers = {
            user: client.get(f"/v1/users/{user}/recommendations", params=query).json()["items"]
            for user in users
        }
    return {user: [(item["item_id"], item["score"]) for item in items] for user, items in answers.items()}


@pytest.mark.parametrize("scenario", [None, "home", "plain"])
@pytest.mark.parametrize("k", [7, 30])
def test_an_export_has_the_lists_that_the_api_answers(home, tmp_path, scenario, k):
    rows = [EventRow(user, user, item, "view", AT, AT) for user, item in (("u3", "i5"), ("new", "i7"))]
    store_rows(home.events_db, rows)
    ids = [f"u{n}" for n in range(40)] + ["new", "stranger"]
    file = tmp_path / "users.txt"
    file.write_text("\n".join(ids))
    export(home, tmp_path / "lists.parquet", scenario=scenario, k=k, users=str(file))
    found = pl.read_parquet(tmp_path / "lists.parquet")
    query = {"k": k} | ({"scenario": scenario} if scenario else {})
    assert lists_in(found) == api_lists(home, ids, **query)
    reasons = dict(found.group_by("user_id").agg(pl.col("reason").first()).iter_rows())
    assert reasons["stranger"] == "the user is not in the release"
    assert reasons["u1"] is None


def test_rows_name_their_release_rules_and_scenario(home, tmp_path):
    outcome = export(home, tmp_path / "lists.parquet", scenario="home", k=5)
    found = pl.read_parquet(tmp_path / "lists.parquet")
    manifest = json.loads((tmp_path / "lists.parquet.manifest.json").read_text())
    assert found.columns == [
        "user_id", "rank", "item_id", "title", "score", "reason", "release", "rules", "scenario", "exported_at",
    ]  # fmt: skip
    assert found["release"].unique().to_list() == [manifest["release"]]
    assert found["rules"].unique().to_list() == [manifest["rules"]] == [outcome.manifest.rules]
    assert found["scenario"].unique().to_list() == ["home"]
    assert found["exported_at"].unique().to_list() == [outcome.manifest.started]
    assert (manifest["users"], manifest["rows"], manifest["seen"]) == (40, found.height, 0)
    assert (
        found.group_by("user_id")
        .agg(pl.col("rank").sort())
        .select(pl.col("rank") == list(range(1, 6)))["rank"]
        .all()
    )


@pytest.mark.parametrize("name", ["l.parquet", "l.csv", "l.csv.gz", "l.jsonl", "l.jsonl.gz"])
def test_every_format_has_the_same_rows(home, tmp_path, name):
    export(home, tmp_path / "expected.parquet")
    export(home, tmp_path / name)
    content = (tmp_path / name).read_bytes()
    plain = gzip.decompress(content) if name.endswith(".gz") else content
    if "csv" in name:
        found = pl.read_csv(plain, schema_overrides={"score": pl.Float32, "reason": pl.String})
    elif "jsonl" in name:
        found = pl.read_ndjson(plain).with_columns(pl.col("score").cast(pl.Float32))
    else:
        found = pl.read_parquet(plain)
    expected = pl.read_parquet(tmp_path / "expected.parquet")
    assert lists_in(found) == lists_in(expected)
    assert found["title"].to_list() == expected["title"].to_list()


def test_users_come_from_a_list_a_csv_or_the_last_days(home, tmp_path):
    (tmp_path / "some.csv").write_text("name;user_id\nAda;u1\nBob;u2\nAda;u1\n")
    (tmp_path / "some.txt.gz").write_bytes(gzip.compress(b"u1\n\n u2 \nnobody\n"))
    assert export(home, tmp_path / "a.csv", users=str(tmp_path / "some.csv")).manifest.users == 2
    found = export(home, tmp_path / "a.csv", users=str(tmp_path / "some.txt.gz")).manifest
    assert (found.users, found.unknown) == (3, 1)
    counts = [export(home, tmp_path / "a.csv", users=f"active:{days}d").manifest.users for days in (1, 5, 30)]
    assert 0 < counts[0] < counts[1] <= counts[2] == 40


def test_a_delta_holds_the_lists_that_changed_and_the_users_that_are_gone(growing, tmp_path):
    store = ReleaseStore(growing.releases)
    other = next(one.release_id for one in store.list() if one.release_id != store.current_id())
    to = tmp_path / "lists.parquet"
    some = tmp_path / "some.txt"
    some.write_text("\n".join([f"u{n}" for n in range(40)] + ["old"]))
    export(growing, to, users=str(some), delta=True)
    before = pl.read_parquet(to)
    assert not export(growing, to, users=str(some), delta=True).written
    store.promote(other)
    outcome = export(growing, to, delta=True)
    export(growing, tmp_path / "whole.parquet")
    delta = pl.read_parquet(tmp_path / "lists.delta-000001.parquet")
    changes = lists_in(delta)
    gone = delta.filter("deleted")["user_id"].to_list()
    assert gone == ["old"]
    assert outcome.manifest.gone == 1
    assert {"u40", "u43"} <= changes.keys()
    assert pl.read_parquet(to).equals(before)
    applied = {user: found for user, found in (lists_in(before) | changes).items() if user not in gone}
    items = {user: [item for item, _ in found] for user, found in applied.items()}
    whole = lists_in(pl.read_parquet(tmp_path / "whole.parquet"))
    assert items == {user: [item for item, _ in found] for user, found in whole.items()}
    files = sorted(path.name for path in tmp_path.glob("lists*"))
    assert not export(growing, to, delta=True).written
    assert sorted(path.name for path in tmp_path.glob("lists*")) == files


def test_a_delta_of_a_target_that_is_another_now_is_whole(home, tmp_path):
    to = tmp_path / "lists.csv"
    export(home, to)
    to.unlink()
    outcome = export(home, to, delta=True)
    assert outcome.written
    assert not outcome.manifest.delta
    assert outcome.manifest.rows == 400


def test_a_killed_export_leaves_the_one_before_whole(home, tmp_path):
    to = tmp_path / "lists.csv"
    export(home, to, k=3)
    before = to.read_bytes()
    with half_done_export(home, to), pytest.raises(ExportError, match="another export to it is running"):
        export(home, to)
    assert to.read_bytes() == before
    assert export(home, to).manifest.rows == 400
    assert not [path.name for path in tmp_path.iterdir() if "staged" in path.name]


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"to": "lists.xlsx"}, ExportError, "no format has this ending"),
        ({"to": "kafka://x"}, ExportError, "kafka"),
        ({"to": "/proc/none/lists.csv"}, ExportError, "/proc/none"),
        ({"to": "l.csv", "users": "nowhere.txt"}, ExportError, "nowhere.txt: cannot be read"),
        ({"to": "l.csv", "users": "active:soon"}, ExportError, "active:30d"),
        ({"to": "l.csv", "scenario": "hom"}, RulesError, "home"),
    ],
)
def test_what_cannot_be_exported_is_one_line(home, monkeypatch, given, error, said):
    monkeypatch.chdir(home.root)
    with pytest.raises(error, match=said) as raised:
        export_lists(home, ExportRequest(**given))
    assert "\n" not in str(raised.value)


def test_a_home_without_a_release_says_what_to_run(tmp_path):
    with pytest.raises(ReleaseError, match="recsys build"):
        export(Home(tmp_path / "empty"), tmp_path / "lists.csv")


def test_many_users_of_a_scenario_are_shared_by_processes_with_the_same_lists(home, tmp_path, monkeypatch):
    export(home, tmp_path / "one.parquet", scenario="home")
    monkeypatch.setattr("recsys_assets.exports.make_lists._USERS_WORTH_PROCESSES", 10)
    monkeypatch.setattr("recsys_assets.exports.make_lists._USERS_OF_A_PROCESS", 7)
    export(home, tmp_path / "more.parquet", scenario="home")
    one, more = (pl.read_parquet(tmp_path / name) for name in ("one.parquet", "more.parquet"))
    assert one.drop("exported_at").equals(more.drop("exported_at"))


def test_the_command_says_what_it_wrote_and_prints_the_manifest(home, tmp_path):
    def run(*given: str) -> str:
        to = ["--to", str(tmp_path / "lists.jsonl")]
        done = CliRunner().invoke(main, ["export", "--home", str(home.root), *to, *given])
        assert done.exit_code == 0, done.output
        return done.output

    said = run("--scenario", "home", "-k", "5")
    assert "lists.jsonl: 40 users, 200 rows, scenario home, release" in said
    assert "unchanged, 40 lists" in run("--scenario", "home", "-k", "5", "--delta")
    assert json.loads(run("--json"))["rows"] == 400
