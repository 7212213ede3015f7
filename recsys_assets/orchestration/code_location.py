"""The code location of one home: its assets, checks, jobs, schedule, sensor and resources.

The home is an argument: `definitions.py` passes the one that `RECSYS_HOME` names, `build.py` the one to build.
"""

import warnings

import dagster as dg

from recsys_assets.orchestration.assets import embeddings, features, index, interactions, lake, release
from recsys_assets.orchestration.jobs import automation
from recsys_assets.orchestration.partitions import daily_partitions
from recsys_assets.orchestration.resources import Artifacts, HomeReleases, Lake, SilentProgress, StageProgress
from recsys_assets.settings import load_or_default_settings
from recsys_assets.storage.home import Home


def build_definitions(home: Home, *, progress: StageProgress | None = None) -> dg.Definitions:
    """Return the code location of `home`, with the days that its settings name now.

    Args:
        home: any folder; one without `recsys.toml` has the days of the embedded default.
        progress: reports how far long assets are; None reports nothing.

    Raises:
        SettingsError: the home's `recsys.toml` cannot be used.
    """
    source, path = load_or_default_settings(home).source, str(home.root)
    daily = daily_partitions(source)
    with warnings.catch_warnings():  # Dagster calls backfill policies "beta", at every asset that has one
        warnings.simplefilter("ignore", dg.BetaWarning)
        by_day = [*lake.lake_assets(daily), *interactions.interactions_assets(daily)]
    materialised = dg.Definitions(
        assets=[*by_day, *embeddings.ASSETS, *features.ASSETS, *index.ASSETS, *release.ASSETS],
        asset_checks=[*embeddings.CHECKS, *features.CHECKS, *index.CHECKS, *release.CHECKS],
        resources={
            "lake": Lake(home_path=path),
            "artifacts": Artifacts(home_path=path),
            "releases": HomeReleases(home_path=path),
            "progress": progress or SilentProgress(),
        },
    )
    return dg.Definitions.merge(materialised, automation(source))
