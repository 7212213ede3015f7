"""The lake's assets: raw events, one file a day, and the item catalogue."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg
import polars as pl

from recsys_assets.intake.merged_users import last_users, stored_merges
from recsys_assets.lake.contract import ITEM_CATALOGUE, RAW_INTERACTIONS
from recsys_assets.lake.follow import count_now
from recsys_assets.lake.item_catalogue import audit_catalogue, catalogue_of, write_catalogue
from recsys_assets.lake.landed_days import DaysToLand, LandedDay, landed_by, landed_here
from recsys_assets.lake.source_days import SourceDays
from recsys_assets.launching.launcher import Launcher
from recsys_assets.orchestration.catalogue_in_force import put_catalogue_in_force, takeover_metadata
from recsys_assets.orchestration.day_records import record_days
from recsys_assets.orchestration.fingerprints import CODE_VERSIONS, Inputs
from recsys_assets.orchestration.landing_plan import days_in_part
from recsys_assets.orchestration.metadata import (
    OWNER,
    column_schema,
    rows_by_day,
    rows_table,
)
from recsys_assets.orchestration.partitions import RANGE_IN_ONE_RUN, days_of
from recsys_assets.orchestration.planning.artifact_parts import parts_of
from recsys_assets.orchestration.question_checks import answers, question_specs
from recsys_assets.orchestration.ray_days import is_for_ray, run_on_ray
from recsys_assets.orchestration.recalled_days import note_rejected_again, recalled_days, recalled_rows
from recsys_assets.orchestration.repair.made_artifacts import making
from recsys_assets.orchestration.resources import Lake, StageProgress, progress_of
from recsys_assets.quality.audit_and_publish import PublishOutcome, publish_days
from recsys_assets.quality.expectations import CheckResult
from recsys_assets.storage.forgotten import Forgotten


def raw_interactions(
    context: dg.AssetExecutionContext, lake: Lake, progress: dg.ResourceParam[StageProgress]
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """Land the run's days from the source, each audited before it is published."""
    days = days_of(context)
    if is_for_ray(lake, days):
        outcome = run_on_ray(context, lake, RAW_INTERACTIONS.name, days, progress, outcome=PublishOutcome)
        counted = count_now(lake.home, lake.settings())
    else:
        outcome, counted = land_days(lake, days, progress)
    note_rejected_again(lake.inputs(), outcome)
    source = lake.settings().source
    of_run = {
        **rows_by_day(outcome.rows),
        "rows": sum(outcome.rows.values()),
        "outside_range": counted.rows.outside(source.first_day, source.last_day).total,
    }
    yield from record_days(
        context,
        outcome,
        table=RAW_INTERACTIONS.name,
        home=lake.home,
        of_run={"did_it_all_come": of_run},
    )


def land_days(
    lake: Lake,
    days: Sequence[date],
    progress: StageProgress,
    *,
    launcher: Launcher | None = None,
    before_chunk: Callable[[], None] = lambda: None,
) -> tuple[PublishOutcome, SourceDays]:
    """Land days from the source, each audited before it is published; return how they ended, and the source's days.

    Args:
        lake: the lake.
        days: the days.
        progress: takes each day that is done.
        launcher: reads and measures stretches of days; None reads here. Days are judged and published here, in order.
        before_chunk: called before days are published; what it raises ends the landing.
    """
    source, settings = lake.source(), lake.settings()
    counted, inputs = count_now(lake.home, settings), Inputs(lake.home, settings)
    gone = inputs.source_changes(counted).gone  # they stay as they landed
    wanted = DaysToLand(
        home=lake.home,
        source=settings.source,
        days=tuple(day for day in days if day not in gone),
        counted=counted,
        users_now=last_users(stored_merges(lake.home.events_db)),
        forgotten=Forgotten.load(lake.home),
    )
    landed = (
        landed_here(wanted, source, scratch=lake.home.scratch)
        if launcher is None
        else landed_by(launcher, wanted, stretch_days=settings.launcher.stretch_days)
    )
    provenance = dict[date, dict[str, str]]()
    with lake.ledger() as ledger:
        audit = lake.raw_audit(source, ledger, in_part=days_in_part(inputs))

        def audited() -> Iterator[list[tuple[date, pl.DataFrame]]]:
            for chunk in landed:
                before_chunk()
                audit.take([one.measured for one in chunk])
                provenance.update({one.measured.day: _provenance(inputs, one) for one in chunk})
                yield [(one.measured.day, one.measured.frame) for one in chunk]

        outcome = publish_days(
            audited(),
            store=lake.raw(provenance.__getitem__),
            audit=audit,
            quarantine=lake.home.quarantine,
            ledger=ledger,
            recalled=recalled_rows(lake.home),
            progress=progress_of("raw_interactions", wanted.days, progress),
        )
    return outcome, counted


