"""Work on the nodes of a Ray cluster, from a process of the cluster: a job's driver, or a program on a node.

Ray finds work by its name, so every node has this package installed. From outside the cluster, `ray_jobs` sends a job.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from recsys_assets.errors import LauncherError, WorkerKilledError
from recsys_assets.launching.launcher import Member, free_port
from recsys_assets.launching.ray_import import import_ray

if TYPE_CHECKING:
    from ray.util.placement_group import PlacementGroup

T = TypeVar("T")
R = TypeVar("R")

_AHEAD: Final = 2
"""Tasks a CPU that are sent before the oldest one ended: results wait in memory."""
_SAY_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 2.0
_ROOM_SECONDS: Final = 600.0
"""Time to wait for CPUs that other work holds."""
_LOST_SECONDS: Final = 300.0
"""Time to wait for a lost node to be back, where the work cannot go on without it."""
_OTHERS_SECONDS: Final = 5.0
"""Time after a failure in which a killed process is looked for: the others fail because of it."""


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
        """Yield each task's place and result as they end; the task of a killed worker is done again, which is said."""
        remote = self._ray.remote(work).options(num_cpus=self._cpus, max_retries=0, name=work.__name__)
        window = max(1, int(self._resources()["CPU"] / self._cpus)) * _AHEAD
        running: dict[Any, int] = {}
        killed = Counter[int]()
        sent = 0
        try:
            while running or sent < len(tasks):
                oldest = min(running.values(), default=sent)
                while sent < min(len(tasks), oldest + window):
                    running[remote.remote(tasks[sent])] = sent
                    sent += 1
                ended = self._next(list(running))
                place = running.pop(ended)
                what = f"{work.__name__}, task {place + 1} of {len(tasks)}"
                try:
                    result = self._result(ended, what=what)
                except WorkerKilledError as error:
                    killed[place] += 1
                    if killed[place] == tries:
                        raise LauncherError(f"{error}; it was killed on every try, {tries} in all") from error
                    self._say(f"{error}; it is done again")
                    running[remote.remote(tasks[place])] = place
                else:
                    yield place, result
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
                self._require_none_killed(running, size)
                said = f"{type(error.cause).__name__}: {error.cause}"
                raise LauncherError(f"process {rank} of {size} that work together failed: {said}") from error
            except self._ray.exceptions.RayError as error:
                raise _killed(rank, size, error) from error
        return [results[rank] for rank in range(size)]

    def _require_none_killed(self, running: dict[Any, int], size: int) -> None:
        """Check that a failure is not the consequence of another process's end.

        Raises:
            WorkerKilledError: a process was killed.
        """
        left, end = list(running), time.monotonic() + _OTHERS_SECONDS
        while left:
            ended, left = self._ray.wait(left, num_returns=1, timeout=max(0.0, end - time.monotonic()))
            if not ended:
                return
            try:
                self._ray.get(ended[0])
            except self._ray.exceptions.RayTaskError:
                continue
            except self._ray.exceptions.RayError as error:
                raise _killed(running[ended[0]], size, error) from error

    def _placed(self, size: int) -> "PlacementGroup":
        """Return room for a gang: a node each, or packed where the nodes are fewer.

        Raises:
            LauncherError: the cluster has too few CPUs.
        """
        able = self._nodes_with_room(size)
        strategy = "STRICT_SPREAD" if able >= size else "PACK"
        if able < size:
            self._say(f"{size} processes share {able} nodes of the Ray cluster")
        group = self._ray.util.placement_group([{"CPU": self._cpus}] * size, strategy=strategy)
        waiting = _Wait(self._say, longest=_ROOM_SECONDS)
        while not group.wait(_SAY_SECONDS):
            try:
                waiting.on(f"no room for {size} processes")
            except LauncherError:
                self._ray.util.remove_placement_group(group)
                raise
        return group

    def _nodes_with_room(self, size: int) -> int:
        """Return the number of nodes with room for a process; waits where too few are left since one was lost.

        Raises:
            LauncherError: the cluster has too few CPUs.
        """
        waiting = _Wait(self._say, longest=_LOST_SECONDS)
        while True:
            nodes = self._ray.nodes()
            cpus = [node["Resources"].get("CPU", 0.0) for node in nodes if node["Alive"]]
            room = int(sum(one // self._cpus for one in cpus))
            if room >= size:
                return sum(one >= self._cpus for one in cpus)
            if len(cpus) == len(nodes):
                raise LauncherError(
                    f"the Ray cluster has room for {room} processes of {self._cpus:g} CPUs, {size} should work "
                    "together: add nodes, or lower [launcher] shards"
                )
            waiting.on(f"a node was lost, and the others have room for {room} of {size} processes")
            time.sleep(_LOOK_SECONDS)

    def _next(self, running: list[Any]) -> Any:
        """Return a task that ended; says it while no node is there to work on one."""
        waiting = _Wait(self._say, longest=_LOST_SECONDS)
        while True:
            ended, _ = self._ray.wait(running, num_returns=1, timeout=_SAY_SECONDS)
            if ended:
                return ended[0]
            if self._ray.cluster_resources().get("CPU"):
                waiting = _Wait(self._say, longest=_LOST_SECONDS)
            else:
                waiting.on("every node with CPUs was lost")

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
            raise WorkerKilledError(
                f"{what}: its worker was killed ({type(error).__name__}); look at the nodes' memory"
            ) from error


class _Wait:
    """One wait for the cluster, which is said now and then, and given up in the end."""

    def __init__(self, say: Callable[[str], None], *, longest: float) -> None:
        """Begin; `longest` is in seconds."""
        self._say, self._longest = say, longest
        self._begun, self._said = time.monotonic(), 0.0

    def on(self, why: str) -> None:
        """Say what is waited for.

        Raises:
            LauncherError: it has waited for too long.
        """
        now = time.monotonic()
        waited = now - self._begun
        if waited > self._longest:
            raise LauncherError(f"Ray: {why}, for {waited:.0f} s: look at the cluster, then run it again")
        if now - self._said >= _SAY_SECONDS:
            self._said = now
            self._say(f"Ray: {why}, for {waited:.0f} s; waiting")


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


def _killed(rank: int, size: int, error: BaseException) -> WorkerKilledError:
    return WorkerKilledError(
        f"process {rank} of {size} that work together was killed ({type(error).__name__}), and the others were ended;"
        " look at the nodes' memory"
    )


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
