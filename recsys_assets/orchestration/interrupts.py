"""Builds that are interrupted or killed: signals that nothing loses, and runs that nobody ended.

A handler's exception is lost where it is raised inside a callback of Python's own (a finaliser, the garbage
collector), and Dagster forgets one that comes between two of its contexts: then a build ran on to its end.
"""

import signal
import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

import dagster as dg

from recsys_assets.orchestration.resources import StageProgress

_SIGNALS: Final = frozenset({signal.SIGINT, signal.SIGTERM})


BUILD_TAG: Final = "recsys/build"
"""Tag of the runs that a build runs in its own process."""


def close_killed_runs(instance: dg.DagsterInstance) -> None:
    """Record as failed the runs of builds whose process was killed, which Dagster takes for running ones.

    Only where no other build runs: under the build lock.
    """
    unfinished = [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
    for run in instance.get_runs(dg.RunsFilter(statuses=unfinished, tags={BUILD_TAG: "true"})):
        instance.report_run_failed(run, "The process of this build was killed; the next build went on.")


class Interrupts:
    """Knows whether the process was interrupted; a context manager, of the main thread."""

    def __init__(self) -> None:
        """Remember nothing until it is entered."""
        self._received, self._before = False, -1
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)  # noqa: FBT003  its only parameter
        self._writer.setblocking(False)  # noqa: FBT003

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # Python allows no other
            self._before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.set_wakeup_fd(self._before)
        self._reader.close()
        self._writer.close()

    def received(self) -> bool:
        """Return True from the first of the signals on."""
        with suppress(BlockingIOError):  # no signal since the last look
            self._received |= bool(_SIGNALS & set(self._reader.recv(256)))
        return self._received


class InterruptibleProgress:
    """Passes progress on, and stops the step at the next unit of work after an interrupt."""

    def __init__(self, progress: StageProgress, interrupts: Interrupts) -> None:
        """Look at `interrupts` at each report."""
        self._progress, self._interrupts = progress, interrupts

    def report(self, stage: str, done: int, total: int) -> None:
        """Show that `done` of `total` units of `stage` are finished.

        Raises:
            dg.DagsterExecutionInterruptedError: the process was interrupted.
        """
        self._progress.report(stage, done, total)
        if self._interrupts.received():
            raise dg.DagsterExecutionInterruptedError
