"""The drift monitor of one daily table: it keeps the history of published days and judges the next one.

Past profiles come from the ledger, past ids from the published files; within a run each published day is added.
A day is judged only by days before it, whatever else is published. An alarm comes with the rows behind it.
An incident is no history: a version that was accepted as an exception, or recalled, teaches nothing of what is
normal, so that the next one like it is found again.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import takewhile
from typing import Final, Protocol

import polars as pl

from recsys_assets.drift.day_events import DayEvents, read_days
from recsys_assets.drift.day_profile import Profile, decode, encode
from recsys_assets.drift.day_scores import PREFIX, SCORED, DayScores, ProfileHistory
from recsys_assets.drift.explain import describe, rows_behind
from recsys_assets.drift.seen_before import FirstSeen, SeenBefore
from recsys_assets.drift.seen_snapshot import SnapshotDays, load_seen
from recsys_assets.drift.windows import KEPT_DAYS
from recsys_assets.quality.check_ledger import CheckLedger
from recsys_assets.quality.expectations import CheckResult
from recsys_assets.quality.quarantine import content_fingerprint
from recsys_assets.quality.run_expectations import json_rows
from recsys_assets.settings import QualitySettings

_CHUNK_DAYS: Final = 64
_CHUNK_ROWS: Final = 20_000
_OF_IDS: Final = {
    "users": ("new_users", "odd_user_ids", "untrimmed_user_ids"),
    "items": ("new_items", "odd_item_ids", "untrimmed_item_ids"),
}
"""Scores that are large where the ids of a day are not real ones."""


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
    events: DayEvents
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
        ledger: CheckLedger | None = None,
        catalogue: pl.DataFrame | None = None,
        recalled: Mapping[date, Collection[str]] | None = None,
    ) -> None:
        """Begin with the days in `store`, or without any.

        Args:
            table: name of the table, in results and in the ledger.
            settings: budget and limits.
            store: the published days; those before the first judged one are its history.
            ledger: keeps the profiles, so that a later run need not compute them again.
            catalogue: ITEM_CATALOGUE's columns, where there is a catalogue.
            recalled: day -> content fingerprints of its recalled versions.
        """
        self._table, self._store, self._ledger = table, store, ledger
        self._seen_before, self._history = SeenBefore(catalogue), ProfileHistory(settings)
        self._exceptions = {day: set(versions) for day, versions in (recalled or {}).items()}
        for one in ledger.exceptions() if ledger is not None else ():
            if one.table == table:
                self._exceptions.setdefault(one.day, set()).add(one.fingerprint)
        self._published = store.days() if store is not None else []
        self._last: date | None = None
        self._candidate: _Candidate | None = None
        self._prepared: dict[date, DayEvents] = {}

    def prepare(self, frames: Sequence[tuple[date, pl.DataFrame]]) -> None:
        """Read the days that are judged next in one pass; all frames have the same columns, as in `judge`."""
        self.take({day: events for (day, _), events in zip(frames, read_days(frames), strict=True)})

    def take(self, events: Mapping[date, DayEvents]) -> None:
        """Take the days that are judged next as they were read, here or by another process."""
        self._prepared = dict(events)

    def judge(self, frame: pl.DataFrame, *, day: date) -> list[CheckResult]:
        """Return one result a drift check of `day`, later than all days judged before.

        `frame` has RAW_INTERACTIONS' columns. Until `published` or `rejected` is called, judging changes nothing, so
        that several candidates for one day can be compared.
        """
        candidate = self._score(frame, day=day)
        return [self._result(name, candidate) for name in SCORED]

    def usual_share(self, name: str) -> float | None:
        """Return the usual value of the share `name`, if that of the last judged day is no news; else None."""
        return None if self._candidate is None else self._candidate.scored.usual_share(name)

    def published(self, day: date, frame: pl.DataFrame) -> None:
        """Add `day`, visible as `frame`, to the history; `frame` is the last one judged."""
        candidate = self._candidate
        if candidate is None or candidate.day != day:
            candidate = self._score(frame, day=day)
        if self._is_exception(day, frame):
            self._seen_before.add_exception(candidate.first_seen, day=day, **_real_ids(candidate.scored))
        else:
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
        events = self._prepared.get(day)
        if events is None or events.frame is not frame:
            (events,) = read_days([(day, frame)])
        profile, first_seen = self._seen_before.profile_day(events, day=day)
        scored = self._history.score(profile, day=day)
        self._candidate = _Candidate(day=day, events=events, first_seen=first_seen, scored=scored)
        return self._candidate

    def _catch_up(self, day: date) -> None:
        """Add the published days before `day` that are not in the history yet."""
        if self._store is None:
            return
        missed = [d for d in self._published if d < day and (self._last is None or d > self._last)]
        recent = missed[-KEPT_DAYS:]
        if self._last is None and recent:
            profiles = self._stored_profiles(recent[0], day)
            known = list(takewhile(profiles.__contains__, recent))
            if known:
                until = len(missed) - len(recent) + len(known)
                self._load(self._store, missed[:until], {d: profiles[d] for d in known})
                missed = missed[until:]
        prepared = self._prepared
        for frames in _chunks(self._store, missed):
            self.prepare(frames)
            for before, frame in frames:
                self.published(before, frame)
        self._prepared = prepared

    def _stored_profiles(self, since: date, before: date) -> dict[date, Profile]:
        if self._ledger is None:
            return {}
        encoded = self._ledger.profiles(self._table, since=since, before=before)
        decoded = {d: decode(profile) for d, profile in encoded.items()}
        return {d: profile for d, profile in decoded.items() if profile is not None}

    def _load(self, store: PublishedDays, days: list[date], profiles: dict[date, Profile]) -> None:
        self._last = days[-1]
        exceptions = [d for d in days if d in self._exceptions and self._is_exception(d, store.read(d))]
        usual = [d for d in days if d not in exceptions]
        sketches = [(d, profile.sketch_keys()) for d, profile in profiles.items()]
        if usual:
            load_seen(self._seen_before, store, usual, sketches, left_out=exceptions)
        for before, profile in profiles.items():
            scored = self._history.score(profile, day=before)
            if before not in exceptions:
                self._history.add(scored, day=before)
                continue
            (events,) = read_days([(before, store.read(before))])
            _, first_seen = self._seen_before.profile_day(events, day=before)
            self._seen_before.add_known(first_seen.only(**_real_ids(scored)))

    def _is_exception(self, day: date, frame: pl.DataFrame) -> bool:
        """Return True for a version of a day that was accepted as an exception, or recalled."""
        versions = self._exceptions.get(day)
        return versions is not None and content_fingerprint(frame) in versions

    def _result(self, name: str, candidate: _Candidate) -> CheckResult:
        scored, day = candidate.scored, candidate.day
        score, limits = scored.scores.get(name), scored.thresholds.get(name)
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
        rows = rows_behind(name, score, candidate.events, day=day, seen=self._seen_before)
        categories = self._seen_before.categories
        return replace(
            result,
            failing_rows=rows.height,
            sample=json_rows(rows),
            detail=describe(name, scored, categories={} if categories is None else categories.names),
        )


def _real_ids(scored: DayScores) -> dict[str, bool]:
    """Return whether the new ids of `users` and of `items` are as usual; not where that is unknown."""
    usual = scored.scores.keys() & scored.thresholds.keys() - scored.alarming
    return {ids: usual.issuperset(names) for ids, names in _OF_IDS.items()}


def _chunks(store: PublishedDays, days: Sequence[date]) -> Iterator[list[tuple[date, pl.DataFrame]]]:
    """Read days some at a time: up to `_CHUNK_DAYS`, fewer where they have many rows."""
    chunk: list[tuple[date, pl.DataFrame]] = []
    for day in days:
        chunk.append((day, store.read(day)))
        if len(chunk) == _CHUNK_DAYS or sum(frame.height for _, frame in chunk) >= _CHUNK_ROWS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
