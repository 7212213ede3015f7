"""Dagster's record of a run over days: each published day, the run's answers, and the answers of unusual days.

A day's event holds only what is of that day; tables and plots of the run are with the answer that they belong to.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, Final

import dagster as dg
from dagster._core.execution.context.metadata_logging import AssetMetadataHandle, OutputMetadataAccumulator

from recsys_assets.orchestration.question_checks import (
    answers,
    answers_of_days,
    days_not_answered_yes,
)
from recsys_assets.orchestration.recalled_days import is_recalled
from recsys_assets.orchestration.run_results import rejection_summary
from recsys_assets.quality.audit_and_publish import RECENT_DAYS, PublishOutcome
from recsys_assets.quality.expectations import CheckResult
from recsys_assets.quality.open_ledger import open_ledger
from recsys_assets.quality.questions import question_of
from recsys_assets.storage.home import Home

_ROWS_OF_A_DAY: Final = "dagster/partition_row_count"


def record_days(
    context: dg.AssetExecutionContext,
    outcome: PublishOutcome,
    *,
    table: str,
    home: Home,
    of_day: Mapping[date, Mapping[str, Any]] | None = None,
    of_run: Mapping[str, Mapping[str, Any]] | None = None,
    problems: Sequence[str] = (),
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """Report to Dagster the published days, and the results of their audit.

    Where days were rejected, the others are still materialised, and then the step fails with a summary; a day that was
    recalled, and came again unchanged, is no failure.

    Args:
        context: of the asset's run.
        outcome: of publishing the run's days.
        table: the table, which is also the asset.
        home: the home of the asset.
        of_day: day -> metadata of its event, beside its rows.
        of_run: question -> metadata of the run's answer.
        problems: other reasons to fail, a line each.

    Raises:
        dg.Failure: at least one day was rejected, or there are other problems.
    """
    if not context.has_partition_key:  # else the run's answers are those of its day
        were_no = days_not_answered_yes(context.instance, table=table, asset=table)
        again = [(question, day) for question, day in were_no if day in outcome.rows]
        for answer in answers_of_days(outcome.results, table=table, asset=table, home=home, good_again=again):
            context.log_event(answer)
    checks = answers(
        outcome.results,
        table=table,
        asset=table,
        before=_results_before(home, table, outcome),
        audited=len(outcome.rows) + len(outcome.rejected),
        metadata=of_run,
    )
    events = {day: _metadata(outcome, day, (of_day or {}).get(day, {})) for day in outcome.rows}
    recalled = {day for day, results in outcome.rejected.items() if is_recalled(results)}
    wrong = replace(outcome, rejected={d: r for d, r in outcome.rejected.items() if d not in recalled})
    rejected = [rejection_summary(wrong, table, home=home)] if wrong.rejected else []
    if problems := [*rejected, *problems]:
        _materialise(context, events, table)
        yield from checks
        raise dg.Failure("\n".join(problems), allow_retries=False)
    _add_metadata(context, events, table)
    yield dg.MaterializeResult(check_results=checks)


def _metadata(outcome: PublishOutcome, day: date, more: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata of a day's event; where the day warned, the questions whose answer is no."""
    warned = outcome.warned.get(day, [])
    found = [question_of(result.table, result.check) for result in warned]
    asked = list(dict.fromkeys(question.asks for question in found if question is not None))
    return {
        _ROWS_OF_A_DAY: outcome.rows[day],
        **({"look_at": " ".join(asked)} if asked else {}),
        **more,
    }


def _add_metadata(
    context: dg.AssetExecutionContext, events: Mapping[date, Mapping[str, Any]], asset: str
) -> None:
    """Attach metadata to each day's event, as `context.add_asset_metadata` does for one day.

    That copies all that was attached before, so that its cost grows with the square of the days: 12 s of 3,600.
    """
    step = context.get_step_execution_context()
    of_days: dict[Any, Mapping[str, Any]] = {
        AssetMetadataHandle(asset_key=dg.AssetKey(asset), partition_key=day.isoformat()): metadata
        for day, metadata in events.items()
    }
    before = step._metadata_accumulator.per_output_metadata  # noqa: SLF001  there is no public way
    step._metadata_accumulator = OutputMetadataAccumulator(per_output_metadata={**before, **of_days})  # noqa: SLF001


def _materialise(
    context: dg.AssetExecutionContext, events: Mapping[date, Mapping[str, Any]], asset: str
) -> None:
    """Record the published days of a step that is about to fail, which would record none of them."""
    version = context.assets_def.code_versions_by_key[dg.AssetKey(asset)]
    tags = {"dagster/code_version": version} if version else {}
    for day, metadata in events.items():
        context.log_event(
            dg.AssetMaterialization(asset, partition=day.isoformat(), metadata=metadata, tags=tags)
        )


def _results_before(home: Home, table: str, outcome: PublishOutcome) -> list[CheckResult]:
    """Return the results of the days before the run's first one, as many as the history of a check shows."""
    days = [*outcome.rows, *outcome.rejected]
    if not days or len(days) >= RECENT_DAYS:
        return []
    first = min(days)
    with open_ledger(home) as ledger:
        return [
            result
            for back in range(RECENT_DAYS, 0, -1)
            for result in ledger.results(day=first - timedelta(days=back))
            if result.table == table
        ]
