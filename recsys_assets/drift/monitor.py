"""Drift of one daily table, kept up to date: what was published before a day, and the day's judgement.

Past profiles come from the ledger, past ids from the published files; within a run every published day is
added as it is. A day is judged only by days before it, whatever else is published.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Final, Protocol

import numpy as np
import polars as pl

from recsys_assets import columns
from recsys_assets.drift.day_events import keys_of
from recsys_assets.drift.day_profile import BINS_PER_OCTAVE, Profile, bin_edges, decode, encode, log_bins
from recsys_assets.drift.judgement import PREFIX, SCORED, Drift, Judgement, tell
from recsys_assets.drift.scores import Score
from recsys_assets.drift.seen_before import DayTrace, Memory
from recsys_assets.drift.windows import KEPT_DAYS
from recsys_assets.quality.expectations import CheckResult
from recsys_assets.quality.ledger import Ledger
from recsys_assets.quality.run_expectations import json_rows
from recsys_assets.settings import QualitySettings


class PublishedDays(Protocol):
    """What is visible of the table now."""

    def days(self) -> list[date]:
        """Days that have a file, oldest first."""

    def read(self, day: date) -> pl.DataFrame:
        """One day's rows."""

    def scan(self, days: Iterable[date]) -> pl.LazyFrame:
        """The days' rows."""


class Monitor:
    """Judges the days of one table in ascending order; told which were published and which refused."""

    def __init__(
        self,
        table: str,
        settings: QualitySettings,
        *,
        store: PublishedDays | None = None,
        ledger: Ledger | None = None,
        catalogue: pl.DataFrame | None = None,
    ) -> None:
        """Begin with what `store` holds, or with nothing.

        Args:
            table: name of the table, in results and in the ledger.
            settings: budget and limits.
            store: the published days; those before the first judged one are its history.
            ledger: keeps the profiles, so that a later run need not make them again.
            catalogue: ITEM_CATALOGUE's columns, where there is a catalogue.
        """
        self._table, self._store, self._ledger = table, store, ledger
        self._memory, self._drift = Memory(catalogue), Drift(settings)
        self._published = store.days() if store is not None else []
        self._last: date | None = None
        self._seen: tuple[date, Profile, DayTrace, Judgement] | None = None

    def judge(self, frame: pl.DataFrame, *, day: date) -> list[CheckResult]:
        """One result a drift check, of a `day` later than all judged before; `frame` as RAW_INTERACTIONS.

        Judging again without telling `published` or `refused` changes nothing, so that several candidates for
        one day can be compared.
        """
        self._catch_up(day)
        profile, trace = self._memory.look(frame, day=day)
        judgement = self._drift.judge(profile, day=day)
        self._seen = (day, profile, trace, judgement)
        return [self._result(name, judgement, frame, day) for name in SCORED]

    def published(self, day: date, frame: pl.DataFrame) -> None:
        """`day` is visible as `frame`, which was the last one judged."""
        if self._seen is None or self._seen[0] != day:
            self.judge(frame, day=day)
        self._keep()

    def rejected(self, day: date) -> None:
        """`day` is not visible; what was published for it before still is."""
        self._seen = None
        if self._store is not None and day in self._published:
            self.published(day, self._store.read(day))

    def _keep(self) -> None:
        assert self._seen is not None  # noqa: S101  both callers have just judged
        day, profile, trace, judgement = self._seen
        self._memory.remember(trace, day=day)
        self._drift.remember(judgement, day=day)
        self._last, self._seen = day, None
        if self._ledger is not None:
            self._ledger.put_profiles(self._table, {day: encode(profile)})

    def _catch_up(self, day: date) -> None:
        """Remember the published days before `day` that are not remembered yet."""
        if self._store is None:
            return
        first = self._last is None
        missed = [d for d in self._published if d < day and (self._last is None or d > self._last)]
        recent = missed[-KEPT_DAYS:]
        profiles = self._kept_profiles(recent[0], day) if first and recent else {}
        if first and recent and all(d in profiles for d in recent):
            self._recall(missed, {d: profiles[d] for d in recent})
            return
        for before in missed:
            self.published(before, self._store.read(before))

    def _kept_profiles(self, since: date, before: date) -> dict[date, Profile]:
        if self._ledger is None:
            return {}
        encoded = self._ledger.profiles(self._table, since=since, before=before)
        decoded = {d: decode(profile) for d, profile in encoded.items()}
        return {d: profile for d, profile in decoded.items() if profile is not None}

    def _recall(self, days: list[date], profiles: dict[date, Profile]) -> None:
        assert self._store is not None  # noqa: S101  the caller looked
        self._last = days[-1]
        ids = self._store.scan(days).select(columns.USER_ID, columns.ITEM_ID, columns.RATING)
        self._memory.recall(ids, [(d, profile.sketch_keys()) for d, profile in profiles.items()])
        for before, profile in profiles.items():
            self._drift.remember(self._drift.judge(profile, day=before), day=before)

    def _result(self, name: str, judgement: Judgement, frame: pl.DataFrame, day: date) -> CheckResult:
        score, limits = judgement.scores.get(name), judgement.thresholds
        if score is None or limits is None:
            return CheckResult(table=self._table, check=PREFIX + name, day=day, verdict="ok")
        verdict = self._drift.verdict(name, judgement)
        result = CheckResult(
            table=self._table,
            check=PREFIX + name,
            day=day,
            verdict=verdict,
            value=abs(score.score),
            warn_above=limits.warn,
            block_above=limits.block,
        )
        if verdict == "ok":
            return result
        rows = rows_behind(name, score, frame, day=day, memory=self._memory)
        categories = self._memory.categories.names if self._memory.categories is not None else {}
        label = bin_name(name, score.where, categories) if score.where is not None else ""
        return replace(
            result,
            failing_rows=rows.height,
            sample=json_rows(rows),
            detail=tell(name, judgement, bin_name=label),
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
    "quantities_not_positive": pl.col(columns.QUANTITY) <= 0,
    "negative_values": pl.col(columns.VALUE) < 0,
    "duplicate_rows": ~pl.struct(
        columns.USER_ID, columns.ITEM_ID, columns.TIMESTAMP, columns.RATING, columns.QUANTITY, columns.VALUE
    ).is_first_distinct(),
}
_TOP: Final = {"top_user_rows": columns.USER_ID, "top_item_rows": columns.ITEM_ID}


