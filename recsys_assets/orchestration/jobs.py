"""The jobs, the daily schedule, and the sensors: one starts a run when the source has new days, one sends notices."""

from datetime import UTC, date, datetime, timedelta
from typing import Final

import dagster as dg

from recsys_assets.errors import SettingsError
from recsys_assets.intake.events_of_home import bring_events
from recsys_assets.lake.follow import follow_source
from recsys_assets.lake.live_days import follow_events, last_day_due
from recsys_assets.orchestration.build_notices import deliver_notices
from recsys_assets.orchestration.fingerprints import Inputs, fingerprint
from recsys_assets.orchestration.landing_plan import (
    days_to_clean,
    days_to_request,
    prune_intake,
    stretches,
)
from recsys_assets.orchestration.online_inputs import ONLINE_ASSETS, has_impressions
from recsys_assets.orchestration.partitions import range_tags
from recsys_assets.orchestration.resources import Lake
from recsys_assets.settings import ExportSettings
from recsys_assets.source_settings import SourceSettings

DAILY_INCREMENT: Final = "daily_increment"
RETRAIN_AND_RELEASE: Final = "retrain_and_release"
EXPORT_LISTS: Final = "export_lists"
MEASURE_ONLINE: Final = "measure_online"

EXPORTED_LISTS: Final = "exported_lists"
_DAILY_ASSETS: Final = ("raw_interactions", "interactions", "increment_report")
_RELEASED_ASSETS: Final = (
    "item_catalogue",
    "model_choice",
    "user_embeddings",
    "item_embeddings",
    "evaluation",
    "user_features",
    "item_features",
    "item_index",
    "release",
)


def automation(source: SourceSettings, export: ExportSettings) -> dg.Definitions:
    """Return the jobs, the schedules and the sensor of a code location whose days are those of `source`."""
    exported = (EXPORTED_LISTS,) if export.to is not None and export.after_build else ()
    return dg.Definitions(
        jobs=[
            dg.define_asset_job(
                DAILY_INCREMENT,
                selection=dg.AssetSelection.assets(*_DAILY_ASSETS),
                description="Land a day or a range of days: raw, audited, cleaned, and reported on.",
                executor_def=dg.in_process_executor,
            ),
            dg.define_asset_job(
                RETRAIN_AND_RELEASE,
                selection=dg.AssetSelection.assets(*_RELEASED_ASSETS, *exported),
                description="Train on all landed days, evaluate, build features and index, and publish a release.",
                executor_def=dg.in_process_executor,
            ),
            dg.define_asset_job(
                "full_build",
                selection=dg.AssetSelection.assets(
                    "raw_interactions", "interactions", *_RELEASED_ASSETS, *exported
                ),
                description="Every day of the source in one run, then everything that a release holds.",
                executor_def=dg.in_process_executor,
                tags=range_tags(source.first_day, source.last_day),
            ),
            dg.define_asset_job(
                MEASURE_ONLINE,
                selection=dg.AssetSelection.assets(*ONLINE_ASSETS),
                description="Land what was shown, and measure what came of it.",
                executor_def=dg.in_process_executor,
            ),
        ],
        schedules=[land_yesterday(source), measure_yesterday()],
        sensors=[landed_day(source), deliver_notices()],
    )


def export_schedule(export: ExportSettings) -> dg.Definitions:
    """Return the job that exports the lists, and its schedule where the settings have one."""
    job = dg.define_asset_job(
        EXPORT_LISTS,
        selection=dg.AssetSelection.assets(EXPORTED_LISTS),
        description="Make the lists of the current release, and write them where `[export]` says.",
        executor_def=dg.in_process_executor,
    )
    if export.schedule is None:
        return dg.Definitions(jobs=[job])
    try:
        schedule = dg.ScheduleDefinition(
            name="export_on_schedule",
            job=job,
            cron_schedule=export.schedule,
            execution_timezone="UTC",
            description="The export of `[export]`, at its times.",
        )
    except dg.DagsterInvalidDefinitionError:
        raise SettingsError(
            f"[export] schedule: {export.schedule!r} is no cron schedule; give five fields, such as `0 5 * * *`"
        ) from None
    return dg.Definitions(jobs=[job], schedules=[schedule])


