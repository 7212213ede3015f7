"""Golden users: read with good errors, and judged on two releases."""

import pytest

from recsys_assets.errors import RulesError
from recsys_assets.release.load import load_release
from recsys_assets.rules.rules_file import packaged_engine
from recsys_assets.rules.testing.golden import GoldenUser, read_golden, run_golden
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.world import publish_release


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    """Two releases of other tastes, as engines of the packaged rules."""
    home = Home(tmp_path_factory.mktemp("golden"))
    return [
        packaged_engine(load_release(home.releases / publish_release(home, seed=seed)), home=home)
        for seed in (0, 1)
    ]


@pytest.fixture
def golden(tmp_path):
    """Write a `golden.toml` into a home, and return the home."""

    def write(text: str) -> Home:
        home = Home(tmp_path)
        home.golden_file.write_text(text)
        return home

    return write


def test_without_a_file_there_are_no_golden_users(tmp_path, engines):
    assert run_golden(Home(tmp_path), engines[0], engines[1]) == []


def test_an_entry_is_read_with_its_defaults(golden):
    home = golden('[[golden]]\nuser = "u1"\nmust = ["i3"]\n')
    assert read_golden(home.golden_file) == [
        GoldenUser(user="u1", k=10, scenario=None, least_overlap=0.5, must=["i3"], never=[])
    ]


def test_a_file_of_comments_names_nobody(golden):
    assert read_golden(golden("# nobody yet\n").golden_file) == []


def test_ids_that_the_release_does_not_know_are_said(golden, engines):
    (found,) = run_golden(golden('[[golden]]\nuser = "nobody"\nnever = ["typo"]\n'), engines[0])
    assert found.failures == []
    assert found.unknown == [
        "the user is not in the release, so the list is a stranger's",
        "item typo of `never` is not in the release",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[golden]]\nuser = "u1"\n\n[[golden]]\nuser = 7\n', "golden.toml:4: golden user 2: "),
        ('[[golden]]\nuser = "u1"\nleast_overlap = 2\n', "golden.toml:1: golden user 1: .*<= 1"),
        ('[[gold]]\nuser = "u1"\n', r"golden.toml:1: no golden users; write \[\[golden\]\]"),
        ('[[golden]]\nuser = "u1"\nmust = ["a"]\nnever = ["a"]\n', "item a is in `must` and in `never`"),
        ("[[golden]\n", "golden.toml: no readable golden users"),
    ],
)
def test_a_mistake_is_named_with_file_line_and_entry(golden, text, said):
    with pytest.raises(RulesError, match=said):
        read_golden(golden(text).golden_file)


def test_the_same_release_keeps_every_list(golden, engines):
    (found,) = run_golden(golden('[[golden]]\nuser = "u1"\nscenario = "plain"\n'), engines[0], engines[0])
    assert (found.overlap, found.failures, len(found.after)) == (1.0, [], 10)
    assert found.before == found.after


def test_a_list_that_changes_too_much_fails_with_both_shares(golden, engines):
    (found,) = run_golden(golden('[[golden]]\nuser = "u1"\nleast_overlap = 1.0\n'), engines[1], engines[0])
    assert 0 <= found.overlap < 1
    assert "of the list is as before, expected at least 100%" in found.failures[0]
    assert found.before != found.after


def test_without_a_current_release_no_overlap_is_judged(golden, engines):
    (found,) = run_golden(golden('[[golden]]\nuser = "u1"\nleast_overlap = 1.0\n'), engines[1])
    assert (found.overlap, found.before, found.failures) == (None, None, [])


def test_items_that_must_or_must_never_be_there_are_judged_by_name(golden, engines):
    (found,) = run_golden(golden('[[golden]]\nuser = "u1"\nscenario = "plain"\n'), engines[0])
    listed = found.after[2]
    text = f'[[golden]]\nuser = "u1"\nscenario = "plain"\nmust = ["no such"]\nnever = ["{listed.item_id}"]\n'
    (found,) = run_golden(golden(text), engines[0])
    assert found.failures == [
        "expected no such (not in the release) in the list; it is not",
        f"expected {listed.item_id} ({listed.title}) absent; it is at place 3",
    ]


def test_a_scenario_that_the_rules_lack_is_named(golden, engines):
    with pytest.raises(RulesError, match="no scenario 'hom'"):
        run_golden(golden('[[golden]]\nuser = "u1"\nscenario = "hom"\n'), engines[0])
