"""The rules in force, and the effect of an edit."""

import dataclasses
import os
import shutil

import pytest

from recsys_assets.errors import RulesError
from recsys_assets.rules.engine.plain import PlainScenario
from recsys_assets.rules.rules_file import (
    PACKAGED,
    FollowedRules,
    rules_fingerprint,
    rules_in_force,
    rules_part,
)
from recsys_assets.storage.atomic import SMALL_BYTES
from recsys_assets.storage.home import Home


def follow(release, home):
    """The rules of a home as a server follows them, bound here."""
    rules = FollowedRules(PlainScenario(release), home)
    rules.bind()
    return rules


WITH_LIST = """\
version = 1
[lists]
sold_out = "sold_out.txt"
[scenarios.home]
[[scenarios.home.candidates]]
source = "popular"
quota = 50
[[scenarios.home.filters]]
kind = "where"
drop = "item_id in lists.sold_out"
"""


def test_without_a_file_the_packaged_rules_are_in_force(home, release):
    assert follow(release, home).bound.engine.rules.path == PACKAGED


def test_nothing_changes_while_the_files_stay(home, release):
    follower = follow(release, home)
    engine = follower.bound.engine
    assert not follower.refresh()
    assert follower.bound.engine is engine


def test_an_edit_is_taken_up_and_changes_the_version(home, release):
    follower = follow(release, home)
    before = follower.bound.engine.version
    (home.root / "rules.toml").write_text(PACKAGED.read_text() + "\n# another word\n")
    assert follower.refresh()
    assert follower.bound.engine.version != before
    assert follower.bound.problem is None


def test_a_malformed_edit_leaves_the_last_good_rules(home, release):
    follower = follow(release, home)
    engine = follower.bound.engine
    (home.root / "rules.toml").write_text("version = 7\n")
    assert follower.refresh()
    assert follower.bound.engine is engine
    assert "rules.toml:1: version 7" in follower.bound.problem
    assert not follower.refresh()


def test_a_server_that_starts_on_a_malformed_file_has_the_packaged_rules_and_says_so(home, release):
    (home.root / "rules.toml").write_text("version = 7\n")
    bound = follow(release, home).bound
    assert bound.engine.rules.path == PACKAGED
    assert "version 7" in bound.problem


OWN = """\
version = 1
[scenarios.mine]
[[scenarios.mine.candidates]]
source = "popular"
quota = 50
"""


@pytest.mark.parametrize(
    "broken",
    [
        b"version = 7\n",
        b"version = " + b"9" * 5_000,
        b"version = " + b"[" * 5_000,
        OWN.encode()
        + b"[[scenarios.mine.filters]]\nkind = 'where'\nkeep = '"
        + b"not " * 480
        + b"price < 1'",
        b"\xff",
        b"#" * 600_000,
        None,
    ],
    ids=["version", "digits", "brackets", "nots", "bytes", "size", "FIFO"],
)
def test_a_server_that_starts_on_a_broken_file_has_the_home_s_last_good_rules(home, release, broken):
    home.rules_file.write_text(WITH_LIST)
    (home.root / "sold_out.txt").write_text("i1\n")
    good = follow(release, home).bound
    home.rules_file.unlink()
    (home.root / "sold_out.txt").unlink()
    if broken is None:
        os.mkfifo(home.rules_file)
    else:
        home.rules_file.write_bytes(broken)

    again = follow(release, home)

    assert (again.bound.engine.version, good.problem) == (good.engine.version, None)
    assert again.problem.startswith(f"{home.rules_file}:")
    assert not again.failed
    home.rules_file.unlink()
    home.rules_file.write_text(OWN)
    assert again.refresh()
    assert (again.problem, list(again.bound.engine.pipelines)) == (None, ["mine"])


def test_the_last_good_rules_are_those_of_the_last_edit_that_could_be_bound(home, release):
    home.rules_file.write_text(WITH_LIST)
    (home.root / "sold_out.txt").write_text("i1\n")
    follower = follow(release, home)
    for text in (OWN, "version = 8\n"):
        home.rules_file.write_text(text)
        follower.refresh()
    assert list(follow(release, home).bound.engine.pipelines) == ["mine"]


def test_without_rules_of_its_own_a_home_keeps_none(home, release):
    home.rules_file.write_text(OWN)
    follower = follow(release, home)
    assert (home.last_good_rules / "rules.toml").read_text() == OWN
    home.rules_file.unlink()
    assert follower.refresh()
    assert not home.last_good_rules.exists()


def test_rules_are_served_where_the_last_good_ones_cannot_be_kept(home, release):
    home.rules_file.write_text(OWN)
    home.lock("rules").mkdir()
    followed = follow(release, home)
    assert (followed.problem, list(followed.bound.engine.pipelines)) == (None, ["mine"])


