"""The queue of Dagster's runs, where its instance is on a server: one run of a code location at a time.

A code location is one home, and a run holds the home's build lock: a second one would wait in a process of its own.
The daemon starts the next run of the queue when the one before has ended. Runs of other homes on the same instance,
each a code location of `workspace.yaml`, do not wait for it.
"""

from typing import Any, Final

import dagster as dg
from dagster._core.run_coordinator import QueuedRunCoordinator, SubmitRunContext

HOME_TAG: Final = "recsys/home"
"""Tag of a run: its code location."""
LIMITS: Final[list[dict[str, Any]]] = [
    {"key": HOME_TAG, "value": {"applyLimitPerUniqueValue": True}, "limit": 1}
]
"""Runs at the same time of each value of the tag."""


class HomeQueue(QueuedRunCoordinator):
    """A queue whose runs have the tag of their code location, also those that somebody starts in the UI."""

    def __init__(self, **options: Any) -> None:
        """Take Dagster's options, and add the limit of a home to those that are given."""
        given = options.pop("tag_concurrency_limits", None) or []
        super().__init__(tag_concurrency_limits=[*LIMITS, *given], **options)

    def submit_run(self, context: SubmitRunContext) -> dg.DagsterRun:
        """Tag a run, and put it at the end of the queue.

        A run has no origin where no web server or daemon submitted it: it is in the process of its build, and the
        queue does not see it.

        Args:
            context: the run and the workspace that it comes from.
        """
        run = context.dagster_run
        origin = run.remote_job_origin
        if HOME_TAG not in run.tags and origin is not None:
            self._instance.add_run_tags(run.run_id, {HOME_TAG: origin.location_name})
        return super().submit_run(context)
