"""Two rules files compared, rule by rule."""

import pytest

from recsys_assets.errors import BrokenReleaseError
from recsys_assets.release.rule_changes import rule_changes

RULES = """
version = 1
default = "home"

[scenarios.home]
description = "The first page."

[[scenarios.home.candidates]]
source = "user"
quota = 200

[[scenarios.home.candidates]]
source = "popular"
quota = 100

[[scenarios.home.filters]]
kind = "seen"

[[scenarios.home.reranking]]
name = "variety"
kind = "diversity"
strength = 0.6
"""


@pytest.fixture
def changes(tmp_path):
    """Compare RULES with another text; each change as (scenario, section, rule, change, edited fields)."""

    def compare(before, after):
        folders = [tmp_path / name for name in ("before", "after")]
        for folder, text in zip(folders, (before, after), strict=True):
            folder.mkdir()
            if text is not None:
                (folder / "rules.toml").write_text(text, encoding="utf-8")
        return [
            (
                one.scenario,
                one.section,
                one.rule,
                one.change,
                {each.name: (each.before, each.after) for each in one.fields},
            )
            for one in rule_changes(*folders)
        ]

    return compare


def test_comments_and_form_change_nothing(changes):
    assert changes(RULES, "# a comment\n" + RULES.replace("\n\n", "\n\n\n").replace("0.6", "0.60")) == []


def test_an_edited_rule_names_its_fields(changes):
    after = RULES.replace("0.6", "0.8")
    assert changes(RULES, after) == [("home", "reranking", "variety", "edited", {"strength": (0.6, 0.8)})]


def test_rules_are_added_and_removed_by_name(changes):
    fuel = '\n[[scenarios.home.filters]]\nname = "no fuel"\nkind = "where"\ndrop = "price > 9"\n'
    with_fuel = RULES + fuel
    assert changes(RULES, with_fuel) == [("home", "filters", "no fuel", "added", {})]


def test_the_other_way_round_it_is_removed(changes):
    without = RULES.replace('[[scenarios.home.filters]]\nkind = "seen"\n', "")
    assert changes(RULES, without) == [("home", "filters", "seen", "removed", {})]


def test_another_order_moves_the_rules(changes):
    user, popular = 'source = "user"\nquota = 200', 'source = "popular"\nquota = 100'
    turned = RULES.replace(user, "HERE").replace(popular, user).replace("HERE", popular)
    found = changes(RULES, turned)
    assert [(rule, change) for _, _, rule, change, _ in found] == [("user", "moved"), ("popular", "moved")]


def test_scenarios_and_the_file_as_a_whole_change_too(changes):
    after = RULES.replace('default = "home"', 'default = "shop"').replace("scenarios.home", "scenarios.shop")
    assert changes(RULES, after) == [
        ("", "", "", "edited", {"default": ("home", "shop")}),
        ("home", "", "", "removed", {}),
        ("shop", "", "", "added", {}),
    ]


def test_a_release_may_have_no_rules(changes):
    assert [(one[0], one[3]) for one in changes(None, RULES)] == [("", "edited"), ("home", "added")]


def test_a_damaged_file_is_named(changes):
    with pytest.raises(BrokenReleaseError, match=r"before/rules\.toml"):
        changes("[", RULES)
