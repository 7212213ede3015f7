"""Work on the nodes of a Ray cluster, from a process of the cluster: a job's driver, or a program on a node.

Ray finds work by its name, so every node has this package installed. From outside the cluster, `ray_jobs` sends a job.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from recsys_assets.errors import LauncherError
from recsys_assets.launching.launcher import Member, free_port
from recsys_assets.launching.ray_import import import_ray

if TYPE_CHECKING:
    from ray.util.placement_group import PlacementGroup

T = TypeVar("T")
R = TypeVar("R")

_AHEAD: Final = 2
"""Tasks a CPU that are sent before the oldest one ended: results wait in memory."""
_SAY_SECONDS: Final = 10.0
_ROOM_SECONDS: Final = 600.0
"""Time to wait for CPUs that other work holds."""


class RayCluster:
    """The nodes of a cluster."""

    def __init__(
        self, address: str = "auto", *, cpus: float = 1.0, say: Callable[[str], None] = lambda _: None
    ) -> None:
        """Join a cluster.

        Args:
            address: `host:port` of its head; `auto` for the cluster of this job or node.
            cpus: CPUs that a task, or a process of a gang, takes.
            say: takes a line on what is waited for, or was done again.

        Raises:
            SettingsError: Ray is not installed.
            LauncherError: there is no cluster at the address.
        """
        ray = import_ray()
        self._ray, self._cpus, self._say = ray, cpus, say
        if ray.is_initialized():
            return
        try:
            ray.init(address=address, logging_level="ERROR", log_to_driver=False)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise LauncherError(
                f"{address}: no Ray cluster answers ({_first_line(error)}); start one"
            ) from error

    def map(self, work: Callable[[T], R], tasks: Sequence[T], *, tries: int = 3) -> Iterator[tuple[int, R]]:
        """Yield each task's place and result as they end; Ray does the task of a killed worker again."""
        remote = self._ray.remote(work).options(
            num_cpus=self._cpus, max_retries=tries - 1, retry_exceptions=False, name=work.__name__
        )
        window = max(1, int(self._resources()["CPU"] / self._cpus)) * _AHEAD
        running: dict[Any, int] = {}
        sent = 0
        try:
            while running or sent < len(tasks):
                oldest = min(running.values(), default=sent)
                while sent < min(len(tasks), oldest + window):
                    running[remote.remote(tasks[sent])] = sent
                    sent += 1
                (ended,), _ = self._ray.wait(list(running), num_returns=1)
                place = running.pop(ended)
                yield place, self._result(ended, what=f"{work.__name__}, task {place + 1} of {len(tasks)}")
        finally:
            for left in running:
                self._ray.cancel(left, force=True)

    def gang(self, work: Callable[[Member, T], R], task: T, *, size: int) -> list[R]:
        """Run `work` in `size` actors, each on a node of its own where there are as many."""
        group = self._placed(size)
        from ray.util.scheduling_strategies import (  # noqa: PLC0415  an optional package
            PlacementGroupSchedulingStrategy,
        )

        actor = self._ray.remote(_Actor)
        actors = [
            actor.options(
                num_cpus=self._cpus,
                max_restarts=0,
                scheduling_strategy=PlacementGroupSchedulingStrategy(
                    group, placement_group_bundle_index=rank
                ),
            ).remote()
            for rank in range(size)
        ]
        try:
            address = self._result(actors[0].address.remote(), what="process 0")
            running = {
                one.run.remote(work, Member(rank, size, address), task): rank
                for rank, one in enumerate(actors)
            }
            return self._together(running, size)
        finally:
            for one in actors:
                self._ray.kill(one)
            self._ray.util.remove_placement_group(group)

    def _together(self, running: dict[Any, int], size: int) -> list[Any]:
        """Return the results by rank; the first failure is raised at once."""
        results: dict[int, Any] = {}
        while running:
            (ended,), _ = self._ray.wait(list(running), num_returns=1)
            rank = running.pop(ended)
            try:
                results[rank] = self._ray.get(ended)
            except self._ray.exceptions.RayTaskError as error:
                said = f"{type(error.cause).__name__}: {error.cause}"
                raise LauncherError(f"process {rank} of {size} that work together failed: {said}") from error
            except self._ray.exceptions.RayError as error:
                raise LauncherError(
                    f"process {rank} of {size} that work together was killed ({type(error).__name__}); the others were "
                    "ended: run it again"
                ) from error
        return [results[rank] for rank in range(size)]

    def _placed(self, size: int) -> "PlacementGroup":
        """Return room for a gang: a node each, or packed where the nodes are fewer.

        Raises:
            LauncherError: the cluster has too few CPUs.
        """
        nodes = [node["Resources"].get("CPU", 0.0) for node in self._ray.nodes() if node["Alive"]]
        room = int(sum(cpus // self._cpus for cpus in nodes))
        if room < size:
            raise LauncherError(
                f"the Ray cluster has room for {room} processes of {self._cpus:g} CPUs, {size} should work together: "
                "add nodes, or lower [launcher] shards"
            )
        able = sum(cpus >= self._cpus for cpus in nodes)
        strategy = "STRICT_SPREAD" if able >= size else "PACK"
        if able < size:
            self._say(f"{size} processes share {able} nodes of the Ray cluster")
        group = self._ray.util.placement_group([{"CPU": self._cpus}] * size, strategy=strategy)
        begun = time.monotonic()
        while not group.wait(_SAY_SECONDS):
            waited = time.monotonic() - begun
            if waited > _ROOM_SECONDS:
                self._ray.util.remove_placement_group(group)
                raise LauncherError(
                    f"the Ray cluster was busy for {waited:.0f} s, {size} processes found no room: run it again later"
                )
            self._say(f"Ray: no room for {size} processes for {waited:.0f} s; waiting")
        return group

    def _resources(self) -> dict[str, float]:
        found: dict[str, float] = self._ray.cluster_resources()
        if not found.get("CPU"):
            raise LauncherError(
                "the Ray cluster has no CPU for tasks: start a node (`ray start --address=…`)"
            )
        return found

    def _result(self, ended: Any, *, what: str) -> Any:
        """Return the result of a task; an exception of its work is raised as it is."""
        try:
            return self._ray.get(ended)
        except self._ray.exceptions.RayTaskError as error:
            cause: BaseException = error.cause
            raise cause from None
        except self._ray.exceptions.RayError as error:
            raise LauncherError(
                f"{what}: its workers were killed on every try ({type(error).__name__}); look at the nodes' memory"
            ) from error


class _Actor:
    """One process of a gang."""

    def address(self) -> str:
        """Return a free port of this node, with its address."""
        from ray.util import get_node_ip_address  # noqa: PLC0415  an optional package

        host = get_node_ip_address()
        return f"{host}:{free_port(host)}"

    def run(self, work: Callable[[Member, T], R], member: Member, task: T) -> R:
        """Run the work."""
        return work(member, task)


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
