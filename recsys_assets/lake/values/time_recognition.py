"""Recognition of the format of a column's times, from a sample of the column or from all of it.

Every format that the values could have is tried on the whole sample. A format is taken if most values fit and lie
between 1990 and tomorrow; a value alone decides nothing. The order of day and month shows in the values above 12.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import polars as pl

from recsys_assets.lake.values.time_formats import (
    EXCEL,
    ISO,
    MICROSECONDS_OF,
    TimeFormat,
    microseconds_per_unit,
)
from recsys_assets.source_settings import EARLIEST

TOLERANCE: Final = timedelta(days=1)
"""An event may be this much later than the day on which its source is read: clocks and time zones differ."""
SAMPLE_ROWS: Final = 2_000
_SHAPES: Final = 200
"""Values that are looked at one by one for the patterns that they could have."""
_MOST: Final = 0.5
_FACTOR: Final = 9
"""One order of day and month must explain this many times the values of the other."""
_ENOUGH: Final = 10
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?(e\+?\d+)?", re.IGNORECASE)
_EXCEL_DIGITS: Final = 5
_DIGITS: Final = {8: "%Y%m%d", 14: "%Y%m%d%H%M%S", 12: "%Y%m%d%H%M"}
_WEEKDAY: Final = r"(?P<weekday>(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*)(?P<after>,? +)"
_MONTH: Final = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_CLOCK: Final = r"\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?(?: ?[ap]\.?m\.?)?"
_DAY_PATTERNS: Final = (
    (rf"(?P<month>{_MONTH})(?P<a>\.? )(?P<day>\d\d?)(?P<b>,? )(?P<year>\d{{4}})", ("%B{a}%d{b}%Y",)),
    (
        rf"(?P<day>\d\d?)(?P<a>[-/. ]+)(?P<month>{_MONTH})(?P<b>[-/., ]+)(?P<year>\d{{4}})\b",
        ("%d{a}%B{b}%Y",),
    ),
    (rf"(?P<day>\d\d?)(?P<a>[-/. ]+)(?P<month>{_MONTH})(?P<b>[-/., ]+)(?P<year>\d\d)\b", ("%d{a}%B{b}%y",)),
    (r"\d\d?(?P<a>[ ])\d\d?(?P<b>, )\d{4}\b", ("%m{a}%d{b}%Y", "%d{a}%m{b}%Y")),
    (r"\d{4}(?P<a>[-/. ])\d\d?(?P<b>[-/. ])\d\d?\b", ("%Y{a}%m{b}%d", "%Y{a}%d{b}%m")),
    (r"\d\d?(?P<a>[-/ ])\d\d?(?P<b>[-/ ])\d{4}\b", ("%d{a}%m{b}%Y", "%m{a}%d{b}%Y")),
    (r"\d\d?(?P<a>\.)\d\d?(?P<b>\.)\d{4}\b", ("%d{a}%m{b}%Y",)),
    (r"\d\d?(?P<a>[-/])\d\d?(?P<b>[-/])\d\d\b", ("%d{a}%m{b}%y", "%m{a}%d{b}%y", "%y{a}%m{b}%d")),
    (r"\d\d?(?P<a>\.)\d\d?(?P<b>\.)\d\d\b", ("%d{a}%m{b}%y",)),
    (r"\d{8}(?=T\d{6}| \d\d?:\d\d)", ("%Y%m%d",)),
)
_DAYS: Final = [(re.compile(day, re.IGNORECASE), patterns) for day, patterns in _DAY_PATTERNS]
_START: Final = re.compile(rf"(?:{_WEEKDAY})?", re.IGNORECASE)
_TIME: Final = re.compile(rf"(?P<between>[T, ]+)(?P<clock>{_CLOCK}|\d{{6}}(?=Z|$))", re.IGNORECASE)
_YEAR_LAST: Final = re.compile(
    rf"(?P<weekday>[a-z]{{3}}) {_MONTH} +\d\d? \d\d?:\d\d:\d\d (?P<zone>[-+]\d{{4}} )?\d{{4}}", re.IGNORECASE
)
"""Such as `Sat Mar 16 17:12:45 +0000 2013` of Twitter, or of C's `ctime`."""


@dataclass(frozen=True, kw_only=True)
class Recognition:
    """The formats that a column's times could have."""

    format: TimeFormat | None = None
    """The only one that fits; None where there are none or several."""
    rivals: tuple[TimeFormat, ...] = ()
    """Orders of day and month that fit alike; empty unless there are two."""
    likely: TimeFormat | None = None
    """The rival by which the column is sorted, or lies in a far shorter time; None where nothing speaks for one."""
    implausible: tuple[TimeFormat, str] | None = None
    """A format that fits, but puts most times before 1990 or after tomorrow, and the first such time."""


