"""Running servers side by side until a person ends them: ports looked at first, every child ended with us."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

from recsys_assets.errors import ServerStoppedError

_GRACE_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.2
_TAIL_LINES: Final = 15


@dataclass(frozen=True, kw_only=True)
class Server:
    """A child process."""

    name: str
    """What a person calls it."""
    command: Sequence[str]
    """Program and arguments."""
    log: Path
    """Where its output goes."""


def run_until_stopped(servers: Sequence[Server]) -> None:
    """Start the servers and wait for Ctrl-C or SIGTERM; then end them all, whatever they started included.

    Each gets its own process group, so that ending the group ends its children too.

    Raises:
        ServerStoppedError: one ended by itself; the others were ended, and the message has its last lines.
    """
    stopped = False

    def stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True

    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    running: list[tuple[Server, subprocess.Popen[bytes]]] = []
    try:
        with ExitStack() as stack:
            for server in servers:
                server.log.parent.mkdir(parents=True, exist_ok=True)
                log = stack.enter_context(server.log.open("ab"))
                process = subprocess.Popen(  # noqa: S603  our own command
                    server.command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    preexec_fn=_hear_interrupts,  # noqa: PLW1509  nothing here runs a thread yet
                )
                running.append((server, process))
            while not stopped:
                for server, process in running:
                    if process.poll() is not None:
                        raise ServerStoppedError(_obituary(server, process.returncode))
                time.sleep(_POLL_SECONDS)
    finally:
        _end([process for _, process in running])
        for number, handler in previous.items():
            signal.signal(number, handler)


def own_command(*arguments: str) -> list[str]:
    """The `recsys` command of this very installation."""
    return [sys.executable, "-m", "recsys_assets", *arguments]


def _hear_interrupts() -> None:
    """A shell starts background commands with SIGINT ignored, and a child would inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        _signal_group(process, signal.SIGINT)
    deadline = time.monotonic() + _GRACE_SECONDS
    while time.monotonic() < deadline and any(process.poll() is None for process in processes):
        time.sleep(_POLL_SECONDS)
    for process in processes:
        _signal_group(process, signal.SIGKILL)
        process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return  # the whole group has ended


def _obituary(server: Server, code: int) -> str:
    tail = "\n".join(server.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:])
    return f"{server.name} ended with code {code}; its log is {server.log}, and ends with\n{tail}"
