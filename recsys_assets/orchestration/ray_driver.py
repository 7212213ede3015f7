"""The driver of a Ray job that lands or cleans days: `python -m recsys_assets.orchestration.ray_driver`, by Pipes.

It runs on the head of the cluster, where the home has the path that it has for the step that sent the job.
"""

import sys
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from dagster_pipes import PipesContext, open_dagster_pipes

from recsys_assets.errors import RecsysError
from recsys_assets.lake.landed_days import require_home
from recsys_assets.launching.ray_cluster import RayCluster
from recsys_assets.orchestration.assets.interactions import clean_days
from recsys_assets.orchestration.assets.lake import land_days
from recsys_assets.orchestration.ray_days import DriverTask
from recsys_assets.orchestration.ray_messages import DONE, FAILED, OUTCOME, SAID, packed
from recsys_assets.orchestration.resources import Lake
from recsys_assets.storage.locks import require_build
from recsys_assets.storage.private_files import keep_private
from recsys_assets.storage.store_writing import helping

if TYPE_CHECKING:
    from recsys_assets.interactions.cleaned_days import InteractionsOutcome
    from recsys_assets.quality.audit_and_publish import PublishOutcome


class _PipedProgress:
    """Sends the number of days done to the step."""

    def __init__(self, pipes: PipesContext) -> None:
        self._pipes = pipes
        self._sent = 0

    def report(self, _stage: str, done: int, total: int) -> None:
        """Send it at each hundredth of the days."""
        if done == total or done - self._sent >= max(1, total // 100):
            self._sent = done
            self._pipes.report_custom_message({DONE: done})


def main(task: DriverTask, pipes: PipesContext) -> int:
    """Do the task on this job's cluster; return the exit status."""
    try:
        content = msgspec.msgpack.encode(_outcome(task, pipes), enc_hook=np.generic.item)
    except RecsysError as error:
        pipes.report_custom_message({FAILED: [type(error).__name__, str(error)]})
        return 1
    except Exception as error:
        pipes.report_custom_message({FAILED: [type(error).__name__, str(error)]})
        raise
    pipes.report_custom_message({OUTCOME: packed(content)})
    return 0


def _outcome(task: DriverTask, pipes: PipesContext) -> "PublishOutcome | InteractionsOutcome":
    lake = Lake(home_path=task.home, warm=task.warm)
    require_home(lake.home)
    cluster = RayCluster(say=lambda line: pipes.report_custom_message({SAID: line}))
    still_built = partial(require_build, lake.home)
    progress = _PipedProgress(pipes)
    with helping(lake.home.root):
        if task.stage == "raw_interactions":
            return land_days(lake, task.days, progress, launcher=cluster, before_chunk=still_built)[0]
        return clean_days(lake, task.days, progress, launcher=cluster, before_chunk=still_built)


if __name__ == "__main__":
    keep_private()
    with open_dagster_pipes() as opened:
        status = main(msgspec.json.decode(opened.get_extra("task"), type=DriverTask), opened)
    sys.exit(status)