def sample_of(column: pl.Series) -> pl.Series:
    """Return up to `SAMPLE_ROWS` values that are there, from the start and spread over the whole."""
    known = column.drop_nulls()
    if known.dtype == pl.String:
        known = known.filter(known.str.strip_chars() != "")
    if len(known) <= SAMPLE_ROWS:
        return known
    return pl.concat([known.head(SAMPLE_ROWS // 2), known.gather_every(len(known) // (SAMPLE_ROWS // 2))])


def is_plausible(times: pl.Series) -> pl.Series:
    """Return true for each time between 1990 and tomorrow."""
    latest = datetime.now(UTC) + TOLERANCE
    return times.is_between(EARLIEST, latest).fill_null(value=False)


def share_fitting(found: TimeFormat, sample: pl.Series) -> float:
    """Return the share of a sample's values that are plausible times in a format; 0 for no value."""
    return float(is_plausible(found.utc(sample)).mean() or 0)  # type: ignore[arg-type]


def recognise(sample: pl.Series) -> Recognition:
    """Find the format that most of a column's values have.

    Args:
        sample: values of one column of one file, of any type; nulls and empty text are ignored.
    """
    if isinstance(sample.dtype, pl.Date | pl.Datetime):
        return Recognition(format=TimeFormat(ISO))
    sample = sample_of(sample)
    scores: list[tuple[TimeFormat, pl.Series]] = []
    implausible: tuple[TimeFormat, str] | None = None
    for candidate in _candidates(sample):
        times = candidate.utc(sample)
        plausible = is_plausible(times)
        if plausible.mean() >= _MOST:  # type: ignore[operator]
            scores.append((candidate, plausible))
        elif implausible is None and times.count() >= _MOST * len(sample):
            implausible = candidate, str(times.filter(~plausible & times.is_not_null())[0])[:19]
    if not scores:
        return Recognition(implausible=implausible)
    best, fits = max(scores, key=lambda score: int(score[1].sum()))
    rivals = [(other, found) for other, found in scores if _is_other_order(other, best) and other != best]
    for rival, found in rivals:
        first, second = fits & ~found, found & ~fits
        if not _decides(int(first.sum()), int(second.sum())) and not best.utc(sample).equals(
            rival.utc(sample)
        ):
            likely = _more_likely((best, rival), sample)
            ordered = tuple(sorted((best, rival), key=lambda one: one.name))
            return Recognition(rivals=ordered, likely=likely)
    return Recognition(format=best)


def settle(rivals: Sequence[TimeFormat], columns: Iterable[pl.Series]) -> TimeFormat | None:
    """Return the order of day and month that a whole column shows; None where it fits both.

    Args:
        rivals: two formats.
        columns: the column, in parts.
    """
    first, second = rivals
    only_first = only_second = 0
    for column in columns:
        of_first, of_second = first.utc(column).is_null(), second.utc(column).is_null()
        only_first += int((of_second & ~of_first).sum())
        only_second += int((of_first & ~of_second).sum())
        if max(only_first, only_second) >= _ENOUGH and _decides(only_first, only_second):
            break
    if not _decides(only_first, only_second):
        return None
    return first if only_first > only_second else second


def _decides(one: int, other: int) -> bool:
    return max(one, other) > _FACTOR * min(one, other)


def _is_other_order(one: TimeFormat, other: TimeFormat) -> bool:
    return sorted(one.name) == sorted(other.name)


def _more_likely(rivals: tuple[TimeFormat, TimeFormat], sample: pl.Series) -> TimeFormat | None:
    """Return the rival by which the sample is nearly sorted and by the other is not, or which is far shorter."""
    ordered, spans = [], []
    for rival in rivals:
        times = rival.utc(sample).drop_nulls().to_physical().to_numpy()
        steps = np.diff(times)
        ordered.append(float(max((steps >= 0).mean(), (steps <= 0).mean())) if len(steps) else 0.0)
        spans.append(float(np.ptp(times)) if len(times) else 0.0)
    by_order = int(np.argmax(ordered))
    if ordered[by_order] >= 0.99 and ordered[1 - by_order] < 0.9:  # noqa: PLR2004  nearly all, and clearly not
        return rivals[by_order]
    shorter = int(np.argmin(spans))
    return rivals[shorter] if spans[shorter] * _FACTOR < spans[1 - shorter] else None


def _candidates(sample: pl.Series) -> list[TimeFormat]:
    """Return the formats that the values' shapes allow."""
    values = [str(value).strip() for value in sample.gather_every(max(1, len(sample) // _SHAPES))]
    if not values:
        return []
    numbers = [value for value in values if _NUMBER.fullmatch(value)]
    if len(numbers) >= _MOST * len(values):
        return [TimeFormat(name) for name in _of_numbers(numbers)]
    names = dict.fromkeys(name for value in values for name in _of_text(value))
    return [TimeFormat(name) for name in names]


def _of_numbers(values: list[str]) -> list[str]:
    middle = float(np.quantile([float(value) for value in values], 0.5, method="lower"))
    digits = len(str(int(abs(middle))))
    unit = microseconds_per_unit(middle)
    names = [_DIGITS[digits]] if digits in _DIGITS else []
    names += [name for name, size in MICROSECONDS_OF.items() if size == unit]
    return [*names, EXCEL] if digits == _EXCEL_DIGITS else names


def _of_text(value: str) -> list[str]:
    if re.match(r"\d{4}-\d\d?-\d\d?(?!\d)", value):
        return [ISO, "%Y-%d-%m"]
    if found := _YEAR_LAST.fullmatch(value):
        return [f"%a %b %d %H:%M:%S {'%z ' if found['zone'] else ''}%Y"]
    start = _START.match(value)
    name = (start and start["weekday"]) or ""
    weekday = f"{'%a' if len(name) == len('Sat') else '%A'}{start['after']}" if start and name else ""
    rest = value[start.end() if start else 0 :]
    for shape, patterns in _DAYS:
        if found := shape.match(rest):
            parts = found.groupdict()
            time = _time_pattern(rest[found.end() :])
            return [
                weekday + pattern.format(a=parts.get("a"), b=parts.get("b")) + time for pattern in patterns
            ]
    return []


def _time_pattern(text: str) -> str:
    found = _TIME.match(text)
    if not found:
        return ""
    clock, between = found["clock"].lower(), found["between"]
    if ":" not in clock:
        return f"{between}%H%M%S"
    seconds = ":%S" if clock.count(":") > 1 else ""
    if not clock.rstrip(".").endswith("m"):
        return f"{between}%H:%M{seconds}"
    return f"{between}%I:%M{seconds}{' ' if ' ' in clock else ''}%p"
