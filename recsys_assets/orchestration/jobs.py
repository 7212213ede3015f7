"""What starts by itself or at one click: the jobs, the daily schedule, and the sensor for landed days."""

from datetime import timedelta
from typing import Final

import dagster as dg

from recsys_assets.lake.initialise import follow_source
from recsys_assets.orchestration.metadata import range_tags
from recsys_assets.orchestration.partitions import DAILY, SETTINGS
from recsys_assets.orchestration.resources import Lake

_DAILY_ASSETS: Final = ("raw_interactions", "interactions", "increment_report")
_RELEASED_ASSETS: Final = (
    "item_catalogue",
    "user_embeddings",
    "item_embeddings",
    "evaluation",
    "user_features",
    "item_features",
    "item_index",
    "release",
)

daily_increment = dg.define_asset_job(
    "daily_increment",
    selection=dg.AssetSelection.assets(*_DAILY_ASSETS),
    description="Land a day or a range of days: raw, audited, cleaned, and reported on.",
    executor_def=dg.in_process_executor,
)

retrain_and_release = dg.define_asset_job(
    "retrain_and_release",
    selection=dg.AssetSelection.assets(*_RELEASED_ASSETS),
    description="Train on all landed days, evaluate, build features and index, and publish a release.",
    executor_def=dg.in_process_executor,
)

full_build = dg.define_asset_job(
    "full_build",
    selection=dg.AssetSelection.assets("raw_interactions", "interactions", *_RELEASED_ASSETS),
    description="Every day of the source in one run, then everything that a release holds.",
    executor_def=dg.in_process_executor,
    tags=range_tags(SETTINGS.source.first_day, SETTINGS.source.last_day),
)

JOBS = [daily_increment, retrain_and_release, full_build]


@dg.schedule(
    job=daily_increment,
    cron_schedule="30 3 * * *",
    execution_timezone="UTC",
    description="At 03:30 UTC, the day before, where the source has it.",
)
def land_yesterday(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Ask for yesterday's partition."""
    yesterday = (context.scheduled_execution_time - timedelta(days=1)).date()
    if not DAILY.has_partition_key(yesterday.isoformat()):
        return dg.SkipReason(f"{yesterday} is outside the source's days, {_covered()}")
    return dg.RunRequest(run_key=yesterday.isoformat(), partition_key=yesterday.isoformat())


@dg.sensor(
    job=daily_increment,
    minimum_interval_seconds=60,
    description="Starts one run for the days that the source has after the last landed one.",
)
def landed_day(context: dg.SensorEvaluationContext, lake: Lake) -> dg.RunRequest | dg.SkipReason:
    """Look at the source's files; where they changed, at its days; ask for the new ones.

    A day beyond this code location's partitions is asked for at the first tick after the location was
    reloaded, which Dagster does by itself.
    """
    landed = lake.raw().days()
    if not landed:
        return dg.SkipReason("nothing has landed yet; run full_build, or `recsys build`")
    settings = follow_source(lake.home, lake.settings(), seen=context.cursor)
    context.update_cursor(lake.source().fingerprint())
    if settings.source.last_day > SETTINGS.source.last_day:
        return dg.SkipReason(f"the source now ends on {settings.source.last_day}; waiting for the reload")
    first, last = landed[-1] + timedelta(days=1), SETTINGS.source.last_day
    if first > last:
        return dg.SkipReason(f"nothing new: the last day of the source, {last}, has landed")
    return dg.RunRequest(run_key=f"{first}..{last}", tags=range_tags(first, last))


def _covered() -> str:
    return f"{SETTINGS.source.first_day} to {SETTINGS.source.last_day}"


SCHEDULES = [land_yesterday]
SENSORS = [landed_day]