def rows_behind(name: str, score: Score, frame: pl.DataFrame, *, day: date, memory: Memory) -> pl.DataFrame:
    """The rows of `frame` that the check `name` (without prefix) alarms about; none for what is fewer."""
    if name in _TOP:
        counts = frame[_TOP[name]].drop_nulls().value_counts(sort=True)
        return frame.filter(pl.col(_TOP[name]) == counts.item(0, 0)) if counts.height else frame.clear()
    if score.where is not None:
        return frame.clear() if score.surplus is None else _rows_in_bin(name, score.surplus, frame, memory)
    if score.found <= score.expected:
        return frame.clear()
    filters = {
        **_FILTERS,
        **{share: pl.col(column).is_null() for share, column in _NULLS.items()},
        "rows_outside_day": (pl.col(columns.TIMESTAMP).dt.date() != day).fill_null(value=True),
    }
    if name in filters:
        return frame.filter(filters[name])
    strangers = memory.strangers(name, frame, day=day)
    return frame.filter(strangers) if strangers is not None else frame.clear()


def bin_name(check: str, where: int, categories: Mapping[str, Sequence[str]]) -> str:
    """What a person calls the bin `where` of the histogram behind `check`."""
    histogram = check.removesuffix("_shape").removesuffix("_mix")
    if histogram == "hour":
        return f"hour {where:02d}"
    if histogram in categories:
        names = categories[histogram]
        return f"{histogram} {names[where] if where < len(names) else 'other'}"
    low, high = bin_edges(where, per_octave=BINS_PER_OCTAVE[histogram])
    return f"{histogram} {low:.3g}" if low == high else f"{histogram} {low:.3g} to {high:.3g}"


def _rows_in_bin(check: str, where: int, frame: pl.DataFrame, memory: Memory) -> pl.DataFrame:
    histogram = check.removesuffix("_shape").removesuffix("_mix")
    if histogram == "hour":
        return frame.filter(pl.col(columns.TIMESTAMP).dt.hour() == where)
    if histogram not in _NUMBERS:
        if memory.categories is None:
            return frame.clear()
        keys = frame.select(keys_of(pl.col(columns.ITEM_ID))).to_series().to_numpy()
        return frame.filter(memory.categories.are(histogram, where, keys))
    numbers = (
        frame.select(_NUMBERS[histogram].cast(pl.Float64).fill_null(float("nan"))).to_series().to_numpy()
    )
    finite = np.isfinite(numbers)
    bins = np.full(len(numbers), np.iinfo(np.int64).min)
    bins[finite] = log_bins(numbers[finite], per_octave=BINS_PER_OCTAVE[histogram])
    return frame.filter(pl.Series(bins == where))
