"""A ranged run of a daily asset as one job of a Ray cluster, sent by dagster-ray, whose driver reports to the step.

Workers read, clean and measure stretches of days in parallel; the driver (`ray_driver`) judges and publishes them in
the order of the days. The step keeps the build lock, and records the days in Dagster as it does without a cluster.
"""

import os
from collections.abc import Sequence
from datetime import date
from typing import Final, TypeVar

import dagster as dg
import msgspec

from recsys_assets.errors import LauncherError
from recsys_assets.launching.ray_import import import_pipes_client
from recsys_assets.launching.ray_jobs import job_client
from recsys_assets.orchestration.ray_messages import RayJobMessages
from recsys_assets.orchestration.resources import Lake, StageProgress, say_in
from recsys_assets.storage.store_writing import take_helped_days

Outcome = TypeVar("Outcome")

DRIVER: Final = "python -m recsys_assets.orchestration.ray_driver"
"""Run by the `python` that the nodes have on their PATH."""
_POLL_SECONDS: Final = 0.5
_SECRET: Final = ("PASSWORD", "SECRET", "TOKEN", "KEY")


class DriverTask(msgspec.Struct, frozen=True, kw_only=True):
    """Days that a driver lands or cleans."""

    stage: str
    """`raw_interactions` or `interactions`."""
    home: str
    """The home's folder, which the head of the cluster sees too."""
    days: list[date]
    """The days, ascending."""
    warm: bool = False
    """A warm replay, see `Inputs`."""


def is_for_ray(lake: Lake, days: Sequence[date]) -> bool:
    """Return True where these days are worth a job: with one task alone, a cluster has nothing to do in parallel."""
    launcher = lake.settings().launcher
    return launcher.kind == "ray" and len(days) > launcher.stretch_days


def run_on_ray(
    context: dg.AssetExecutionContext,
    lake: Lake,
    stage: str,
    days: Sequence[date],
    progress: StageProgress,
    *,
    outcome: type[Outcome],
) -> Outcome:
    """Run a stage on the cluster of `[launcher] address`, and return what its driver found.

    Args:
        context: of the asset's run.
        lake: the lake, under the build lock of this process.
        stage: `raw_interactions` or `interactions`.
        days: the days, ascending.
        progress: takes the days that are done, and may end the job by raising.
        outcome: the type of the result.

    Raises:
        SettingsError: the packages are not installed.
        LauncherError: no cluster answers, or its job ended without a result.
        RecsysError: the error that the driver met.
    """
    address = lake.settings().launcher.address
    job_client(address)  # says in one line where none answers
    heard = RayJobMessages(
        lambda done: progress.report(stage, done, len(days)),
        say=say_in(context.log),
        printed=context.log.info,
    )
    task = DriverTask(stage=stage, home=lake.home_path, days=list(days), warm=lake.warm)
    client = import_pipes_client()(address=address, message_reader=heard, poll_interval=_POLL_SECONDS)
    try:
        client.run(
            context=context,
            submit_job_params={"entrypoint": DRIVER, "runtime_env": {"env_vars": _variables()}},
            extras={"task": msgspec.json.encode(task).decode()},
        )
    except (RuntimeError, ConnectionError) as error:
        raise (heard.failure or LauncherError(f"{address}: {_in_words(error)}")) from error
    finally:
        take_helped_days(lake.home.root)
    if heard.failure is not None:
        raise heard.failure
    if heard.outcome is None:
        raise LauncherError(
            f"{address}: the Ray job ended without a result; look at its log, and run it again"
        )
    return msgspec.msgpack.decode(heard.outcome, type=outcome)


def _variables() -> dict[str, str]:
    """Return the settings in this process's variables, for the driver; a job's are shown to all, so no secret."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.startswith("RECSYS_") and not any(word in name for word in _SECRET)
    }


def _in_words(error: BaseException) -> str:
    """Return an error of dagster-ray in a line, without its mark and the job's log."""
    first = str(error).removeprefix("[pipes] ").splitlines()[:2]
    return f"{' '.join(first) or type(error).__name__}; what was finished is kept, run it again"
