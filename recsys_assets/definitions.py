"""The code location that Dagster loads: every stage's assets and checks, jobs, a schedule and a sensor."""

import dagster as dg

from recsys_assets.orchestration import jobs
from recsys_assets.orchestration.assets import embeddings, features, index, interactions, lake, release
from recsys_assets.orchestration.resources import Artifacts, Lake, Progress, Releases, SilentProgress
from recsys_assets.storage.home import Home

STAGES = [lake, interactions, embeddings, features, index, release]
"""In the order of the data."""


def build_definitions(*, progress: Progress) -> dg.Definitions:
    """The code location of the home that `RECSYS_HOME` names.

    Args:
        progress: told how far long assets are.
    """
    home = str(Home.locate().root)
    return dg.Definitions(
        assets=[asset for stage in STAGES for asset in stage.ASSETS],
        asset_checks=[check for stage in STAGES for check in stage.CHECKS],
        jobs=jobs.JOBS,
        schedules=jobs.SCHEDULES,
        sensors=jobs.SENSORS,
        resources={
            "lake": Lake(home_path=home),
            "artifacts": Artifacts(home_path=home),
            "releases": Releases(home_path=home),
            "progress": progress,
        },
    )


defs = build_definitions(progress=SilentProgress())
