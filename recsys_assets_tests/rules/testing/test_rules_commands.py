"""`recsys rules check | test | diff` from the command line, over a real release."""

import json
import shutil
import sqlite3
from contextlib import closing

import numpy as np
import pytest
from click.testing import CliRunner

from recsys_assets.cli import main
from recsys_assets.release.load import load_release
from recsys_assets.rules.rules_file import PACKAGED, packaged_engine
from recsys_assets.rules.testing.invariants import check_invariants


@pytest.fixture
def rules(home):
    return lambda *arguments: CliRunner().invoke(
        main, ["rules", arguments[0], "--home", str(home.root), *map(str, arguments[1:])]
    )


def cases(tmp_path, text):
    file = tmp_path / "cases.toml"
    file.write_text(text)
    return file


def test_check_says_that_the_packaged_rules_are_valid(rules):
    found = rules("check")
    assert found.exit_code == 0
    assert "valid, version" in found.output


def test_check_of_a_malformed_file_ends_with_2_and_its_line(rules, tmp_path):
    (tmp_path / "draft.toml").write_text('version = 1\nscenario = "home"\n')
    found = rules("check", tmp_path / "draft.toml")
    assert found.exit_code == 2
    assert "draft.toml:2: there is no `scenario` here; did you mean `scenarios`?" in found.output


def test_every_invariant_holds_of_the_packaged_rules(home, release):
    assert check_invariants(packaged_engine(release, home=home), users=40) == []


def test_home_demotes_what_was_bought_less_lately_than_the_quarter_says(home, release, tmp_path):
    folder = shutil.copytree(release.folder, tmp_path / release.folder.name)
    with closing(sqlite3.connect(folder / "features.sqlite")) as database, database:
        database.execute("UPDATE item_features SET events_28d = 0, events_90d = 90")
        database.execute("UPDATE item_features SET events_28d = 28 WHERE item_id = ?", [release.items[3]])
    engine = packaged_engine(load_release(folder, verify=False), home=home)
    added = engine.scenario("home").boosts.added(np.arange(len(release.items)), {})
    assert added[3] == pytest.approx(0.2)
    assert np.delete(added, 3) == pytest.approx(0.2 / 29)


def test_cases_that_hold_pass(rules, tmp_path, release):
    has = release.items[int(release.history_items[release.history_indptr[release.users.num("u3")]])]
    found = rules(
        "test", "--users", 5, "--cases",
        cases(tmp_path, f"""
[[case]]
name = "a user gets nothing that is already there"
user = "u3"
absent = {{{json.dumps(has)} = "seen"}}
least_categories = 2
least_items = 10
[[case]]
name = "a stranger gets what has a price"
user = "nobody"
all_where = "price > 0"
none_where = "price is null"
"""),
    )  # fmt: skip
    assert found.exit_code == 0, found.output
    assert "2 of 2 cases passed; 6 invariants over 5 scenarios, 0 broken" in found.output


def test_a_case_that_fails_says_what_was_found_and_ends_with_1(rules, tmp_path):
    found = rules(
        "test", "--users", 5, "--cases",
        cases(tmp_path, '[[case]]\nname = "no tea"\nuser = "u0"\nk = 20\nnone_where = "category == \'Tea\'"\n'),
    )  # fmt: skip
    assert found.exit_code == 1
    assert "FAILED no tea" in found.output
    assert "expected no item where category == 'Tea'; place " in found.output


def test_an_invalid_case_is_reported_with_its_line(rules, tmp_path):
    found = rules("test", "--cases", cases(tmp_path, '[[case]]\nname = "a"\n[[case]]\nnam = "b"\n'))
    assert found.exit_code == 2
    assert "cases.toml:3: case 2" in found.output


def test_no_difference_between_a_file_and_itself(rules):
    found = json.loads(rules("diff", PACKAGED, PACKAGED, "--json").output)
    assert found["overlap"] == found["unchanged"] == 1
    assert found["by_rule"] == []


def test_a_difference_names_the_rule_that_did_it(rules, tmp_path):
    draft = tmp_path / "draft.toml"
    draft.write_text(
        PACKAGED.read_text().replace(
            "# Strength and share",
            '[[scenarios.home.filters]]\nname = "no tea"\nkind = "where"\ndrop = "category == \'Tea\'"\n# Strength',
            1,
        )
    )
    found = json.loads(rules("diff", PACKAGED, draft, "--json").output)
    assert found["overlap"] < 1
    assert "no tea (after)" in dict(found["by_rule"])
    assert "no tea (after)" in rules("diff", PACKAGED, draft).output


def test_recommend_by_a_scenario_explains_itself(home):
    found = CliRunner().invoke(
        main, ["recommend", "u3", "--home", str(home.root), "--scenario", "home", "--explain"]
    )
    assert found.exit_code == 0, found.output
    assert "not what the user has" in found.output
    assert "for you" in found.output