@dg.asset(
    group_name="lake",
    owners=[OWNER],
    kinds={"polars", "parquet"},
    code_version=CODE_VERSIONS["item_catalogue"],
    description=ITEM_CATALOGUE.description,
    metadata={"dagster/column_schema": column_schema(ITEM_CATALOGUE)},
    check_specs=question_specs(ITEM_CATALOGUE.name, asset="item_catalogue"),
)
def item_catalogue(lake: Lake) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """Read the items of the source; a catalogue that fails its audit does not replace the one before."""
    frame, results = make_catalogue(lake)
    checks = answers(results, table=ITEM_CATALOGUE.name, asset="item_catalogue")
    blocking = [result.detail for result in results if result.verdict == "block"]
    if blocking:
        yield from checks
        raise dg.Failure(f"item_catalogue: rejected: {blocking[0]}", allow_retries=False)
    found = put_catalogue_in_force(lake.home, frame, now=datetime.now(UTC))
    known = {name: f"{1 - frame[name].null_count() / max(frame.height, 1):.1%}" for name in frame.columns[1:]}
    yield dg.MaterializeResult(
        metadata={
            "dagster/row_count": frame.height,
            "known": known,
            "first_items": rows_table(frame.head(5).to_dicts()),
            "file": dg.MetadataValue.path(str(lake.home.catalogue)),
            **takeover_metadata(found),
        },
        check_results=checks,
    )


def make_catalogue(lake: Lake) -> tuple[pl.DataFrame, list[CheckResult]]:
    """Read the items of the source, and replace the catalogue by them unless a check blocks; return both."""
    frame = catalogue_of(lake.source())
    results = audit_catalogue(frame)
    if all(result.verdict != "block" for result in results):
        inputs = Inputs(lake.home, lake.settings())
        with making(lake.home.catalogue, inputs=inputs.item_catalogue, parts=parts_of(inputs, "catalogue")):
            write_catalogue(lake.home.catalogue, frame)
    return frame, results


def _provenance(inputs: Inputs, landed: LandedDay) -> dict[str, str]:
    """Return a day's provenance; without its landing, so that it is stale, where a file is not as it was counted."""
    landing = inputs.landing(landed.measured.day) if landed.as_counted else {}
    return {**landing, **landed.provenance}


def lake_assets(
    daily: dg.DailyPartitionsDefinition, *, source: str
) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """Return the stage's assets, `raw_interactions` partitioned by `daily` and landed from `source`."""
    partitioned = dg.asset(
        partitions_def=daily,
        backfill_policy=RANGE_IN_ONE_RUN,
        group_name="lake",
        owners=[OWNER],
        kinds={"polars", "parquet"},
        code_version=CODE_VERSIONS["raw_interactions"],
        description=f"{RAW_INTERACTIONS.description} One Parquet file a UTC day; a day that fails its audit is "
        "quarantined, and the file that was good before stays.",
        metadata={"dagster/column_schema": column_schema(RAW_INTERACTIONS), "source": source},
        check_specs=question_specs(RAW_INTERACTIONS.name, asset="raw_interactions", partitions=daily),
    )
    return [partitioned(raw_interactions), item_catalogue, recalled_days]
