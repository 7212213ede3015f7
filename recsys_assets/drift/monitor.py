"""Drift of one daily table, kept up to date: what was published before a day, and the day's judgement.

Past profiles come from the ledger, past ids from the published files; within a run every published day is
added as it is. A day is judged only by days before it, whatever else is published.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from typing import Protocol

import polars as pl

from recsys_assets import columns
from recsys_assets.drift.day_profile import Profile, decode, encode
from recsys_assets.drift.explain import bin_name, rows_behind
from recsys_assets.drift.judgement import PREFIX, SCORED, Drift, Judgement, tell
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

    def refused(self, day: date) -> None:
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
