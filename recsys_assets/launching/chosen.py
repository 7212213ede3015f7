"""The launcher that `[launcher]` names."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from recsys_assets.launching.launcher import InProcess, Launcher
from recsys_assets.launching.ray_cluster import RayCluster
from recsys_assets.launching.ray_import import require_ray
from recsys_assets.launching.ray_jobs import RayJobs, job_client, no_cluster
from recsys_assets.launching.torchrun import Torchrun
from recsys_assets.scale_settings import LauncherSettings

_CONNECT_SECONDS: Final = 5.0
_HTTP_PORT, _HTTPS_PORT = 80, 443


def launcher_of(
    settings: LauncherSettings,
    *,
    scratch: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
    printed: Callable[[str], None] = lambda _: None,
) -> Launcher:
    """Return the place where work runs.

    In a job of a Ray cluster it is that cluster; outside of one, jobs are sent to it.

    Args:
        settings: `[launcher]`.
        scratch: a folder for files between processes of this machine; None for the system's temporary one.
        say: takes a line on what is waited for, or was done again.
        printed: takes the other lines that a job of a cluster prints.

    Raises:
        SettingsError: a package is missing.
        LauncherError: the cluster cannot be reached.
    """
    if settings.kind == "torchrun":
        return Torchrun(scratch=scratch)
    if settings.kind == "in_process":
        return InProcess()
    return RayCluster(say=say) if in_ray_job() else RayJobs(settings.address, say=say, printed=printed)


def require_launcher(settings: LauncherSettings) -> None:
    """Check, before work begins, that a Ray cluster which it will need answers; nothing is imported for other kinds.

    Args:
        settings: `[launcher]`.

    Raises:
        SettingsError: a package is missing.
        LauncherError: no cluster answers at the address.
    """
    if settings.kind != "ray" or in_ray_job():
        return
    require_ray()
    found = urlsplit(settings.address)
    if found.hostname is not None:  # Ray's own client waits for minutes where a machine is gone
        port = found.port or (_HTTPS_PORT if found.scheme == "https" else _HTTP_PORT)
        try:
            socket.create_connection((found.hostname, port), timeout=_CONNECT_SECONDS).close()
        except OSError as error:
            raise no_cluster(settings.address) from error
    job_client(settings.address)


def in_ray_job() -> bool:
    """Return True in the driver of a job that was sent to a Ray cluster."""
    return "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ
