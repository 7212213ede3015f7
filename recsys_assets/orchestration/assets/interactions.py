"""The interactions' assets: cleaned days, and a report on each increment."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import Any

import dagster as dg

from recsys_assets.interactions.cleaned_days import (
    AuditedDay,
    InteractionsOutcome,
    publish_audited,
)
from recsys_assets.interactions.cleaned_stretches import DaysToClean, cleaned_by, cleaned_here
from recsys_assets.interactions.contract import INTERACTIONS
from recsys_assets.interactions.report_page import reported_days, write_report
from recsys_assets.lake.home_account import write_home_account
from recsys_assets.launching.launcher import Launcher
from recsys_assets.orchestration.day_records import record_days
from recsys_assets.orchestration.fingerprints import CODE_VERSIONS, Inputs
from recsys_assets.orchestration.metadata import (
    OWNER,
    column_schema,
    rows_by_day,
    rows_table,
)
from recsys_assets.orchestration.partitions import RANGE_IN_ONE_RUN, days_of
from recsys_assets.orchestration.planning.artifact_parts import parts_of_report
from recsys_assets.orchestration.question_checks import question_specs
from recsys_assets.orchestration.ray_days import is_for_ray, run_on_ray
from recsys_assets.orchestration.recalled_days import left_out
from recsys_assets.orchestration.repair.made_artifacts import making
from recsys_assets.orchestration.resources import Lake, StageProgress, progress_of
from recsys_assets.quality.ledger_place import ledger_place
from recsys_assets.quality.row_account import RowAccount
from recsys_assets.storage.day_folders import day_folder


def interactions(
    context: dg.AssetExecutionContext, lake: Lake, progress: dg.ResourceParam[StageProgress]
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """Clean the run's days, each audited before it is published."""
    days = days_of(context)
    outcome = (
        run_on_ray(context, lake, INTERACTIONS.name, days, progress, outcome=InteractionsOutcome)
        if is_for_ray(lake, days)
        else clean_days(lake, days, progress)
    )
    write_home_account(lake.home, lake.settings().source)
    recalled, problems = left_out(lake.inputs()), []
    missing = [day for day in outcome.missing if day not in recalled]
    if missing:
        problems = [f"interactions: {len(missing)} days have no raw file, the first {missing[0]}"]
    rows = outcome.published.rows
    of_day = {
        day: {"wishes": _share(outcome.wishes[day], rows[day]), **_left_out(outcome.accounts.get(day))}
        for day in rows
        if rows[day]
    }
    wishes = _share(sum(outcome.wishes[day] for day in rows), sum(rows.values()))
    yield from record_days(
        context,
        outcome.published,
        table=INTERACTIONS.name,
        home=lake.home,
        of_day=of_day,
        of_run={
            "was_most_of_it_kept": {
                **rows_by_day(rows),
                "left_out": rows_table(outcome.account.rows_by_reason()),
            },
            "is_every_kind_known": {"wishes": wishes},
        },
        problems=problems,
    )


def clean_days(
    lake: Lake,
    days: Sequence[date],
    progress: StageProgress,
    *,
    launcher: Launcher | None = None,
    before_chunk: Callable[[], None] = lambda: None,
) -> InteractionsOutcome:
    """Clean landed days, each audited before it is published; return how they ended. Arguments as in `land_days`."""
    inputs, settings = Inputs(lake.home, lake.settings()), lake.settings()
    wanted = DaysToClean(
        home=lake.home,
        days=tuple(days),
        rule=inputs.wish_rule,
        rows=inputs.row_rule,
        taken_off=inputs.taken_off,
    )
    cleaned = (
        cleaned_here(wanted, lake.raw())
        if launcher is None
        else cleaned_by(launcher, wanted, stretch_days=settings.launcher.stretch_days)
    )

    def still_built() -> Iterator[list[AuditedDay]]:
        for chunk in cleaned:
            before_chunk()
            yield chunk

    with lake.ledger() as ledger:
        return publish_audited(
            still_built(),
            days,
            store=lake.interactions(inputs.cleaning),
            quarantine=lake.home.quarantine,
            ledger=ledger,
            progress=progress_of("interactions", days, progress),
        )


def _left_out(account: RowAccount | None) -> dict[str, str]:
    """Return the metadata of a day's event on rows that are no interactions; empty where there are none."""
    if account is None:
        return {}
    return {"left_out": ", ".join(f"{found.rows:,} {reason}" for reason, found in account.reasons.items())}


def _share(wishes: int, rows: int) -> str:
    return f"{wishes:,} of {rows:,} ({wishes / max(rows, 1):.1%})"


def increment_report(
    context: dg.AssetExecutionContext, lake: Lake, progress: dg.ResourceParam[StageProgress]
) -> dg.MaterializeResult[Any]:
    """Execute the report notebook for those of the run's days that `[report] when` asks for."""
    days, settings = days_of(context), lake.settings()
    wanted = reported_days(days, settings.report, ledger=ledger_place(lake.home))
    inputs, metadata = Inputs(lake.home, settings), dict[str, Any](days=len(wanted))
    for count, day in enumerate(wanted, start=1):
        parts = parts_of_report(inputs, day)
        with making(day_folder(lake.home.reports, day), inputs=inputs.increment_report(day), parts=parts):
            page = write_report(lake.home, day)
        context.add_asset_metadata(
            {"report": dg.MetadataValue.path(str(page))}, partition_key=day.isoformat()
        )
        metadata["last_report"] = dg.MetadataValue.url(page.as_uri())
        progress.report("increment_report", count, len(wanted))
    if left_out := sorted(set(days) - set(wanted)):
        metadata["not_reported"] = f'{len(left_out)} days, as [report] when = "{settings.report.when}" asks'
    for day in left_out:
        context.add_asset_metadata({"report": "none"}, partition_key=day.isoformat())
    return dg.MaterializeResult(metadata=metadata)


def interactions_assets(daily: dg.DailyPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Return the stage's assets, both partitioned by `daily`."""
    cleaned = dg.asset(
        deps=["raw_interactions"],
        partitions_def=daily,
        backfill_policy=RANGE_IN_ONE_RUN,
        group_name="interactions",
        owners=[OWNER],
        kinds={"polars", "parquet"},
        code_version=CODE_VERSIONS["interactions"],
        description=f"{INTERACTIONS.description} One Parquet file a UTC day.",
        metadata={"dagster/column_schema": column_schema(INTERACTIONS)},
        check_specs=question_specs(INTERACTIONS.name, asset="interactions", partitions=daily),
    )
    reported = dg.asset(
        deps=["interactions"],
        partitions_def=daily,
        backfill_policy=RANGE_IN_ONE_RUN,
        group_name="interactions",
        owners=[OWNER],
        kinds={"jupyter", "html"},
        code_version=CODE_VERSIONS["increment_report"],
        description="One executed notebook (HTML) on a day against its trailing window; `[report] when` says which "
        "days get one.",
    )
    return [cleaned(interactions), reported(increment_report)]
