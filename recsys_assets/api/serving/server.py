"""The server process, and the options that its workers get through the environment, being new processes."""

import contextlib
import ctypes
import errno
import logging
import os
import resource
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import msgspec
import psutil
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import Server

from recsys_assets.api.http.connections import WATCHED
from recsys_assets.api.http.logs import configure_logs
from recsys_assets.api.serving.live import Live
from recsys_assets.api_settings import ApiSettings
from recsys_assets.errors import PortInUseError
from recsys_assets.intake.event_meaning import EventOptions
from recsys_assets.intake.server_log import open_server_log
from recsys_assets.settings import load_or_default_settings
from recsys_assets.storage.home import Home

log = logging.getLogger("recsys.api")

OPTIONS_VARIABLE = "RECSYS_SERVE_OPTIONS"


class ServeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """One `recsys serve`."""

    home: str
    """The installation's folder, absolute."""
    workers: int
    """Number of processes that share the port."""
    port: int
    """The port that they listen on."""
    supervisor: int
    """The process that starts them, which they don't outlive."""
    fallback_previous: bool
    """Serve another release where the current one is broken."""
    api: ApiSettings
    """Limits and permissions of the API."""
    events: EventOptions = EventOptions()
    """Settings of events."""
    shared: str | None = None
    """A folder for the files that several workers share."""


_OTHER_FILES = 256
"""Descriptors of a worker that are no connections."""
_KILL_AFTER_SECONDS = 15
_SHOWN_COMMAND = 100
"""Characters of another process's command in a message."""
_PRCTL = getattr(ctypes.CDLL(None), "prctl", None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1


def serve(
    home: Home,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    workers: int = 1,
    fallback_previous: bool = False,
    settings: ApiSettings | None = None,
    target: str = "recsys_assets.api.app:build_app",
) -> None:
    """Serve `home`'s current release until SIGINT or SIGTERM; requests under way are answered first.

    Args:
        home: an installation with a release.
        host: address to listen on.
        port: port to listen on.
        workers: processes; they share the release's memory-mapped pages.
        fallback_previous: serve the newest whole release before `current` where that is broken.
        settings: limits and permissions; those of `recsys.toml` where None.
        target: `module:function` that builds the application in a worker.

    Raises:
        ReleaseError: no release is current, or it is broken.
        PortInUseError: something listens there already.
        InputError: `[events]` names no server that can be used.
    """
    with ExitStack() as stack:
        stack.enter_context(claimed_port(host, port, option="--port"))
        # Workers are forked from this process: a thread of ours that is inside SQLite then would leave its lock taken.
        Live(home).choose(verify=True, fallback_previous=fallback_previous)
        configure_logs()
        accepted, allowed = _within_descriptors(settings or _settings(home))
        shared: str | None = None
        if workers > 1:
            shared = stack.enter_context(tempfile.TemporaryDirectory(prefix="recsys-workers-"))
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="recsys-metrics-")
            )
        events = EventOptions.of(home)
        open_server_log(events.events)  # settings that cannot be used are said here, not by each worker
        options = ServeOptions(
            home=str(home.root),
            workers=workers,
            port=port,
            supervisor=os.getpid(),
            fallback_previous=fallback_previous,
            api=allowed,
            events=events,
            shared=shared,
        )
        os.environ[OPTIONS_VARIABLE] = msgspec.json.encode(options).decode()
        _run(
            target, host, port, workers=workers, accepted=accepted, idle_seconds=allowed.idle_timeout_seconds
        )


def _settings(home: Home) -> ApiSettings:
    return load_or_default_settings(home).api


def _run(target: str, host: str, port: int, *, workers: int, accepted: int, idle_seconds: float) -> None:
    server = Server(
        target,
        factory=True,
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        workers=workers,
        loop=Loops.auto,
        http=HTTPModes.http1,
        websockets=False,
        backlog=1024,
        backpressure=accepted,
        http1_settings=HTTP1Settings(
            header_read_timeout=int(idle_seconds * 1_000), max_buffer_size=64 * 1024
        ),
        log_level=LogLevels.warning,
        log_access=False,
        respawn_failed_workers=True,
        workers_kill_timeout=_KILL_AFTER_SECONDS,
    )
    os.register_at_fork(
        before=_hold_back_end, after_in_parent=_let_end_through, after_in_child=_end_while_loading
    )
    server.serve()


def _end_while_loading() -> None:
    """Have a worker that is stopped while it loads end at once, not after `_KILL_AFTER_SECONDS`.

    It inherits the supervisor's handler, which does nothing here; the HTTP server sets its own once it has loaded. One
    that is stopped before it comes here has the signal held back, and ends now.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _let_end_through()


def _hold_back_end() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def _let_end_through() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def _within_descriptors(settings: ApiSettings) -> tuple[int, ApiSettings]:
    """Return the connections at which a worker stops to accept, and settings that keep fewer than that.

    Those above `max_connections` are cut within a quarter of a second, so a worker accepts far more than it keeps.
    """
    wanted = 4 * settings.max_connections if WATCHED else settings.max_connections
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(hard, needed)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted, settings
    accepted = max(2, soft - _OTHER_FILES)
    kept = min(settings.max_connections, accepted // 2)
    log.warning(
        "few descriptors for connections: raise `ulimit -n`",
        extra={"descriptors": soft, "needed": needed, "max_connections": kept},
    )
    return accepted, msgspec.structs.replace(settings, max_connections=kept)


@contextmanager
def claimed_port(host: str, port: int, *, option: str) -> Iterator[None]:
    """Check that nobody listens, and keep others from it while the block runs, but for our own workers.

    Raises:
        PortInUseError: somebody does; the message names the process where the system tells, and the option that
            chooses another port.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as claim:
        claim.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            claim.bind((host, port))
        except OSError as error:
            holder = _holder(port) if error.errno == errno.EADDRINUSE else ""
            other = option if error.errno in (errno.EADDRINUSE, errno.EACCES) else "--host"
            raise PortInUseError(f"{host}:{port}: {error.strerror}{holder}; give another {other}") from None
        if sys.platform == "linux":
            # each worker binds the port by itself: that works beside a claim with this option, another's claim does not
            claim.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            claim.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
            yield
    if sys.platform != "linux":
        yield


def _holder(port: int) -> str:
    """Return the process that listens on a port, in words; nothing where the system does not say."""
    with contextlib.suppress(psutil.Error, OSError):
        for found in psutil.net_connections(kind="tcp"):
            if found.status == psutil.CONN_LISTEN and found.laddr.port == port and found.pid:
                command = "".join(filter(str.isprintable, " ".join(psutil.Process(found.pid).cmdline())))
                return f" by process {found.pid} ({command[:_SHOWN_COMMAND]})"
    return ""


def end_with(parent: int, number: signal.Signals) -> None:
    """Have this process get a signal when its parent ends, however that ends; on Linux only.

    Args:
        parent: the process that started this one; where it has ended already, the signal comes at once.
        number: the signal.
    """
    if _PRCTL is not None:
        _PRCTL(_PR_SET_PDEATHSIG, int(number))
        if os.getppid() != parent:
            os.kill(os.getpid(), number)
