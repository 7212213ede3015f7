"""Commands of one home at the same time: of two builds one ends and the other says why not, and nothing is lost."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from recsys_assets_tests.crashes.crash_scenarios import SCENARIOS
from recsys_assets_tests.crashes.killed_runs import (
    CrashGround,
    content,
    differences,
    faults,
    started,
    watched,
)
from recsys_assets_tests.notices.servers import http_receiver

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
BUILD, RETRAIN = SCENARIOS[0], SCENARIOS[1]


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    with http_receiver() as receiver:
        yield CrashGround(tmp_path_factory.mktemp("at_once"), receiver)


def ends(ground, *commands):
    """Start commands together; return the exit code and the output of each."""

    def run(arguments):
        with started(ground.home, arguments) as process:
            output, _ = process.communicate(timeout=900)
            return process.returncode, output

    with ThreadPoolExecutor(len(commands)) as pool:
        return list(pool.map(run, commands))


def test_of_two_builds_at_once_one_builds_and_the_other_says_so(ground):
    _, expected = ground.undisturbed(BUILD)
    ground.begin(BUILD)
    with watched(ground.home) as wrong:
        found = ends(ground, ["build"], ["build"])
    assert wrong == []
    assert 0 in {code for code, _ in found}
    for code, output in found:
        assert code == 0 or "another build of this home" in output
    assert faults(ground.home) == []
    assert differences(expected, {**content(ground.home), "notices": ground.notices()}) == []


def test_releases_are_moved_while_another_one_is_built(ground):
    _, expected = ground.undisturbed(RETRAIN)
    ground.begin(RETRAIN)
    with watched(ground.home) as wrong:
        found = ends(ground, ["build"], ["releases", "rollback"], ["releases", "verify"])
    assert wrong == []
    assert [code for code, _ in found] == [0, 0, 0], found
    assert faults(ground.home) == []
    assert differences(expected, {**content(ground.home), "notices": ground.notices()}) == []
