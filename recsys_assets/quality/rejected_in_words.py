"""A rejected day in words: numbers and plain reasons first, then checks, rows as they were, and the ways out."""

from collections.abc import Mapping
from typing import Any, Final

from recsys_assets import columns
from recsys_assets.quality.expectations import CheckResult
from recsys_assets.quality.quarantine import RECALLED, RejectedDay
from recsys_assets.quality.questions import question_of
from recsys_assets.quality.row_account import REASONS

_SHOWN_ROWS: Final = 5
_ALWAYS: Final = (columns.USER_ID, columns.ITEM_ID, columns.TIMESTAMP)
_REASON: Final = "reason"
_BY_HISTORY: Final = "drift_"
"""Beginning of the checks that compare a day with those before it."""
_WORDS: Final = {
    "user_id_not_null": "without a user",
    "item_id_not_null": "without an item",
    "timestamp_not_null": "without a time",
    "timestamp_between": "with a time outside of their day",
    "user_id_matches": "with blanks around the user's id",
    "item_id_matches": "with blanks around the item's id",
    "rating_finite": "with a rating that is not finite",
    "quantity_finite": "with a quantity that is not finite",
    "value_finite": "with a value that is not finite",
    "quantity_positive": "with a quantity of 0 or less",
    "value_not_negative": "with a value below 0",
}
"""Check of raw rows -> words that follow the number of rows that fail."""


def reasons_in_words(rejected: RejectedDay) -> list[str]:
    """Return one sentence a reason, such as `70 of 100 rows without a user (no_user)`, most rows first."""
    recalled = [f"{RECALLED}: {result.detail}" for result in rejected.reasons if result.check == RECALLED]
    if recalled:
        return recalled
    if rejected.account is not None and rejected.account.reasons:
        account = rejected.account
        most_first = sorted(account.reasons.items(), key=lambda item: -item[1].rows)
        return [
            f"{found.rows:,} of {_rows(account.rows)} {REASONS[name]} ({name})" for name, found in most_first
        ]
    return [_in_words(result, rejected.rows) for result in rejected.reasons]


def in_one_line(rejected: RejectedDay) -> str:
    """Return day, table, and the first reason."""
    reasons = reasons_in_words(rejected)
    more = f", and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    return f"{rejected.day}  {rejected.table}  {reasons[0] if reasons else _rows(rejected.rows)}{more}"


def in_full(rejected: RejectedDay) -> list[str]:
    """Return the lines on one table's rejected day: reasons, checks with their limits, and some failing rows."""
    delivered = rejected.rows if rejected.account is None else rejected.account.rows
    lines = [f"{rejected.day} {rejected.table}: {_rows(delivered)} rejected"]
    lines += [f"  {reason}" for reason in reasons_in_words(rejected)]
    for result in rejected.reasons:
        question = question_of(result.table, result.check)
        asks = f"{question.asks} " if question is not None else ""
        lines.append(f"  {asks}Check {result.check}: {_limits(result)}")
        lines += [f"    {row_in_words(row)}" for row in result.sample[:_SHOWN_ROWS]]
        if result.failing_rows > _SHOWN_ROWS and result.sample:
            lines.append(f"    … {result.failing_rows - _SHOWN_ROWS:,} more")
    return lines


def ways_out(rejected: RejectedDay, *, option: str) -> list[str]:
    """Return the commands that accept the day, remove it, or land it again; they end with `option`, the home's."""
    day = rejected.day
    by_history = any(result.check.startswith(_BY_HISTORY) for result in rejected.reasons)
    as_normal = (
        f"If it is the new normal:       recsys quarantine accept {day}{option} --why TEXT --as-normal"
    )
    return [
        f"To publish it as it is:        recsys quarantine accept {day}{option} --why TEXT",
        *([as_normal] if by_history else []),
        f"To leave it out:               recsys quarantine drop {day}{option}",
        f"After the source was mended:   recsys land --from {day}{option}",
    ]


def row_in_words(row: Mapping[str, Any]) -> str:
    """Return a failing row: its reason where it has one, ids and time, and every other value that is there."""
    values = {name: row[name] for name in _ALWAYS if name in row}
    values |= {name: value for name, value in row.items() if value is not None and name != _REASON}
    said = ", ".join(f"{name}={value}" for name, value in values.items())
    return f"{row[_REASON]}: {said}" if row.get(_REASON) else said


def _in_words(result: CheckResult, rows: int) -> str:
    if result.check in _WORDS:
        return f"{result.failing_rows:,} of {_rows(rows)} {_WORDS[result.check]} ({result.check})"
    return f"{result.check}: {result.detail}" if result.detail else result.check


def _limits(result: CheckResult) -> str:
    """Return the share or value found, and from where the check warns and rejects."""
    if result.passed_share is not None:
        found = f"{result.passed_share:.1%} of the rows pass"
        limits = [
            f"{verb} below {limit:.0%}"
            for verb, limit in (("warns", result.warn_below), ("rejects", result.block_below))
            if limit is not None
        ]
    else:
        found = result.detail or (f"{result.value:g}" if result.value is not None else "")
        limits = [
            f"{verb} {side} {limit:g}"
            for verb, side, limit in (
                ("warns", "below", result.warn_below),
                ("warns", "above", result.warn_above),
                ("rejects", "below", result.block_below),
                ("rejects", "above", result.block_above),
            )
            if limit is not None
        ]
    return f"{found}; it {', '.join(limits)}" if limits else found


def _rows(number: int) -> str:
    return f"{number:,} row{'' if number == 1 else 's'}"
