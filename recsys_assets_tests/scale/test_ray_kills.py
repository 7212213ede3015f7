"""SIGKILL of a worker of Ray, in the middle of a build and during a promotion, under 200 requests a second.

The tests run inside the cluster's namespace, with their servers, by the last one, which starts the cluster.
"""

from collections.abc import Iterator

import pytest

from recsys_assets.benchmarks.ray_nodes import ADDRESS
from recsys_assets.benchmarks.scale_servers import ACCESS_KEY, SECRET_KEY
from recsys_assets_tests.api.replicas import until
from recsys_assets_tests.ray_clusters import assert_tests_pass, require_inside, running_ray, workers_beside
from recsys_assets_tests.scale.killed_stack import Stack, loaded, running_stack
from recsys_assets_tests.scale.kills import (
    Victim,
    assert_right,
    assert_whole,
    killed_during,
    until_events_go_on,
)

pytestmark = [pytest.mark.scale, pytest.mark.slow, pytest.mark.timeout(7_200)]

CREDENTIALS = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
ON_RAY = {
    "RECSYS_LAUNCHER__KIND": "ray",
    "RECSYS_LAUNCHER__ADDRESS": ADDRESS,
    "RECSYS_LAUNCHER__STRETCH_DAYS": "1",
    "RECSYS_LAUNCHER__SHARDS": "2",
}
MOMENTS = {
    "landing": (
        "ray::land_stret",
        "its worker was killed (WorkerCrashedError); look at the nodes' memory; it is done again",
    ),
    "cleaning": ("ray::clean_stre", "it is done again"),
    "training": ("ray::_Actor.run", "the training starts over, once: process "),
}
"""Name of the process that is killed, as far as the kernel keeps it, and the line that says it."""
ANY = "ray::IDLE"
"""A worker that has nothing to do: a promotion needs none."""


class Workers:
    """The processes of a moment, seen first by `are_there`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._found = workers_beside(name)

    def are_there(self) -> bool:
        self._found = workers_beside(self._name)
        return bool(self._found)

    def kill(self) -> None:
        self._found[0].kill()


@pytest.fixture(scope="module")
def stack(tmp_path_factory) -> Iterator[Stack]:
    require_inside()
    with running_stack(tmp_path_factory.mktemp("stack"), more=ON_RAY) as found:
        yield found


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_worker_loses_nothing_and_its_work_is_done_again(stack, moment):
    (name, said), before = MOMENTS[moment], stack.current()
    with loaded(stack) as load:
        until(lambda: load.acknowledged and sum(load.answers.values()) > 100)
        found, build = Workers(name), stack.build()
        victim = Victim(found.kill, lambda: None, lambda command: command.says(said))
        assert killed_during(victim, build, at=found.are_there), build.log.read_text()
        after = stack.current()
        assert after != before
        stack.follow()
        back = stack.start("releases", "promote", before)
        for worker in workers_beside(ANY):
            worker.kill()
        back.ended()
        assert stack.current() == before
        stack.follow()
        until_events_go_on(load)
    assert_right(stack, load, before, after)
    assert load.failed == {}
    assert_whole(stack)


def test_the_tests_pass_on_a_cluster():
    with running_ray(environment=CREDENTIALS) as cluster:
        assert_tests_pass(
            cluster, __file__, "-m", "scale", "-k", "killed_worker", each=3_000, all_of_them=7_000
        )
