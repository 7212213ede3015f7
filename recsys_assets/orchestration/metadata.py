"""Plain values as Dagster's: contracts as column schemas, results as asset checks, plots as metadata."""

import base64
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final

import dagster as dg
import numpy as np
import polars as pl
from matplotlib.figure import Figure

from recsys_assets.quality.audit_and_publish import PublishOutcome
from recsys_assets.quality.contract import Contract
from recsys_assets.quality.expectations import CheckResult
from recsys_assets.storage.home import Home

OWNER: Final = "team:recommendations"
"""The owner of every asset."""

_WORST_DAYS_SHOWN: Final = 20
_ROWS_OF_A_DAY: Final = "dagster/partition_row_count"


def column_schema(contract: Contract) -> dg.TableSchema:
    """Return the contract's columns as the Dagster UI shows them."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=name,
                type=str(column.dtype),
                description=column.description + (f" Unit: {column.unit}." if column.unit else ""),
                constraints=dg.TableColumnConstraints(
                    nullable=column.nullable,
                    unique=contract.key == (name,),
                    other=[
                        f"{sign} {bound:g}"
                        for sign, bound in ((">=", column.ge), ("<=", column.le))
                        if bound is not None
                    ],
                ),
            )
            for name, column in contract.columns.items()
        ]
    )


def check_specs(names: Iterable[str], *, asset: str) -> list[dg.AssetCheckSpec]:
    """Return one check spec a name, for checks that the asset's own step reports."""
    return [
        dg.AssetCheckSpec(
            name,
            asset=asset,
            description=f"{name.replace('_', ' ')}: on each day of the run, before it is published.",
        )
        for name in names
    ]


