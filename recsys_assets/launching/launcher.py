"""One interface to run work somewhere, and its form on this machine, so that no caller knows which form it has.

Work is a function of a module, since other processes find it by its name; tasks and results are plain values,
msgspec structs, arrays or frames.
"""

import multiprocessing
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeVar

from recsys_assets.errors import LauncherError, WorkerKilledError

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

T = TypeVar("T")
R = TypeVar("R")

LOOPBACK: Final = "127.0.0.1"
_TRIES: Final = 3
_OTHERS_SECONDS: Final = 2.0
"""Time after a failure in which a killed process is looked for: the others fail because of it."""


class Member(NamedTuple):
    """One process of a gang."""

    rank: int
    """Its number, from 0."""
    size: int
    """Processes of the gang."""
    address: str
    """`host:port` that rank 0 listens on for `torch.distributed`; no one listens there yet."""


class Launcher(Protocol):
    """Processes that work on tasks."""

    def map(
        self, work: Callable[[T], R], tasks: Sequence[T], *, tries: int = _TRIES
    ) -> Iterator[tuple[int, R]]:
        """Yield the place of each task and its result as they end, each exactly once.

        A task whose worker was killed is done again, `tries` times in all. An exception of `work` ends the map: one of
        `errors.py` is raised as it is, another one too, or from another program as a LauncherError with its text.

        Raises:
            LauncherError: the workers of a task were killed `tries` times, or no worker can be reached.
        """

    def gang(self, work: Callable[[Member, T], R], task: T, *, size: int) -> list[R]:
        """Run `work` in `size` processes at the same time, and return their results in the order of their ranks.

        Raises:
            WorkerKilledError: one was killed; the others are ended.
            LauncherError: one failed; the others are ended.
        """


class InProcess:
    """The caller's process, one task after the other; a gang of more than one is in child processes of it."""

    def map(
        self, work: Callable[[T], R], tasks: Sequence[T], *, tries: int = _TRIES
    ) -> Iterator[tuple[int, R]]:
        """Yield each task's place and result, in the order of the tasks; `tries` needs no second one here."""
        del tries
        yield from ((place, work(task)) for place, task in enumerate(tasks))

    def gang(self, work: Callable[[Member, T], R], task: T, *, size: int) -> list[R]:
        """Run `work` here where `size` is 1, else in `size` child processes."""
        address = f"{LOOPBACK}:{free_port()}"
        members = [Member(rank, size, address) for rank in range(size)]
        return [work(members[0], task)] if size == 1 else _together(work, task, members)


def in_order(found: Iterable[tuple[int, R]]) -> Iterator[R]:
    """Yield the results of `map` in the order of the tasks; one that came early waits in memory."""
    early: dict[int, R] = {}
    following = 0
    for place, result in found:
        early[place] = result
        while following in early:
            yield early.pop(following)
            following += 1


def free_port(host: str = LOOPBACK) -> int:
    """Return a port of this machine that no one listens on now."""
    with socket.socket() as listener:
        listener.bind((host, 0))
        port: int = listener.getsockname()[1]
    return port


def _together(work: Callable[[Member, T], R], task: T, members: Sequence[Member]) -> list[R]:
    """Run members in child processes; the first failure ends all."""
    context = multiprocessing.get_context("spawn")
    waiting: dict[Any, Member] = {}
    processes: list[SpawnProcess] = []
    results: dict[int, R] = {}
    try:
        for member in members:
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_run_member, args=(work, member, task, theirs), daemon=True)
            process.start()
            theirs.close()
            processes.append(process)
            waiting[ours] = member
        while waiting:
            for connection in wait(list(waiting)):
                member = waiting.pop(connection)
                try:
                    results[member.rank] = _received(connection, member)
                except LauncherError:
                    _require_none_killed(waiting)
                    raise
    finally:
        for process in processes:
            if len(results) < len(members):
                process.kill()
            process.join()
    return [results[member.rank] for member in members]


def _require_none_killed(waiting: Mapping[Any, Member]) -> None:
    """Check that a failure is not the consequence of another member's end.

    Raises:
        WorkerKilledError: a member was killed.
    """
    left, end = dict(waiting), time.monotonic() + _OTHERS_SECONDS
    while left and (ready := wait(list(left), timeout=max(0.0, end - time.monotonic()))):
        for connection in ready:
            try:
                _received(connection, left.pop(connection))
            except WorkerKilledError:
                raise
            except LauncherError:
                continue


def _received(connection: Any, member: Member) -> Any:
    """Return what a member sent.

    Raises:
        WorkerKilledError: it was killed before it sent anything.
        LauncherError: it failed.
    """
    who = f"process {member.rank} of {member.size} that work together"
    try:
        failure, result = connection.recv()
    except EOFError:
        raise WorkerKilledError(
            f"{who} was killed, and the others were ended; look at the machine's memory"
        ) from None
    finally:
        connection.close()
    if failure:
        raise LauncherError(f"{who} failed: {failure}")
    return result


def _run_member(work: Callable[[Member, T], R], member: Member, task: T, back: Connection) -> None:
    """Run one member in its own process, and send its result or its failure back."""
    try:
        sent = ("", work(member, task))
    except Exception as error:  # noqa: BLE001  the starter raises it, whatever it is
        back.send((f"{type(error).__name__}: {error}", None))
    else:
        back.send(sent)
