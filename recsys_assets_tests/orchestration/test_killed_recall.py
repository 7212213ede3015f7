"""A recall that is killed at any step is finished by the same command, or by the next build."""

import signal
import subprocess
import sys

import pytest

from recsys_assets.orchestration.recall_home import finish_recalls
from recsys_assets.orchestration.replay import replay
from recsys_assets.quality.quarantine import rejected_days
from recsys_assets.release.recalls import read_recalls, read_unfinished
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.settings import load_settings
from recsys_assets.storage.day_folders import days_under
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import build_lock
from recsys_assets_tests.orchestration.homes import SilentWatcher
from recsys_assets_tests.orchestration.recalls import BAD, WHY, build_shop, copy_of, notices, recall


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Home:
    return build_shop(tmp_path_factory.mktemp("recall") / "shop")


STEPS = {
    "record_recalled": "recsys_assets.release.release_store",
    "record_move": "recsys_assets.release.release_store",
    "append_recall": "recsys_assets.orchestration.recall_home",
    "send_notice": "recsys_assets.orchestration.recall_home",
    "quarantine_day": "recsys_assets.orchestration.recall_home",
    "_mark": "recsys_assets.orchestration.recall_home",
    "write_unfinished": "recsys_assets.orchestration.recall_home",
}
KILLED = """
import os, signal, sys
from datetime import date
from importlib import import_module
from pathlib import Path
from recsys_assets.orchestration.recall_home import recall_days
from recsys_assets.settings import load_settings
from recsys_assets.storage.home import Home

home, day, module, name, when, why = Home(Path(sys.argv[1])), date.fromisoformat(sys.argv[2]), *sys.argv[3:]
place = import_module(module)
function = getattr(place, name)
def killed(*arguments, **options):
    if when == "after":
        function(*arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(place, name, killed)
recall_days(home, load_settings(home), [day], why=why, who="ann", say=print)
"""


@pytest.mark.slow
@pytest.mark.parametrize("by", ["the same command", "the next build"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_recall_that_is_killed_at_any_step_is_finished(built, tmp_path, when, by):
    good, bad = (m.release_id for m in reversed(ReleaseStore(built.releases).list()))
    for name, module in STEPS.items():
        copy = copy_of(built, tmp_path / name)
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(copy.root), str(BAD), module, name, when, WHY],
            capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == -signal.SIGKILL, done.stderr
        if by == "the next build" and read_unfinished(copy):
            with build_lock(copy):
                finish_recalls(copy, load_settings(copy), print)
        else:
            recall(copy)
        (recorded,) = read_recalls(copy)
        assert (recorded.releases, recorded.before, recorded.current) == ((bad,), bad, good), name
        assert ReleaseStore(copy.releases).current_id() == good
        assert len(rejected_days(copy.quarantine)) == 2
        assert BAD not in {*days_under(copy.raw), *days_under(copy.interactions)}
        assert len(notices(copy)) == 1
        assert read_unfinished(copy) == ()


def test_a_replay_finishes_a_killed_recall_and_leaves_the_same_rows_out(built, tmp_path):
    home = copy_of(built, tmp_path / "home")
    subprocess.run(
        [sys.executable, "-c", KILLED, str(home.root), str(BAD), STEPS["_mark"], "quarantine_day", "before", WHY],
        capture_output=True, check=False,
    )  # fmt: skip
    assert read_unfinished(home)

    _, report = replay(home, load_settings(home), SilentWatcher(), [BAD])

    assert read_unfinished(home) == ()
    assert BAD not in {*days_under(home.raw), *days_under(home.interactions)}
    assert [day.state for day in report.days] == ["rejected"]
    assert "failed_build" not in {notice.kind for notice in notices(home)}