def land_yesterday(source: SourceSettings) -> dg.ScheduleDefinition:
    """Return the schedule that lands the day before, where it is one of `source`."""

    @dg.schedule(
        name="land_yesterday",
        job_name=DAILY_INCREMENT,
        cron_schedule="30 3 * * *",
        execution_timezone="UTC",
        description="At 03:30 UTC, the day before, where the source has it.",
    )
    def request_yesterday(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        yesterday = (context.scheduled_execution_time - timedelta(days=1)).date()
        if not source.first_day <= yesterday <= source.last_day:
            covered = f"{source.first_day} to {source.last_day}"
            return dg.SkipReason(f"{yesterday} is outside the source's days, {covered}")
        return dg.RunRequest(run_key=yesterday.isoformat(), partition_key=yesterday.isoformat())

    return request_yesterday


def measure_yesterday() -> dg.ScheduleDefinition:
    """Return the schedule that measures online once the day before has landed, where anything was ever shown."""

    @dg.schedule(
        name="measure_yesterday",
        job_name=MEASURE_ONLINE,
        cron_schedule="30 4 * * *",
        execution_timezone="UTC",
        description="At 04:30 UTC, what was shown and what came of it, where a client reports it.",
    )
    def request_metrics(context: dg.ScheduleEvaluationContext, lake: Lake) -> dg.RunRequest | dg.SkipReason:
        if not has_impressions(lake.home):
            return dg.SkipReason("no impression was ever reported")
        return dg.RunRequest(run_key=context.scheduled_execution_time.date().isoformat())

    return request_metrics


def landed_day(source: SourceSettings) -> dg.SensorDefinition:
    """Return the sensor that requests the days which the source has and the lake has not, or has otherwise.

    Events by HTTP are taken into `lake/events` first: those of finished days at every tick, those of the open day every
    `land_minutes`. A late event opens its day again. What has landed is removed from the intake after `keep_days`.
    Where the files changed it counts their days again. A day outside of those of `source`, which this code
    location was loaded with, is requested at the first tick after Dagster has reloaded the location by itself.
    Once these have landed, cleaned days that their returns touch are requested, to be cleaned again.
    A day is requested once for each content, so that a rejected one does not come back every minute.
    """

    @dg.sensor(
        name="landed_day",
        job_name=DAILY_INCREMENT,
        minimum_interval_seconds=60,
        description="Starts a run for the days that came to the source, or changed in it, since they landed, for those "
        "with new events by HTTP, and for those that must be cleaned again.",
    )
    def request_new_days(
        _context: dg.SensorEvaluationContext, lake: Lake
    ) -> list[dg.RunRequest] | dg.SkipReason:
        landed = lake.raw().days()
        if not landed:
            return dg.SkipReason("nothing has landed yet; run full_build, or `recsys build`")
        at, settings = datetime.now(UTC), lake.settings()
        bring_events(lake.home)
        settings, _ = follow_events(lake.home, settings, through=last_day_due(lake.home, settings, at))
        followed = follow_source(lake.home, settings)
        now = followed.settings.source
        if (now.first_day, now.last_day) != (source.first_day, source.last_day):
            return dg.SkipReason(
                f"the source now has {now.first_day} to {now.last_day}; waiting for the reload"
            )
        inputs = Inputs(lake.home, followed.settings)
        wanted = days_to_request(inputs)
        if not wanted and (stale := days_to_clean(inputs)):
            return [_cleaning(first, last, inputs) for first, last in stretches(stale, gap=0)]
        if not wanted:
            prune_intake(inputs, now=at)
            return dg.SkipReason(f"nothing new: the days of the source, to {source.last_day}, have landed")
        return [
            dg.RunRequest(
                run_key=f"{first}..{last} {inputs.contents(first, last)}", tags=range_tags(first, last)
            )
            for first, last in stretches(wanted, gap=0)
        ]

    return request_new_days


def _cleaning(first: date, last: date, inputs: Inputs) -> dg.RunRequest:
    """Return the request to clean landed days again."""
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    return dg.RunRequest(
        run_key=f"{first}..{last} cleaned {fingerprint(map(inputs.interactions, days))}",
        asset_selection=[dg.AssetKey(name) for name in _DAILY_ASSETS[1:]],
        tags=range_tags(first, last),
    )
