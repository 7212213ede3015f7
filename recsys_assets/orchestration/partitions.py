"""The day partition: one UTC day, from the first to the last day that `recsys.toml` names.

The dates come from the settings, so that the code location loads without opening the source. A home
without `recsys.toml` loads with the embedded default's dates.
"""

import warnings
from datetime import date, timedelta

import dagster as dg

from recsys_assets.settings import Settings, load_or_default_settings
from recsys_assets.storage.home import Home

# Dagster calls backfill policies "beta"; one warning an asset at every import helps nobody.
warnings.filterwarnings("ignore", category=dg.BetaWarning)

SETTINGS: Settings = load_or_default_settings(Home.locate())
"""What this code location was loaded with."""

DAILY = dg.DailyPartitionsDefinition(
    start_date=SETTINGS.source.first_day.isoformat(),
    end_date=(SETTINGS.source.last_day + timedelta(days=1)).isoformat(),
    timezone="UTC",
)
"""One definition for every daily asset: a ranged single run needs it to be the same everywhere."""

RANGE_IN_ONE_RUN = dg.BackfillPolicy.single_run()
"""A backfill of many days is one run: a new process for each day would cost seconds."""


def days_of(context: dg.AssetExecutionContext) -> list[date]:
    """The days that this run is to make, oldest first."""
    return sorted(date.fromisoformat(key) for key in context.partition_keys)
