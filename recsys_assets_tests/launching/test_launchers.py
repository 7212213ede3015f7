"""One suite over all launchers. Those of a Ray cluster run inside its namespace, by the test that starts one."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from recsys_assets.benchmarks.ray_nodes import ADDRESS, Cluster
from recsys_assets.errors import LauncherError, TrainingDataError
from recsys_assets.launching.chosen import launcher_of
from recsys_assets.launching.launcher import InProcess, Launcher
from recsys_assets.launching.ray_cluster import RayCluster
from recsys_assets.launching.ray_jobs import RayJobs
from recsys_assets.launching.torchrun import Torchrun
from recsys_assets.scale_settings import LauncherSettings
from recsys_assets_tests.launching.tried_work import (
    Counted,
    killed_always,
    last_fails,
    last_is_killed,
    marked,
    marks,
    place_of,
    rejected,
    squared,
    summed,
)
from recsys_assets_tests.ray_clusters import assert_tests_pass, require_inside, running_ray

LONG = 60.0

FORMS: dict[str, Callable[[], Launcher]] = {
    "in_process": InProcess,
    "torchrun": Torchrun,
    "ray_cluster": RayCluster,
    "ray_jobs": lambda: RayJobs(ADDRESS),
}
APART = [
    pytest.param("ray_cluster", marks=pytest.mark.scale),
    pytest.param("ray_jobs", marks=[pytest.mark.scale, pytest.mark.slow]),
]
"""Launchers whose worker is another process than the caller's."""
EVERY = ["in_process", pytest.param("torchrun", marks=pytest.mark.scale), *APART]


@pytest.fixture(params=EVERY)
def launcher(request: pytest.FixtureRequest) -> Launcher:
    return opened(request.param)


def test_each_task_has_its_result_exactly_once(launcher: Launcher):
    found = list(launcher.map(squared, range(9)))
    assert sorted(found) == [(n, n * n) for n in range(9)]


def test_no_task_is_no_result(launcher: Launcher):
    assert list(launcher.map(squared, [])) == []


def test_a_task_runs_once_where_nothing_fails(launcher: Launcher, tmp_path: Path):
    list(launcher.map(marked, [Counted(number=n, folder=str(tmp_path)) for n in range(5)]))
    assert [len(marks(tmp_path, n)) for n in range(5)] == [1] * 5


def test_an_error_of_the_work_ends_the_map_as_it_is(launcher: Launcher):
    with pytest.raises(TrainingDataError, match="number 3 has no pair"):
        list(launcher.map(rejected, [3]))


@pytest.mark.parametrize("size", [1, 2])
def test_a_gang_runs_in_processes_in_the_order_of_their_ranks(launcher: Launcher, size: int):
    found = launcher.gang(place_of, "a", size=size)
    assert [one[:3] for one in found] == [["a", str(rank), str(size)] for rank in range(size)]
    assert len({one[3] for one in found}) == size


def test_a_gang_meets_at_the_address_of_rank_0(launcher: Launcher):
    assert launcher.gang(summed, 10.0, size=2) == [21.0, 21.0]


@pytest.mark.parametrize("work", [last_fails, last_is_killed])
def test_one_that_fails_ends_its_gang(launcher: Launcher, work: Callable[..., int]):
    begun = time.monotonic()
    with pytest.raises(LauncherError, match=r"work together (failed: ValueError: no more room|was killed)"):
        launcher.gang(work, LONG, size=2)
    assert time.monotonic() - begun < LONG


@pytest.mark.parametrize("form", APART)
def test_the_task_of_a_killed_worker_is_done_again_once(form: str, tmp_path: Path):
    launcher = opened(form)
    tasks = [Counted(number=n, folder=str(tmp_path), kill_first=n == 2) for n in range(5)]
    assert sorted(launcher.map(marked, tasks)) == [(n, n) for n in range(5)]
    assert [len(marks(tmp_path, n)) for n in range(5)] == [1, 1, 2, 1, 1]


@pytest.mark.parametrize("form", APART)
def test_a_task_whose_workers_are_always_killed_ends_the_map(form: str):
    with pytest.raises(LauncherError, match="killed on every try"):
        list(opened(form).map(killed_always, [1], tries=2))


@pytest.mark.parametrize("form", APART)
def test_a_gang_that_has_no_room_is_rejected(form: str):
    with pytest.raises(LauncherError, match="room for 2 processes"):
        opened(form).gang(place_of, "a", size=3)


def test_a_cluster_that_does_not_answer_is_named():
    with pytest.raises(LauncherError, match=r"http://127\.0\.0\.1:1: no Ray cluster answers"):
        launcher_of(LauncherSettings(kind="ray", address="http://127.0.0.1:1"))


def test_settings_name_the_launcher():
    assert isinstance(launcher_of(LauncherSettings()), InProcess)
    assert isinstance(launcher_of(LauncherSettings(kind="torchrun")), Torchrun)


def test_only_a_function_of_a_module_goes_to_another_program():
    with pytest.raises(LauncherError, match="only a function of a module"):
        Torchrun().gang(lambda _, task: task, 1, size=1)


@pytest.mark.scale
@pytest.mark.timeout(1_200)
def test_the_suite_holds_on_a_ray_cluster():
    with running_ray() as cluster:
        suite_holds(cluster, "scale and not slow")


@pytest.mark.scale
@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_the_suite_holds_for_jobs_sent_to_a_ray_cluster():
    with running_ray() as cluster:
        suite_holds(cluster, "scale and slow")


def suite_holds(cluster: Cluster, selected: str) -> None:
    options = ("-m", selected, "-k", "ray and not suite")
    assert_tests_pass(cluster, __file__, *options, each=240, all_of_them=1_000)


def opened(form: str) -> Launcher:
    if form.startswith("ray"):
        require_inside()
    return FORMS[form]()
