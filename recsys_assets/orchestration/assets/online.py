"""Use of the answers: impressions landed from the intake, and online metrics by release, list and arm."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import partial
from typing import Any, Final

import dagster as dg

from recsys_assets.experiments.activity import activity_of
from recsys_assets.experiments.daily_metrics import CTR, CTR_AT, ONLINE_METRICS
from recsys_assets.experiments.impression_days import IMPRESSIONS, land_impressions
from recsys_assets.experiments.judgement import judge
from recsys_assets.experiments.measure_online import measure_online
from recsys_assets.experiments.online_results import OnlineResults, select
from recsys_assets.orchestration.checks.online import ONLINE_CHECKS, answers_on, answers_without
from recsys_assets.orchestration.fingerprints import CODE_VERSIONS
from recsys_assets.orchestration.metadata import (
    OWNER,
    column_schema,
    curve_figure,
    figure_markdown,
    rate_figure,
    rows_table,
)
from recsys_assets.orchestration.online_inputs import ONLINE, OnlineInputs
from recsys_assets.orchestration.repair.made_artifacts import making
from recsys_assets.orchestration.resources import Artifacts, Lake, StageProgress
from recsys_assets.release.answer_counts import read_answers
from recsys_assets.storage.home import Home

NONE_YET: Final = "none yet; report what is shown to POST /v1/impressions"


@dg.asset(
    deps=["recommendation_api"],
    group_name="online",
    owners=[OWNER],
    kinds={"polars", "parquet"},
    code_version=CODE_VERSIONS["impressions"],
    description=f"{IMPRESSIONS.description} One Parquet file a UTC day, landed from the intake exactly once.",
    metadata={"dagster/column_schema": column_schema(IMPRESSIONS)},
)
def impressions(lake: Lake) -> dg.MaterializeResult[Any]:
    """Land the impressions that arrived, and remove from the intake what is older than is kept."""
    found = land_impressions(lake.home, keep_days=lake.settings().events.keep_days, now=datetime.now(UTC))
    files = OnlineInputs(lake.inputs()).impression_files
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": sum(file.rows or 0 for file in files.values()),
            "landed": found.rows,
            "landed_days": ", ".join(map(str, found.days)) or ("none" if files else NONE_YET),
            "days": len(files),
            "removed_from_intake": found.pruned,
        }
    )


@dg.asset(
    deps=["impressions", "interactions", "item_catalogue"],
    group_name="online",
    owners=[OWNER],
    kinds={"polars", "parquet"},
    code_version=CODE_VERSIONS[ONLINE],
    description=f"{ONLINE_METRICS.description} A click or purchase counts for the last answer that showed the item "
    "to the user within `[events] attribution_days`, or for the answer that it names. One file a UTC day when the "
    "answers were shown; a day changes until its window is over, so each run makes those days again whose "
    "impressions or events changed. Users are the unit of the intervals (delta method, Deng et al. 2018).",
    metadata={"dagster/column_schema": column_schema(ONLINE_METRICS)},
    check_specs=ONLINE_CHECKS,
)
def online_metrics(
    lake: Lake, artifacts: Artifacts, progress: dg.ResourceParam[StageProgress]
) -> Iterator[dg.MaterializeResult[Any]]:
    """Make the days that are missing or stale."""
    online, folder = OnlineInputs(lake.inputs()), artifacts.folder(ONLINE)
    if not online.impression_files:
        yield dg.MaterializeResult(metadata={"impressions": NONE_YET}, check_results=answers_without())
        return
    with making(folder, inputs=online.fingerprint(waiting=False), parts=online.parts(waiting=False)):
        found = measure_online(
            lake.home,
            folder,
            provenance=online.provenance,
            attribution_days=online.attribution_days,
            catalogue_items=online.catalogue_items,
            now=datetime.now(UTC),
            progress=lambda done, total: progress.report(ONLINE, done, total),
        )
    yield dg.MaterializeResult(
        metadata={
            "days_made": len(found.days),
            "impressions": found.impressions,
            **_metadata_of(found.results),
            **_judged(lake, online.attribution_days),
        },
        check_results=answers_on(found, given=answers_by_day(lake.home)),
    )


def _judged(lake: Lake, attribution_days: float) -> dict[str, Any]:
    """Look at every experiment, end the arms that do harm, and return the verdicts in words; empty without any."""
    days_of = partial(activity_of, lake.home, attribution_days=attribution_days)
    judged = judge(
        lake.home,
        datetime.now(UTC),
        days_of=days_of,
        settings=lake.settings().notify,
        late_days=attribution_days,
    )
    return {f"experiment {one.result.name}": " ".join(one.result.words) for one in judged}


def answers_by_day(home: Home) -> dict[date, int]:
    """Return the answers that the servers counted, by UTC day."""
    counted = Counter[date]()
    for one in read_answers(home.answers_db):
        counted[date.fromisoformat(one.day)] += one.answers
    return dict(counted)


def _metadata_of(results: OnlineResults) -> dict[str, Any]:
    rates = [one for one in select(results.days, group_kind="all") if one.metric == CTR]
    newest = select(results.days, group_kind="all", day=results.period_last)
    curve = sorted(
        (int(one.metric.removeprefix(CTR_AT)), one.value) for one in newest if one.metric.startswith(CTR_AT)
    )
    compared = [
        {
            "group": one.group,
            "metric": one.metric,
            "value": one.value,
            "low": "" if one.low is None else one.low,
            "high": "" if one.high is None else one.high,
            "users": one.users,
            "shown": one.shown,
        }
        for one in results.period
    ]
    return {
        "final_through": str(results.final_through or "no day yet"),
        "period": f"{results.period_first} to {results.period_last}",
        "compared": rows_table(compared),
        "ctr_by_day": figure_markdown(
            rate_figure([(one.day, one.low, one.value, one.high) for one in rates])
        ),
        "ctr_by_position": figure_markdown(curve_figure(curve)),
    }


ASSETS = [impressions, online_metrics]
