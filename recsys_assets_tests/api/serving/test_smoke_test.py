"""The smoke test: a real process serves a release beside the home, and every answer is compared."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from recsys_assets.api.serving import smoke_test as tested
from recsys_assets.api.serving.smoke_test import smoke_test
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets_tests.api.world import make_home, publish_release

SECONDS = 240


@pytest.fixture(scope="module")
def candidate(tmp_path_factory):
    """A home with a current release, and the folder of a candidate."""
    home = make_home(tmp_path_factory.mktemp("smoke"))
    return home, home.releases / publish_release(home, seed=1, promote=False)


def test_a_good_candidate_answers_as_in_process_and_the_home_is_untouched(candidate):
    home, folder = candidate
    before, current = sorted(home.root.rglob("*")), ReleaseStore(home.releases).current_id()
    found = smoke_test(folder, lists_folder=home.root, users=20, seconds=SECONDS)

    assert found.wrong == []
    assert found.answers == 20 + 5 + 1 + 1 + 3
    assert sorted(home.root.rglob("*")) == before
    assert ReleaseStore(home.releases).current_id() == current


def test_no_process_is_left(candidate):
    home, folder = candidate
    smoke_test(folder, lists_folder=home.root, users=1, seconds=SECONDS)
    assert [child.pid for child in psutil.Process().children(recursive=True) if _serves(child)] == []


def _serves(process: psutil.Process) -> bool:
    try:
        return tested.__name__ in process.cmdline()
    except psutil.Error:
        return False


def test_a_release_that_no_server_starts_with_fails_with_the_servers_words(candidate, tmp_path):
    home, folder = candidate
    broken = tmp_path / "releases" / folder.name
    broken.mkdir(parents=True)
    for file in folder.iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    content = bytearray((broken / "popular_scores.npy").read_bytes())
    content[-1] ^= 1  # of the right size, so that only a server, which reads all, finds it
    (broken / "popular_scores.npy").write_bytes(content)
    found = smoke_test(broken, lists_folder=home.root, users=3, seconds=SECONDS)

    assert found.answers == 0
    assert "popular_scores.npy" in found.in_words()


def test_the_time_is_bounded(candidate):
    home, folder = candidate
    found = smoke_test(folder, lists_folder=home.root, users=20, seconds=0.01)
    assert "in time" in found.wrong[0]


def test_a_server_ends_with_the_process_that_tests_it(candidate):
    home, folder = candidate
    code = (
        "import sys; from pathlib import Path; from recsys_assets.api.serving import smoke_test as tested\n"
        "tested._ids_at = lambda port, path, deadline: (print(port, flush=True), sys.stdin.read())\n"
        "tested.smoke_test(Path(sys.argv[1]), lists_folder=Path(sys.argv[2]), users=1, seconds=240)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder), str(home.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(tested.__file__).parents[3])},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip().isdigit()  # the server is ready
        servers = psutil.Process(process.pid).children(recursive=True)
        assert any(map(_serves, servers))
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while any(_is_alive(server) for server in servers):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