def figure_markdown(figure: "Figure") -> dg.MarkdownMetadataValue:
    """Return a matplotlib figure as an image inside metadata."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90, bbox_inches="tight")
    encoded = base64.b64encode(buffer.getvalue()).decode()
    return dg.MetadataValue.md(f"![plot](data:image/png;base64,{encoded})")


def rows_table(rows: Sequence[dict[str, Any]]) -> dg.TableMetadataValue:
    """Return rows as a table in metadata; a value that is neither a number nor text becomes its text."""
    plain = [
        {
            key: value if isinstance(value, (int, float, str, bool)) else str(value)
            for key, value in row.items()
        }
        for row in rows
    ]
    schema = None if plain else dg.TableSchema(columns=[])  # Dagster infers a schema from rows only
    return dg.MetadataValue.table([dg.TableRecord(row) for row in plain], schema=schema)


def as_asset_checks(
    results: Iterable[CheckResult], *, asset: str, declared: Iterable[str]
) -> list[dg.AssetCheckResult]:
    """Return one asset check a declared name over all days of the run: worst verdict, its first days, and rows.

    Args:
        results: the audit's, of one or many days.
        asset: the asset that was audited.
        declared: names of the asset's check specs; each gets a result, also when nothing was audited.
    """
    by_name: dict[str, list[CheckResult]] = {name: [] for name in declared}
    for result in results:
        by_name[result.check].append(result)
    return [_as_asset_check(name, found, asset) for name, found in by_name.items()]


def report_days(
    context: dg.AssetExecutionContext,
    outcome: PublishOutcome,
    *,
    asset: str,
    home: Home,
    declared: Iterable[str],
    metadata: dict[str, Any],
    problems: Sequence[str] = (),
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """Report to Dagster the published days with their rows, and the results of their audit.

    Where days were rejected, the others are still materialised, and then the step fails with a summary.

    Args:
        context: of the asset's run.
        outcome: of publishing the run's days.
        asset: the asset's name.
        home: the home of the asset, for the commands that the summary names.
        declared: names of its check specs.
        metadata: of the run, beside the numbers of days and rows.
        problems: other reasons to fail, a line each.

    Raises:
        dg.Failure: at least one day was rejected, or there are other problems.
    """
    checks = as_asset_checks(outcome.results, asset=asset, declared=declared)
    rejected = [rejection_summary(outcome, asset, home=home)] if outcome.rejected else []
    if problems := [*rejected, *problems]:
        _materialise_days(context, outcome, asset)
        yield from checks
        raise dg.Failure("\n".join(problems), allow_retries=False)
    for day, rows in outcome.rows.items():
        context.add_asset_metadata({_ROWS_OF_A_DAY: rows}, partition_key=day.isoformat())
    totals = {"days": len(outcome.rows), "rows": sum(outcome.rows.values())}
    yield dg.MaterializeResult(metadata={**totals, **metadata}, check_results=checks)


def _materialise_days(context: dg.AssetExecutionContext, outcome: PublishOutcome, asset: str) -> None:
    """Record the published days of a step that is about to fail, which would record none of them."""
    version = context.assets_def.code_versions_by_key[dg.AssetKey(asset)]
    tags = {"dagster/code_version": version} if version else {}
    for day, rows in outcome.rows.items():
        metadata = {_ROWS_OF_A_DAY: rows}
        context.log_event(
            dg.AssetMaterialization(asset, partition=day.isoformat(), metadata=metadata, tags=tags)
        )


def rejection_summary(outcome: PublishOutcome, asset: str, *, home: Home) -> str:
    """Return five lines on rejected days: the days, the reason, what stays in use, and two commands."""
    first, *_ = days = sorted(outcome.rejected)
    reason = next(result for result in outcome.rejected[first] if result.verdict == "block")
    span, days_given = f"{first}", f"{first}"
    if len(days) > 1:
        span, days_given = f"{first} to {days[-1]}", f"{first}..{days[-1]}"
    return (
        f"{asset}: {len(days)} of {len(days) + len(outcome.rows)} days rejected ({span}), "
        f"{len(outcome.rows)} published.\n"
        f"Why: {first}, check {reason.check}: {reason.detail}\n"
        f"The rejected days are in quarantine; the release and the days that were good before stay in use.\n"
        f"Look: recsys quarantine show {first}{home.option}\n"
        f"Then mend the source and build again, or: recsys quarantine accept {days_given}{home.option} --why TEXT"
    )


def _as_asset_check(name: str, results: list[CheckResult], asset: str) -> dg.AssetCheckResult:
    bad = sorted(  # the first rejected day comes first
        (r for r in results if r.verdict != "ok"), key=lambda r: (r.verdict != "block", r.day or date.min)
    )
    blocked = sum(r.verdict == "block" for r in bad)
    metadata: dict[str, Any] = {
        "audited": len(results),
        "warned": sum(r.verdict == "warn" for r in bad),
        "blocked": blocked,
        **_worst_of(bad),
    }
    description = None
    if bad:
        description = f"{bad[0].day}: {bad[0].detail}" if bad[0].day else bad[0].detail
    return dg.AssetCheckResult(
        check_name=name,
        asset_key=asset,
        passed=not bad,
        severity=dg.AssetCheckSeverity.ERROR if blocked else dg.AssetCheckSeverity.WARN,
        description=description,
        metadata=metadata,
    )


def _worst_of(bad: Sequence[CheckResult]) -> dict[str, Any]:
    """Return metadata of the first results that are not ok, and the failing rows of the first that has any."""
    if not bad:
        return {}
    rows = [
        {
            "day": str(r.day),
            "verdict": r.verdict,
            "passed_share": "" if r.passed_share is None else f"{r.passed_share:.4f}",
            "failing_rows": r.failing_rows,
            "detail": r.detail,
        }
        for r in bad[:_WORST_DAYS_SHOWN]
    ]
    metadata: dict[str, Any] = {"worst": rows_table(rows)}
    shown = next((r for r in bad if r.sample), None)
    if shown is not None:
        metadata["failing_rows"] = rows_table(shown.sample)
        metadata["failing_rows_of"] = str(shown.day or "the whole table")
    return metadata


def rows_by_day_figure(rows: Mapping[date, int]) -> Figure:
    """Plot the rows of each day, in the order of time."""
    days = sorted(rows)
    figure = Figure(figsize=(8, 2.4))
    axes = figure.subplots()
    axes.step(np.array(days, dtype="datetime64[D]"), [rows[day] for day in days], where="mid", linewidth=0.8)
    axes.set(ylabel="rows", ylim=(0, None), title="Rows a day")
    axes.grid(alpha=0.3)
    figure.autofmt_xdate()
    return figure


def loss_figure(losses: Sequence[float]) -> Figure:
    """Plot the objective divided by the number of entries, after each epoch."""
    figure = Figure(figsize=(6, 3))
    axes = figure.subplots()
    axes.plot(range(1, len(losses) + 1), losses, marker="o")
    axes.set(xlabel="epoch", ylabel="objective per entry", title="iALS objective")
    axes.grid(alpha=0.3)
    return figure


def metric_figure(evaluation: pl.DataFrame, *, metric: str, k: int) -> Figure:
    """Plot one metric of every model at k, with its interval where there is one."""
    rows = evaluation.filter(pl.col("metric") == metric, pl.col("k") == k).sort("value")
    figure = Figure(figsize=(6, 0.6 + 0.4 * max(rows.height, 1)))
    axes = figure.subplots()
    values = rows["value"]
    axes.barh(
        rows["model"].to_list(),
        values.to_list(),
        xerr=[(values - rows["low"]).to_list(), (rows["high"] - values).to_list()],
    )
    axes.set(xlabel=f"{metric}@{k}, held-out days", title="Ours against the baselines")
    return figure
