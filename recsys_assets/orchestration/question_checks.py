"""A table's questions as Dagster's asset checks: specs, the run's answers, and answers of single days.

A run answers each question once. A day that warned or was rejected also has answers of its own, under its
partition, and so has a day that is good again after it was not.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final

import dagster as dg

from recsys_assets.orchestration.metadata import rows_table
from recsys_assets.orchestration.run_results import LOOK, look_at
from recsys_assets.quality.audit_and_publish import RECENT_DAYS
from recsys_assets.quality.expectations import CheckResult
from recsys_assets.quality.questions import QUESTIONS
from recsys_assets.storage.home import Home

_WORST_SHOWN: Final = 20
_BARS: Final = "▁▂▃▄▅▆▇█"


def question_specs(
    table: str, *, asset: str, partitions: dg.PartitionsDefinition | None = None, blocking: bool = False
) -> list[dg.AssetCheckSpec]:
    """Return one check spec a question of `table`, for checks that a step reports.

    Args:
        table: the audited table, one of QUESTIONS.
        asset: the asset that shows them.
        partitions: the asset's; None where it has none.
        blocking: downstream assets of the same run wait for the answers.
    """
    return [
        dg.AssetCheckSpec(
            question.name,
            asset=asset,
            description=question.description,
            partitions_def=partitions,
            blocking=blocking,
        )
        for question in QUESTIONS[table]
    ]


def answers(
    results: Iterable[CheckResult],
    *,
    table: str,
    asset: str,
    before: Iterable[CheckResult] = (),
    audited: int = 1,
    metadata: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[dg.AssetCheckResult]:
    """Return one asset check a question of `table`: the worst verdict, its first days, single checks and rows.

    Args:
        results: the audit's, of one or many days or of a whole table; a question without any passes.
        table: the audited table.
        asset: the asset that shows them.
        before: results of the days before, for the history of each check.
        audited: number of days that were audited; of days that are ok `results` may lack some.
        metadata: question -> values to show beside the answer.
    """
    found, earlier = _by_question(table, results), _by_question(table, before)
    return [
        dg.AssetCheckResult(
            check_name=question.name,
            asset_key=asset,
            **_answer(found[question.name]),
            metadata={
                **_counts(found[question.name], audited),
                **_look(found[question.name]),
                **_detail(found[question.name], earlier[question.name]),
                **(metadata or {}).get(question.name, {}),
            },
        )
        for question in QUESTIONS[table]
    ]


def answers_of_days(
    results: Iterable[CheckResult],
    *,
    table: str,
    asset: str,
    home: Home,
    good_again: Iterable[tuple[str, date]] = (),
) -> Iterator[dg.AssetCheckEvaluation]:
    """Yield the answers that single days have under their partitions: where it is no, or was until now.

    Args:
        results: the audit's.
        table: the audited table.
        asset: the asset that shows them.
        home: the home, for the commands that look further.
        good_again: (question, day) pairs that had an answer which is not yes, and whose day was published now.
    """
    again = set(good_again)
    for question, found in _by_question(table, results).items():
        by_day = dict[date, list[CheckResult]]()
        for result in found:
            if result.day is not None:
                by_day.setdefault(result.day, []).append(result)
        days = sorted(by_day)
        for place, day in enumerate(days):
            if all(result.verdict == "ok" for result in by_day[day]):
                continue
            again.discard((question, day))
            earlier = [r for d in days[max(place - RECENT_DAYS + 1, 0) : place] for r in by_day[d]]
            rejected = any(result.verdict == "block" for result in by_day[day])
            look = f"{look_at(day, rejected=rejected)}{home.option}"
            yield _answer_of_day(
                asset, question, day, by_day[day], {**_detail(by_day[day], earlier), LOOK: look}
            )
    for question, day in sorted(again):
        yield _answer_of_day(asset, question, day, (), {})


def _answer_of_day(
    asset: str, question: str, day: date, results: Sequence[CheckResult], metadata: dict[str, Any]
) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(asset),
        check_name=question,
        partition=day.isoformat(),
        **_answer(results),
        metadata=metadata,
    )


def days_not_answered_yes(instance: dg.DagsterInstance, *, table: str, asset: str) -> list[tuple[str, date]]:
    """Return the (question, day) pairs of `asset` whose last answer is not yes."""
    keys = [dg.AssetCheckKey(dg.AssetKey(asset), question.name) for question in QUESTIONS[table]]
    return [
        (info.check_key.name, date.fromisoformat(info.partition_key))
        for info in instance.event_log_storage.get_asset_check_partition_info(keys)
        if info.partition_key is not None and info.latest_execution_status.value != "SUCCEEDED"
    ]


def _by_question(table: str, results: Iterable[CheckResult]) -> dict[str, list[CheckResult]]:
    by_check = {check: question.name for question in QUESTIONS[table] for check in question.checks}
    found: dict[str, list[CheckResult]] = {question.name: [] for question in QUESTIONS[table]}
    for result in results:
        if result.check in by_check:
            found[by_check[result.check]].append(result)
    return found


def _worst(results: Iterable[CheckResult]) -> list[CheckResult]:
    """Return the results that are not ok; the first rejected day comes first."""
    bad = (result for result in results if result.verdict != "ok")
    return sorted(bad, key=lambda r: (r.verdict != "block", r.day or date.min))


def _answer(results: Sequence[CheckResult]) -> dict[str, Any]:
    """Return verdict, severity and one sentence on the worst result."""
    bad = _worst(results)
    sentence = None
    if bad:
        about = f"{bad[0].check}: {bad[0].detail}" if bad[0].detail else bad[0].check
        sentence = f"{bad[0].day}, {about}" if bad[0].day else about
    blocked = any(result.verdict == "block" for result in bad)
    return {
        "passed": not bad,
        "severity": dg.AssetCheckSeverity.ERROR if blocked else dg.AssetCheckSeverity.WARN,
        "description": sentence,
    }


def _counts(results: Sequence[CheckResult], audited: int) -> dict[str, int]:
    """Return the numbers of days that were audited, that warned and that were rejected; nothing of a whole table."""
    if any(result.day is None for result in results):
        return {}

    def days(verdict: str) -> set[date | None]:
        return {result.day for result in results if result.verdict == verdict}

    return {
        "days_audited": audited,
        "days_warned": len(days("warn") - days("block")),
        "days_rejected": len(days("block")),
    }


def _look(results: Sequence[CheckResult]) -> dict[str, str]:
    """Return the command that shows more of the worst day; nothing where all is well, or of a whole table."""
    worst = next(iter(_worst(results)), None)
    if worst is None or worst.day is None:
        return {}
    return {LOOK: look_at(worst.day, rejected=worst.verdict == "block")}


def _detail(results: Sequence[CheckResult], before: Iterable[CheckResult]) -> dict[str, Any]:
    """Return the single checks with their history, the worst results, and the failing rows of the first of them."""
    by_check = dict[str, list[CheckResult]]()
    for result in (*before, *results):
        by_check.setdefault(result.check, []).append(result)
    newest = {result.check: result for result in results}
    metadata: dict[str, Any] = {
        "checks": rows_table([_row(result, by_check[check]) for check, result in newest.items()])
    }
    bad = _worst(results)
    if bad:
        metadata["worst"] = rows_table(
            [
                {"day": str(r.day or ""), "check": r.check, "verdict": r.verdict, "detail": r.detail}
                for r in bad[:_WORST_SHOWN]
            ]
        )
    shown = next((result for result in bad if result.sample), None)
    if shown is not None:
        metadata["failing_rows"] = rows_table(shown.sample)
        metadata["failing_rows_of"] = f"{shown.check}, {shown.day or 'the whole table'}"
    return metadata


def _row(result: CheckResult, history: Sequence[CheckResult]) -> dict[str, Any]:
    """Return a check's newest result, and its last days as bars."""
    found = result.value if result.passed_share is None else result.passed_share
    return {
        "check": result.check,
        "newest": "not judged" if found is None and result.verdict == "ok" else result.verdict,
        "found": "" if found is None else f"{found:.4g}",
        "warns": _limit(result.warn_below, result.warn_above),
        "rejects": _limit(result.block_below, result.block_above),
        "last_days": _bars(history[-RECENT_DAYS:]),
    }


def _limit(below: float | None, above: float | None) -> str:
    parts = [f"< {below:.4g}" if below is not None else "", f"> {above:.4g}" if above is not None else ""]
    return " or ".join(part for part in parts if part)


def _bars(history: Sequence[CheckResult]) -> str:
    """Return a bar a day: the failing share or the score, of the greatest shown or of the limit that warns."""
    values = [
        (1 - r.passed_share if r.passed_share is not None else abs(r.value or 0.0)) for r in history
    ]  # fmt: skip
    limits = [r.warn_above for r in history if r.warn_above is not None]
    top = max([*values, *limits, 1e-9])
    return "".join(_BARS[min(int(value / top * len(_BARS)), len(_BARS) - 1)] for value in values)
