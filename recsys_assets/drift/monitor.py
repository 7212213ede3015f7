"""The drift monitor of one daily table: it keeps the history of published days and judges the next one.

Past profiles come from the ledger, past ids from the published files; within a run each published day is added.
A day is judged only by days before it, whatever else is published. An alarm comes with the rows behind it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final, Protocol

import numpy as np
import polars as pl

from recsys_assets import columns
from recsys_assets.drift.day_events import keys_of
from recsys_assets.drift.day_profile import (
    BINS_PER_OCTAVE,
    COUNTS,
    SHARES,
    Profile,
    bin_edges,
    decode,
    encode,
    log_bins,
)
from recsys_assets.drift.day_scores import PREFIX, SCORED, DayScores, ProfileHistory
from recsys_assets.drift.scores import Score
from recsys_assets.drift.seen_before import FirstSeen, SeenBefore
from recsys_assets.drift.seen_snapshot import SnapshotDays, load_seen
from recsys_assets.drift.windows import KEPT_DAYS
from recsys_assets.quality.expectations import CheckResult
from recsys_assets.quality.ledger import Ledger
from recsys_assets.quality.run_expectations import json_rows
from recsys_assets.settings import QualitySettings


class PublishedDays(SnapshotDays, Protocol):
    """The visible days of the table."""

    def days(self) -> list[date]:
        """Days that have a file, oldest first."""

    def read(self, day: date) -> pl.DataFrame:
        """One day's rows."""


@dataclass(frozen=True, kw_only=True)
class _Candidate:
    """The last day that was judged; it joins the history if it is published."""

    day: date
    first_seen: FirstSeen
    scored: DayScores


class Monitor:
    """Judges the days of one table in ascending order, and learns which were published and which rejected."""

    def __init__(
        self,
        table: str,
        settings: QualitySettings,
        *,
        store: PublishedDays | None = None,
        ledger: Ledger | None = None,
        catalogue: pl.DataFrame | None = None,
    ) -> None:
        """Begin with the days in `store`, or without any.

        Args:
            table: name of the table, in results and in the ledger.
            settings: budget and limits.
            store: the published days; those before the first judged one are its history.
            ledger: keeps the profiles, so that a later run need not compute them again.
            catalogue: ITEM_CATALOGUE's columns, where there is a catalogue.
        """
        self._table, self._store, self._ledger = table, store, ledger
        self._seen_before, self._history = SeenBefore(catalogue), ProfileHistory(settings)
        self._published = store.days() if store is not None else []
        self._last: date | None = None
        self._candidate: _Candidate | None = None

    def judge(self, frame: pl.DataFrame, *, day: date) -> list[CheckResult]:
        """Return one result a drift check of `day`, later than all days judged before.

        `frame` has RAW_INTERACTIONS' columns. Until `published` or `rejected` is called, judging changes nothing, so
        that several candidates for one day can be compared.
        """
        scored = self._score(frame, day=day).scored
        return [self._result(name, scored, frame, day) for name in SCORED]

    def published(self, day: date, frame: pl.DataFrame) -> None:
        """Add `day`, visible as `frame`, to the history; `frame` is the last one judged."""
        candidate = self._candidate
        if candidate is None or candidate.day != day:
            candidate = self._score(frame, day=day)
        self._seen_before.add(candidate.first_seen, day=day)
        self._history.add(candidate.scored, day=day)
        self._last, self._candidate = day, None
        if self._ledger is not None:
            self._ledger.put_profiles(self._table, {day: encode(candidate.scored.profile)})

    def rejected(self, day: date) -> None:
        """Keep out the last frame judged for `day`; the one published before, if any, stays in the history."""
        self._candidate = None
        if self._store is not None and day in self._published:
            self.published(day, self._store.read(day))

    def _score(self, frame: pl.DataFrame, *, day: date) -> _Candidate:
        self._catch_up(day)
        profile, first_seen = self._seen_before.profile_day(frame, day=day)
        scored = self._history.score(profile, day=day)
        self._candidate = _Candidate(day=day, first_seen=first_seen, scored=scored)
        return self._candidate

    def _catch_up(self, day: date) -> None:
        """Add the published days before `day` that are not in the history yet."""
        if self._store is None:
            return
        missed = [d for d in self._published if d < day and (self._last is None or d > self._last)]
        recent = missed[-KEPT_DAYS:]
        if self._last is None and recent:
            profiles = self._stored_profiles(recent[0], day)
            if all(d in profiles for d in recent):
                self._load(self._store, missed, {d: profiles[d] for d in recent})
                return
        for before in missed:
            self.published(before, self._store.read(before))

    def _stored_profiles(self, since: date, before: date) -> dict[date, Profile]:
        if self._ledger is None:
            return {}
        encoded = self._ledger.profiles(self._table, since=since, before=before)
        decoded = {d: decode(profile) for d, profile in encoded.items()}
        return {d: profile for d, profile in decoded.items() if profile is not None}

    def _load(self, store: PublishedDays, days: list[date], profiles: dict[date, Profile]) -> None:
        self._last = days[-1]
        sketches = [(d, profile.sketch_keys()) for d, profile in profiles.items()]
        load_seen(self._seen_before, store, days, sketches)
        for before, profile in profiles.items():
            self._history.add(self._history.score(profile, day=before), day=before)

    def _result(self, name: str, scored: DayScores, frame: pl.DataFrame, day: date) -> CheckResult:
        score, limits = scored.scores.get(name), scored.thresholds
        if score is None or limits is None:
            return CheckResult(table=self._table, check=PREFIX + name, day=day, verdict="ok")
        result = CheckResult(
            table=self._table,
            check=PREFIX + name,
            day=day,
            verdict=self._history.verdict(name, scored),
            value=abs(score.score),
            warn_above=limits.warn,
            block_above=limits.block,
        )
        if result.verdict == "ok":
            return result
        rows = rows_behind(name, score, frame, day=day, seen=self._seen_before)
        categories = self._seen_before.categories
        return replace(
            result,
            failing_rows=rows.height,
            sample=json_rows(rows),
            detail=describe(name, scored, categories={} if categories is None else categories.names),
        )


