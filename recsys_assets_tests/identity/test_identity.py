"""The comparison itself: what it reports, and what it takes for equal."""

import shutil
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys_assets_tests.identity import normalise, requests, writes
from recsys_assets_tests.identity.compare import differences
from recsys_assets_tests.identity.homes import read
from recsys_assets_tests.identity.running import Product
from recsys_assets_tests.identity.trees import laid_out, resolve

DAY = "lake/interactions/date=2017-01-03/part-0.parquet"


@pytest.fixture
def home(tmp_path):
    """A home with one file of each kind."""
    folder = tmp_path / "home"
    for name in (DAY, "artifacts/evaluation.json", "releases/20170301-0123456789/x.npy"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame({"user_id": ["a", "b"], "weight": [1.0, 2.0]}).write_parquet(folder / DAY)
    (folder / "artifacts/evaluation.json").write_text('{"ndcg": 0.5, "seconds": 1.5}')
    np.save(folder / "releases/20170301-0123456789/x.npy", np.arange(3, dtype=np.float32))
    (folder / "recsys.toml").write_text("[training]\nepochs = 3\n")
    with sqlite3.connect(folder / "features.sqlite") as database:
        database.execute("CREATE TABLE items (id TEXT, price REAL)")
        database.execute("INSERT INTO items VALUES ('a', 1.5)")
    return folder


def contents_of(home: Path):
    return read(Product(Path(), Path(), {str(home): "<home>"}), home)


def changes(home: Path, change):
    """The lines reported after `change` was done to a copy of the home."""
    other = home.with_name("other")
    shutil.copytree(home, other)
    change(other)
    return list(differences(contents_of(home), contents_of(other), "builds"))


def test_the_same_home_twice_is_equal(home):
    assert changes(home, lambda _: None) == []


def test_a_changed_row_is_reported_with_its_day_and_column(home):
    changed = pl.DataFrame({"user_id": ["a", "b"], "weight": [1.0, 3.0]})
    (line,) = changes(home, lambda other: changed.write_parquet(other / DAY))
    assert line.startswith(f"builds/{DAY}/column/weight: ")


def test_a_missing_file_is_reported(home):
    assert changes(home, lambda other: (other / DAY).unlink()) == [f"builds/{DAY}: only before"]


def test_a_further_file_is_reported(home):
    assert changes(home, lambda other: (other / "new.json").write_text("{}")) == [
        "builds/new.json: only after"
    ]


def test_metadata_of_a_parquet_file_is_no_content(home):
    frame = pl.read_parquet(home / DAY, hive_partitioning=False)
    assert not changes(home, lambda other: frame.write_parquet(other / DAY, metadata={"recsys.inputs": "x"}))


def test_an_array_of_another_type_is_reported(home):
    name = "releases/20170301-0123456789/x.npy"
    (line,) = changes(home, lambda other: np.save(other / name, np.arange(3, dtype=np.float64)))
    assert line.startswith("builds/releases/20170301-<id>/x.npy: ")


def test_a_changed_database_row_is_reported(home):
    def change(other):
        with sqlite3.connect(other / "features.sqlite") as database:
            database.execute("UPDATE items SET price = 2")

    (line,) = changes(home, change)
    assert line.startswith("builds/features.sqlite/tables/items/content: ")


def test_a_duration_in_json_is_no_difference_and_a_figure_is(home):
    def rewrite(text):
        return lambda other: (other / "artifacts/evaluation.json").write_text(text)

    assert not changes(home, rewrite('{"ndcg": 0.5, "seconds": 9.5}'))
    shutil.rmtree(home.with_name("other"))
    (line,) = changes(home, rewrite('{"ndcg": 0.6, "seconds": 1.5}'))
    assert line == "builds/artifacts/evaluation.json/ndcg: 0.5 -> 0.6"


def test_a_changed_body_is_reported_with_its_place():
    before = {"GET /v1/popular": {"status": 200, "body": {"items": [{"item_id": "1"}, {"item_id": "2"}]}}}
    after = {"GET /v1/popular": {"status": 200, "body": {"items": [{"item_id": "1"}, {"item_id": "3"}]}}}
    assert list(differences(before, after, "api")) == ["api/GET /v1/popular/body/items[1]/item_id: 2 -> 3"]


def test_a_number_of_another_type_is_reported():
    assert list(differences({"k": 1}, {"k": 1.0})) == ["k: 1 -> 1.0"]


def test_other_words_can_be_left_out_and_other_numbers_can_not():
    before = {"a": "2 days refused", "b": "2 days refused", "c": "exact"}
    after = {"a": "rejected: 2 days", "b": "3 days refused", "c": "graph"}
    assert len(list(differences(before, after))) == 3
    assert [line[0] for line in differences(before, after, wording=False)] == ["b", "c"]


def test_lists_of_other_lengths_are_reported_once_with_the_first_other_entry():
    assert list(differences(["a", "b"], ["a", "x", "b"], "out")) == [
        "out: 2 entries before, 3 after; the first other one is [1]: b -> x"
    ]
    assert list(differences(["a"], ["a", "b"], "out")) == [
        "out: 1 entries before, 2 after; one has further b"
    ]


def test_a_difference_far_into_a_long_text_is_shown():
    (line,) = differences("x" * 500 + "old", "x" * 500 + "new", "body")
    assert "old" in line
    assert "new" in line


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("release 20170301-725bc33713", "release 20170301-<id>"),
        ("raw_interactions: built in 6.1 s", "raw_interactions: built in <n> s"),
        ("raw_interactions  built  60 days      6.1", "raw_interactions  built  60 days <n>"),
        ("filters  seen  seen  200  150  0.031", "filters  seen  seen  200  150 <n>"),
        ("1  Eggs, 1 dozen  EGGS  0.427  981760", "1  Eggs, 1 dozen  EGGS  0.427  981760"),
        ("on 2017-03-01 in /tmp/a/home", "on 2017-03-01 in <home>"),
        ("interactions: 4 of 7 …\ndone", "done"),
    ],
)
def test_output_loses_clocks_and_places_and_keeps_figures(raw, shown):
    assert normalise.text(raw, {"/tmp/a/home": "<home>"}) == shown


def test_output_loses_the_time_of_now():
    now = datetime.now(UTC)
    assert (
        normalise.text(f"published {now.isoformat()}, {now:%Y-%m-%d %H:%M}", {}) == "published <time>, <time>"
    )


@pytest.mark.parametrize(
    "asked", [requests.reads, writes.events, writes.promotions, writes.guarded, writes.limited]
)
def test_no_two_requests_to_a_server_have_the_same_name(asked):
    names = [ask.name for ask in asked()]
    assert len(names) == len(set(names))


def test_the_working_tree_is_laid_out_and_removed(tmp_path):
    repository = Path(__file__).parents[2]
    with laid_out(repository, resolve(repository, "worktree"), tmp_path / "tree") as tree:
        assert (tree / "recsys_assets_tests/identity/compare.py").read_text()
    assert not (tmp_path / "tree").exists()


def test_raises_when_git_knows_no_such_commit():
    with pytest.raises(SystemExit, match="no-such-commit"):
        resolve(Path(__file__).parents[2], "no-such-commit")