@pytest.mark.parametrize("damage", ["missing", "garbage", "empty"])
def test_a_release_with_damaged_features_has_no_rules_until_they_are_mended(home, release, tmp_path, damage):
    folder = shutil.copytree(release.folder, tmp_path / "release")
    (folder / "features.sqlite").rename(tmp_path / "features.sqlite")
    if damage != "missing":
        (folder / "features.sqlite").write_bytes(b"no database " * 1_000 if damage == "garbage" else b"")
    follower = follow(dataclasses.replace(release, folder=folder), home)
    assert (follower.failed, bool(follower.problem)) == (True, True)
    (tmp_path / "features.sqlite").replace(folder / "features.sqlite")
    home.rules_file.write_text(OWN)
    assert follower.refresh()
    assert (follower.failed, follower.problem) == (False, None)


def test_a_changed_list_is_taken_up_and_changes_the_version(home, release):
    (home.root / "rules.toml").write_text(WITH_LIST)
    (home.root / "sold_out.txt").write_text("i1\n")
    follower = follow(release, home)
    before = follower.bound.engine.version
    (home.root / "sold_out.txt").write_text("i1\ni2\n")
    assert follower.refresh()
    assert follower.bound.engine.version != before


def test_a_missing_list_is_told_and_taken_up_once_it_is_there(home, release):
    (home.root / "rules.toml").write_text(WITH_LIST)
    follower = follow(release, home)
    assert "sold_out.txt: the list `sold_out` cannot be read" in follower.bound.problem
    (home.root / "sold_out.txt").write_text("i1\n")
    assert follower.refresh()
    assert follower.bound.problem is None


def _link_to(target):
    return lambda file: file.symlink_to(target)


def _long(file):
    with file.open("wb") as opened:
        opened.truncate(SMALL_BYTES + 1)


NO_LISTS = {
    "a link out of the home": _link_to("/etc/hostname"),
    "a link through a folder": _link_to("../outside.txt"),
    "a device": _link_to("/dev/zero"),
    "a link in a circle": lambda file: file.symlink_to(file),
    "a pipe": os.mkfifo,
    "a folder": os.mkdir,
    "too long": _long,
    "no text": lambda file: file.write_bytes(b"\xff\xfe\xff"),
}


@pytest.mark.parametrize("kind", NO_LISTS)
def test_a_list_is_a_text_file_of_the_home_and_nothing_else(home, release, kind):
    (home.root.parent / "outside.txt").write_text("i1\n")
    home.rules_file.write_text(WITH_LIST)
    (home.root / "sold_out.txt").write_text("i1\n")
    follower = follow(release, home)
    before = follower.bound.engine.version
    (home.root / "sold_out.txt").unlink()
    NO_LISTS[kind](home.root / "sold_out.txt")
    assert follower.refresh()
    assert "sold_out.txt: the list `sold_out` cannot be read" in follower.problem
    assert follower.bound.engine.version == before


def test_a_list_may_be_a_link_within_the_home(home, release):
    home.rules_file.write_text(WITH_LIST)
    (home.root / "of_today.txt").write_text("i1\n")
    (home.root / "sold_out.txt").symlink_to("of_today.txt")
    assert follow(release, home).problem is None


def test_a_promotion_after_the_edit_brings_the_release_s_own_rules_back(tmp_path):
    home = Home(tmp_path)
    folder = home.releases / "20240330-0123456789"
    folder.mkdir(parents=True)
    for at, file in enumerate([folder / "rules.toml", home.root / "rules.toml", home.releases / "current"]):
        file.write_text("")
        os.utime(file, (1_700_000_000 + at, 1_700_000_000 + at))
    assert rules_in_force(home, folder) == folder / "rules.toml"
    os.utime(home.root / "rules.toml", (1_700_000_009, 1_700_000_009))
    assert rules_in_force(home, folder) == home.root / "rules.toml"


def test_the_release_part_is_the_home_s_file_once_it_is_valid(shared, tmp_path):
    home = Home(tmp_path)
    shutil.copytree(shared.artifacts / "features", home.artifacts / "features")
    packaged = rules_fingerprint(home)
    assert (rules_part(home) / "rules.toml").read_bytes() == PACKAGED.read_bytes()
    (home.root / "rules.toml").write_text(PACKAGED.read_text() + "# mine\n")
    assert (rules_part(home) / "rules.toml").read_text().endswith("# mine\n")
    assert rules_fingerprint(home) == packaged  # a comment changes no list
    (home.root / "rules.toml").write_text(PACKAGED.read_text().replace("quota = 300", "quota = 200"))
    assert rules_fingerprint(home) != packaged


def test_malformed_rules_are_refused_for_a_release_and_the_part_stays(shared, tmp_path):
    home = Home(tmp_path)
    shutil.copytree(shared.artifacts / "features", home.artifacts / "features")
    part = rules_part(home)
    (home.root / "rules.toml").write_text("version = 7\n")
    with pytest.raises(RulesError, match=r"rules\.toml:1"):
        rules_part(home)
    assert (part / "rules.toml").read_bytes() == PACKAGED.read_bytes()