_NULLS: Final = {
    "null_users": columns.USER_ID,
    "null_items": columns.ITEM_ID,
    "null_ratings": columns.RATING,
    "null_quantities": columns.QUANTITY,
    "null_values": columns.VALUE,
}
_NUMBERS: Final = {
    "rating": pl.col(columns.RATING),
    "value": pl.col(columns.VALUE),
    "quantity": pl.col(columns.QUANTITY),
    "price": pl.col(columns.VALUE) / pl.col(columns.QUANTITY),
}
_FILTERS: Final = {
    **{share: pl.col(column).is_null() for share, column in _NULLS.items()},
    "quantities_not_positive": pl.col(columns.QUANTITY) <= 0,
    "negative_values": pl.col(columns.VALUE) < 0,
    "duplicate_rows": ~pl.struct(
        columns.USER_ID, columns.ITEM_ID, columns.TIMESTAMP, columns.RATING, columns.QUANTITY, columns.VALUE
    ).is_first_distinct(),
}
_TOP: Final = {"top_user_rows": columns.USER_ID, "top_item_rows": columns.ITEM_ID}


def describe(name: str, scored: DayScores, *, categories: Mapping[str, Sequence[str]]) -> str:
    """Return one sentence on the score `name`: the value found and the expected one.

    Args:
        name: one of `scored.scores`.
        scored: the day.
        categories: `department`, `category` -> names by number.
    """
    score = scored.scores[name]
    title = name.replace("_", " ")
    if name in COUNTS:
        return f"{title}: {score.found:,.0f}, about {score.expected:,.0f} expected"
    if name in SHARES:
        return f"{title}: {score.found:.2%}, about {score.expected:.2%} expected"
    if name.startswith("mean_"):
        return f"{title.replace('mean log', 'typical')}: {_typical(name, score)}"
    typical = f"mean_log_{name.removesuffix('_shape')}"
    mostly = f" (typically {_typical(typical, scored.scores[typical])})" if scored.alarms(typical) else ""
    label = "" if score.where is None else _bin_label(name, score.where, categories)
    return (
        f"{title}: {score.affected:.0%} of the rows lie elsewhere than usual{mostly}; "
        f"{label} has {score.found:.2%} instead of {score.expected:.2%}"
    )


def rows_behind(name: str, score: Score, frame: pl.DataFrame, *, day: date, seen: SeenBefore) -> pl.DataFrame:
    """Return the rows of `frame` that the score `name` alarms about; none where the alarm is about missing rows."""
    if name in _TOP:
        counts = frame[_TOP[name]].drop_nulls().value_counts(sort=True)
        return frame.filter(pl.col(_TOP[name]) == counts.item(0, 0)) if counts.height else frame.clear()
    if score.where is not None:
        return frame.clear() if score.surplus is None else _rows_in_bin(name, score.surplus, frame, seen)
    if score.found <= score.expected:
        return frame.clear()
    if name == "rows_outside_day":
        return frame.filter((pl.col(columns.TIMESTAMP).dt.date() != day).fill_null(value=True))
    if name in _FILTERS:
        return frame.filter(_FILTERS[name])
    mask = seen.mask_of(name, frame, day=day)
    return frame.filter(mask) if mask is not None else frame.clear()


def _typical(name: str, score: Score) -> str:
    """Return the mean found and expected; of logarithms the geometric mean, in the unit of the column."""
    found, expected = (np.exp(value) if "_log_" in name else value for value in (score.found, score.expected))
    return f"{found:.3g}, about {expected:.3g} expected"


def _bin_label(name: str, where: int, categories: Mapping[str, Sequence[str]]) -> str:
    histogram = _histogram_of(name)
    if histogram == "hour":
        return f"hour {where:02d}"
    if histogram in categories:
        names = categories[histogram]
        return f"{histogram} {names[where] if where < len(names) else 'other'}"
    low, high = bin_edges(where, per_octave=BINS_PER_OCTAVE[histogram])
    return f"{histogram} {low:.3g}" if low == high else f"{histogram} {low:.3g} to {high:.3g}"


def _rows_in_bin(name: str, where: int, frame: pl.DataFrame, seen: SeenBefore) -> pl.DataFrame:
    histogram = _histogram_of(name)
    if histogram == "hour":
        return frame.filter(pl.col(columns.TIMESTAMP).dt.hour() == where)
    if histogram not in _NUMBERS:
        if seen.categories is None:
            return frame.clear()
        keys = frame.select(keys_of(pl.col(columns.ITEM_ID))).to_series().to_numpy()
        return frame.filter(seen.categories.has_category(histogram, where, keys))
    numbers = (
        frame.select(_NUMBERS[histogram].cast(pl.Float64).fill_null(float("nan"))).to_series().to_numpy()
    )
    finite = np.isfinite(numbers)
    bins = np.full(len(numbers), np.iinfo(np.int64).min)
    bins[finite] = log_bins(numbers[finite], per_octave=BINS_PER_OCTAVE[histogram])
    return frame.filter(pl.Series(bins == where))


def _histogram_of(name: str) -> str:
    return name.removesuffix("_shape").removesuffix("_mix")
