"""The code location that Dagster loads: every stage's assets and checks, jobs, a schedule and a sensor."""

import dagster as dg

from recsys_assets import automation
from recsys_assets.api import assets as api
from recsys_assets.embeddings import assets as embeddings
from recsys_assets.features import assets as features
from recsys_assets.index import assets as index
from recsys_assets.interactions import assets as interactions
from recsys_assets.lake import assets as lake
from recsys_assets.release import assets as release
from recsys_assets.resources import Artifacts, Lake, Progress, Releases, SilentProgress
from recsys_assets.settings import Home

STAGES = [lake, interactions, embeddings, features, index, release, api]
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
        jobs=automation.JOBS,
        schedules=automation.SCHEDULES,
        sensors=automation.SENSORS,
        resources={
            "lake": Lake(home_path=home),
            "artifacts": Artifacts(home_path=home),
            "releases": Releases(home_path=home),
            "progress": progress,
        },
    )


defs = build_definitions(progress=SilentProgress())
