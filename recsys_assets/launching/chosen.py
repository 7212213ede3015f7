"""The launcher that `[launcher]` names."""

import os
from collections.abc import Callable
from pathlib import Path

from recsys_assets.launching.launcher import InProcess, Launcher
from recsys_assets.launching.ray_cluster import RayCluster
from recsys_assets.launching.ray_jobs import RayJobs
from recsys_assets.launching.torchrun import Torchrun
from recsys_assets.scale_settings import LauncherSettings


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


def in_ray_job() -> bool:
    """Return True in the driver of a job that was sent to a Ray cluster."""
    return "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ
