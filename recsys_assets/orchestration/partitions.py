"""The day partition: one UTC day, from the first to the last day of the home's source.

The days come from the settings, so that the code location loads without opening the source.
"""

from datetime import date, timedelta
from typing import Final

import dagster as dg

from recsys_assets.source_settings import SourceSettings

RANGE_IN_ONE_RUN: Final = dg.BackfillPolicy.single_run()
"""A backfill of many days is one run: a new process for each day would cost seconds."""


def daily_partitions(source: SourceSettings) -> dg.DailyPartitionsDefinition:
    """Return the source's days; every daily asset of a code location takes this one definition.

    A ranged single run needs the definition to be the same everywhere. The offset takes today's day too, and a later
    one that a person chose, which Dagster otherwise has no partition for until it is over; `end_date` still ends them.
    """
    return dg.DailyPartitionsDefinition(
        start_date=source.first_day.isoformat(),
        end_date=(source.last_day + timedelta(days=1)).isoformat(),
        timezone="UTC",
        end_offset=len(source.days()) + 1,
    )


def days_of(context: dg.AssetExecutionContext) -> list[date]:
    """Return the days of this run, oldest first."""
    return sorted(date.fromisoformat(key) for key in context.partition_keys)


def range_tags(first: date, last: date) -> dict[str, str]:
    """Return the run tags that make one run of the days `first` to `last`, inclusive."""
    return {
        "dagster/asset_partition_range_start": first.isoformat(),
        "dagster/asset_partition_range_end": last.isoformat(),
    }
