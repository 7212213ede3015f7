"""The server process: checks the release, then runs Granian workers over the application."""

import os
import socket
import tempfile
from pathlib import Path

import msgspec
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import Server
from litestar import Litestar

from recsys_assets.api.app import create_app
from recsys_assets.api.live import Live
from recsys_assets.api.logs import configure_logs
from recsys_assets.errors import PortInUseError
from recsys_assets.settings import ApiSettings, Home, load_settings

_OPTIONS = "RECSYS_SERVE_OPTIONS"
_HEADER_TIMEOUT_MS = 10_000
_CONNECTIONS = 512
_KILL_AFTER_SECONDS = 15


class ServeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker needs to know; handed over in the environment, since workers are new processes."""

    home: str
    workers: int
    fallback_previous: bool
    api: ApiSettings


def serve(
    home: Home,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    workers: int = 1,
    fallback_previous: bool = False,
    settings: ApiSettings | None = None,
) -> None:
    """Serve `home`'s current release until SIGINT or SIGTERM; requests under way are answered first.

    Args:
        home: an installation with a release.
        host: address to listen on.
        port: port to listen on.
        workers: processes; they share the release's memory-mapped pages.
        fallback_previous: serve the newest whole release before `current` where that is broken.
        settings: what the API allows; those of `recsys.toml` where None.

    Raises:
        ReleaseError: no release is current, or it is broken.
        PortInUseError: something listens there already.
    """
    require_free_port(host, port)
    Live(home).start(verify=True, fallback_previous=fallback_previous)
    allowed = settings or _settings(home)
    options = ServeOptions(
        home=str(home.root), workers=workers, fallback_previous=fallback_previous, api=allowed
    )
    os.environ[_OPTIONS] = msgspec.json.encode(options).decode()
    with tempfile.TemporaryDirectory(prefix="recsys-metrics-") as shared:
        if workers > 1:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = shared
        _run(host, port, workers)


def build_app() -> Litestar:
    """What a worker runs: the application, from the options in the environment."""
    options = msgspec.json.decode(os.environ[_OPTIONS], type=ServeOptions)
    configure_logs()
    return create_app(
        Home(Path(options.home)),
        settings=options.api,
        verify=options.fallback_previous,
        fallback_previous=options.fallback_previous,
        shared_events=options.workers > 1,
    )


def require_free_port(host: str, port: int) -> None:
    """Check that nobody listens on the port.

    Raises:
        PortInUseError: somebody does, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortInUseError(f"{host}:{port}: {error.strerror}; choose another with --port") from error


def _settings(home: Home) -> ApiSettings:
    return load_settings(home).api if home.settings_file.is_file() else ApiSettings()


def _run(host: str, port: int, workers: int) -> None:
    configure_logs()
    server = Server(
        "recsys_assets.api.server:build_app",
        factory=True,
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        workers=workers,
        loop=Loops.auto,
        http=HTTPModes.http1,
        websockets=False,
        backlog=1024,
        backpressure=_CONNECTIONS,
        http1_settings=HTTP1Settings(header_read_timeout=_HEADER_TIMEOUT_MS, max_buffer_size=64 * 1024),
        log_level=LogLevels.warning,
        log_access=False,
        respawn_failed_workers=True,
        workers_kill_timeout=_KILL_AFTER_SECONDS,
    )
    server.serve()
