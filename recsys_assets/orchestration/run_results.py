"""Results of a Dagster run in words: answers that are no, reasons of failures, amounts."""

from datetime import date
from typing import Final

import dagster as dg

from recsys_assets.quality.audit_and_publish import PublishOutcome
from recsys_assets.storage.home import Home

LOOK: Final = "look"
"""Metadata of an answer that is no: the command that shows more of its first day."""


def look_at(day: date, *, rejected: bool) -> str:
    """Return the command that shows more of a day, without the option of its home."""
    return f"recsys {'quarantine show' if rejected else 'report'} {day}"


_OWN_ERRORS: Final = "recsys_assets.errors"
"""Module of the errors whose message is for people, without the name of its class."""


def answer_in_words(check: dg.AssetCheckEvaluation, *, home: Home) -> str:
    """Return a line on a check that did not pass: asset, question, days, the first reason, and a command."""
    days = [value for name in ("days_warned", "days_rejected") if (value := check.metadata.get(name))]
    count = sum(int(str(value.value)) for value in days)
    parts = [counted(count, "day") if count > 1 else "", check.description or ""]
    said = ", ".join(part for part in parts if part)
    question = check.check_name.replace("_", " ")
    look = check.metadata.get(LOOK)
    see = f"; see `{look.value}{home.option}`" if look is not None else ""
    return f"{check.asset_key.to_user_string()}: {question}" + (
        f": no ({said}){see}" if said else f": no{see}"
    )


def was_interrupted(event: dg.DagsterEvent) -> bool:
    """Return True of the failure of a step that Ctrl-C or SIGTERM stopped."""
    error = event.step_failure_data.error
    return error is not None and error.cls_name == "DagsterExecutionInterruptedError"


def reason_of(event: dg.DagsterEvent) -> str:
    """Return the message of a step's failure, without its traceback."""
    failure = event.step_failure_data
    if failure.user_failure_data is not None and failure.user_failure_data.description:
        return str(failure.user_failure_data.description)
    error = failure.error
    cause = error.cause if error is not None and error.cause is not None else error
    if cause is None:
        return f"step {event.step_key} failed"
    return str(cause.message).strip().removeprefix(f"{_OWN_ERRORS}.{cause.cls_name}: ")


def counted(number: int, noun: str) -> str:
    """Return `1 day`, `2 days`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


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
