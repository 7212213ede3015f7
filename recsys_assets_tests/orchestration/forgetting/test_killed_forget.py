"""A forget that is killed at any step is finished by the same command, or by the next build, like any other."""

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from recsys_assets.orchestration.build import build
from recsys_assets.orchestration.forgetting.forget_users import finish_forgets, forget_users
from recsys_assets.orchestration.forgetting.proof import scan_home
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.settings import load_settings
from recsys_assets.storage.forgotten import read_forgets, read_unfinished_forgets
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import build_lock
from recsys_assets_tests.orchestration.homes import SilentWatcher
from recsys_assets_tests.orchestration.recalls import build_shop, copy_of

USER = "u3"
KILLED = """
import os, signal, sys
from importlib import import_module
from pathlib import Path
from recsys_assets.orchestration.forgetting.forget_users import forget_users
from recsys_assets.storage.home import Home

home, user, module, name, when, count = Home(Path(sys.argv[1])), *sys.argv[2:6], int(sys.argv[6])
place = import_module(module)
function = getattr(place, name)
def killed(*arguments, **options):
    global count
    count -= 1
    if count:
        return function(*arguments, **options)
    if when == "after":
        function(*arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(place, name, killed)
forget_users(home, [user], why="", who="ann", say=print)
"""
FORGETTING = "recsys_assets.orchestration.forgetting"
PLACES = [
    (f"{FORGETTING}.forget_users", "note_steps", 1),
    (f"{FORGETTING}.forget_users", "note_steps", 3),
    (f"{FORGETTING}.forget_users", "scan_home", 1),
    (f"{FORGETTING}.forget_users", "end_forget", 1),
    (f"{FORGETTING}.changed_files", "replace_file", 1),
    (f"{FORGETTING}.lake_step", "_forget_returns", 1),
    (f"{FORGETTING}.lake_step", "_clean_again", 1),
    (f"{FORGETTING}.lake_step", "write_home_account", 1),
    (f"{FORGETTING}.artifacts_step", "_rewrite", 1),
    (f"{FORGETTING}.artifacts_step", "_rewrite", 3),
    (f"{FORGETTING}.artifacts_step", "making", 2),
    (f"{FORGETTING}.releases_step", "_follow", 1),
    ("recsys_assets.release.rewrite_release", "put_folder_in_place", 1),
    ("recsys_assets.release.rewrite_release", "note_rewritten", 2),
    ("recsys_assets.release.rewrite_release", "_rename_records", 2),
    ("recsys_assets.release.rewrite_release", "remove_folder", 1),
    ("recsys_assets.storage.atomic", "put_in_place", 9),
    ("recsys_assets.storage.atomic", "put_in_place", 17),
]
"""Module, function, and the call of it at which the process is killed, before it or after."""
MORE = "RECSYS_KILLS" in os.environ
"""Kill at every place before the call and after it; in turn otherwise, 20 seconds each."""
KILLS = [
    (place, when)
    for number, place in enumerate(PLACES)
    for turn, when in enumerate(("before", "after"))
    if MORE or number % 2 == turn
]


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Home:
    return build_shop(tmp_path_factory.mktemp("forget") / "shop")


@pytest.fixture(scope="module")
def undisturbed(built, tmp_path_factory) -> Home:
    """A home in which the user was forgotten without a kill."""
    home = copy_of(built, tmp_path_factory.mktemp("undisturbed") / "home")
    forget_users(home, [USER], why="", who="ann", say=print)
    return home


def killed(home: Home, module: str, name: str, when: str, count: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(home.root), USER, module, name, when, str(count)],
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr


def days(home: Home) -> dict[str, str]:
    """Hash of the rows of each day of the lake."""
    return {
        file.relative_to(home.root).as_posix(): hashlib.sha256(
            repr(pl.read_parquet(file, hive_partitioning=False).rows()).encode()
        ).hexdigest()
        for table in (home.raw, home.interactions)
        for file in sorted(Path(table).rglob("part-0.parquet"))
    }


def served(home: Home) -> dict[str, str]:
    """Hash of each file of the current release, but for its manifest and what holds the times of a build."""
    current = ReleaseStore(home.releases).current_id()
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted((home.releases / str(current)).iterdir())
        if file.name != "manifest.json"
    }


@pytest.mark.slow
@pytest.mark.parametrize(("place", "when"), KILLS)
def test_a_forget_that_is_killed_at_any_step_ends_like_one_that_was_not(
    built, undisturbed, tmp_path, place, when
):
    home, (module, name, count) = copy_of(built, tmp_path / "home"), place
    killed(home, module, name, when, count)
    by_build = when == "after" and read_unfinished_forgets(home)
    if by_build:
        with build_lock(home):
            finish_forgets(home, print)
    elif when == "before" or read_unfinished_forgets(home):
        forget_users(home, [USER], why="", who="ann", say=print)
    assert scan_home(home, {USER}).found == ()
    assert read_unfinished_forgets(home) == ()
    assert not home.forget_changes.exists()
    assert [one.number for one in read_forgets(home)] == [1]
    assert days(home) == days(undisturbed)
    assert served(home) == served(undisturbed)
    assert len(ReleaseStore(home.releases).list()) == 2


@pytest.mark.slow
def test_a_build_after_a_killed_forget_has_nothing_else_to_do(built, tmp_path):
    home = copy_of(built, tmp_path / "home")
    killed(home, f"{FORGETTING}.artifacts_step", "_rewrite", "after", 2)
    outcome = build(home, load_settings(home), SilentWatcher())
    assert {row.status for row in outcome.rows} == {"fresh"}
    assert scan_home(home, {USER}).found == ()
