"""Lineage across a home: from a day to the releases built on it, to the times they were served and their answers.

Nothing is changed, and nothing needs Dagster: all of it is in the releases, the records beside them, and the ledger.
"""

import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from difflib import get_close_matches
from functools import cached_property
from typing import Final

import msgspec

from recsys_assets.errors import LineageError, QuarantineError
from recsys_assets.evaluation.model_choice import ModelChoice
from recsys_assets.exports.export_state import KnownExport, exports_of
from recsys_assets.interactions.contract import INTERACTIONS
from recsys_assets.orchestration.lineage_records import AnswerLineage, DayLineage, Lineage, ReleaseLineage
from recsys_assets.quality.expectations import CheckResult
from recsys_assets.quality.ledger_place import has_ledger
from recsys_assets.quality.open_ledger import open_ledger
from recsys_assets.quality.quarantine import lineage_notes, rejected_on
from recsys_assets.quality.rejected_in_words import in_one_line
from recsys_assets.release.answer_counts import HourlyAnswers, read_answers
from recsys_assets.release.answer_id import parse_answer_id
from recsys_assets.release.answer_series import is_given, series_of
from recsys_assets.release.current import RecalledDay, read_recalled
from recsys_assets.release.gate_report import read_gate
from recsys_assets.release.manifest import Manifest
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.release.rewritten import Rewritten
from recsys_assets.release.served_times import ServedTime, served_times
from recsys_assets.storage.home import Home
from recsys_assets.storage.partition_store import PartitionStore

_RELEASE_ID: Final = re.compile(r"\d{8}-[0-9a-f]{10}", re.ASCII)


def lineage_of(home: Home, wanted: str) -> Lineage:
    """Return the lineage of a day, a release or an answer.

    Raises:
        LineageError: it is none of them, or the home has nothing of it; the message names what is near.
        BrokenReleaseError: a record of the releases cannot be read.
        AnswersUnavailableError: the counts of answers cannot be read.
    """
    records = _Records(home)
    answer = parse_answer_id(wanted)
    if answer is not None:
        release = records.release(answer.release, wanted)
        times = release.served
        is_possible = any(
            one.start <= answer.at and (one.end is None or answer.at <= one.end) for one in times
        )
        found = AnswerLineage(answer=wanted, at=answer.at, is_possible=is_possible, release=release)
        series = series_of(home.answers_db)
        if not is_given(answer, series):
            return found
        own = series[answer.series]
        return msgspec.structs.replace(found, list=own.list, experiment=own.experiment, arm=own.arm)
    if _RELEASE_ID.fullmatch(wanted):
        return records.release(wanted, wanted)
    try:
        day = date.fromisoformat(wanted)
    except ValueError:
        near = get_close_matches(wanted, records.names(), n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else "see `recsys releases list`"
        raise LineageError(
            f"{wanted[:80]}: neither a day (YYYY-MM-DD) nor the id of a release or an answer; {hint}"
        ) from None
    return records.day(day)


class _Records:
    """Everything that a home records, each read once, and only where it is needed."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._store = ReleaseStore(home.releases)

    @cached_property
    def _manifests(self) -> dict[str, Manifest]:
        return {manifest.release_id: manifest for manifest in self._store.list()}

    @cached_property
    def _current(self) -> str | None:
        return self._store.served_id()

    @cached_property
    def _served(self) -> dict[str, list[ServedTime]]:
        return served_times(self._store.promotions(), self._current)

    @cached_property
    def _rewritten(self) -> Rewritten:
        return Rewritten.load(self.home.releases)

    @cached_property
    def _answers(self) -> Sequence[HourlyAnswers]:
        return read_answers(self.home.answers_db)

    @cached_property
    def _exports(self) -> list[KnownExport]:
        return exports_of(self.home)

    @cached_property
    def _recalled(self) -> Sequence[RecalledDay]:
        return read_recalled(self.home.releases)

    @cached_property
    def _accepted(self) -> dict[date, list[str]]:
        if not has_ledger(self.home):
            return {}
        with open_ledger(self.home, reading=True) as ledger:
            return lineage_notes(ledger)

    @cached_property
    def _lake(self) -> PartitionStore:
        return PartitionStore(root=self.home.interactions, schema=INTERACTIONS.polars_schema())

    @cached_property
    def _versions(self) -> dict[date, str]:
        return {day: file.checksum for day, file in self._lake.files().items()}

    def _known_releases(self) -> list[str]:
        counted = (one.release for one in self._answers)
        return sorted({*self._manifests, *self._served, *counted, *self._rewritten.after}, reverse=True)

    def names(self) -> list[str]:
        """Return the days and ids that the home has something of."""
        return [*self._known_releases(), *map(str, self._lake.days())]

    def release(self, release_id: str, wanted: str) -> ReleaseLineage:
        """Return the lineage of a release, or raise LineageError; `wanted` is the text that was given."""
        if release_id not in self._known_releases():
            near = get_close_matches(release_id, self._known_releases(), n=3, cutoff=0.3)
            known = f"did you mean {' or '.join(near)}?" if near else "see `recsys releases list`"
            raise LineageError(f"{wanted}: this home never had the release {release_id}; {known}")
        release_id = self._rewritten.newest(release_id)
        former = self._rewritten.former(release_id)
        answers = [one for one in self._answers if one.release in {release_id, *former}]
        by_day, by_list = Counter[str](), Counter[str]()
        for one in answers:
            by_day[one.day] += one.answers
            by_list[one.list] += one.answers
        found = ReleaseLineage(
            release=release_id,
            former=former,
            kept=release_id in self._manifests,
            current=release_id == self._current,
            served=self._served.get(release_id, []),
            answers=by_day.total(),
            by_day=dict(sorted(by_day.items())),
            by_list=dict(by_list.most_common()),
            exports=[
                target
                for one in self._exports
                if {release_id, *former} & {*one.releases}
                for target in _places(one)
            ],
            gate=read_gate(self.home.releases, release_id),
        )
        manifest = self._manifests.get(release_id)
        return found if manifest is None else self._with_origin(found, manifest)

    def _with_origin(self, found: ReleaseLineage, manifest: Manifest) -> ReleaseLineage:
        days = manifest.lineage
        bad = {(one.day, one.checksum) for one in self._recalled}
        model = ""
        with suppress(
            OSError, msgspec.DecodeError, UnicodeDecodeError
        ):  # a release of an earlier version has none
            model = ModelChoice.load(self.home.releases / manifest.release_id).in_words()
        return msgspec.structs.replace(
            found,
            created_at=manifest.created_at,
            first_day=manifest.first_day,
            through_day=manifest.through_day,
            days=dict(days),
            replaced=[day for day, version in days.items() if self._versions.get(day) != version],
            recalled=[day for day, version in days.items() if (day, version) in bad],
            accepted=dict(manifest.accepted),
            warned=[_in_words(one) for one in self._warned(manifest.first_day) if one.day in days],
            model=model,
        )

    def day(self, day: date) -> DayLineage:
        """Return the lineage of a day, or raise LineageError."""
        file = self._lake.file(day)
        recalled = [one for one in self._recalled if one.day == day]
        used = [release_id for release_id, one in self._manifests.items() if day in one.lineage]
        quarantine = []
        with suppress(QuarantineError):
            quarantine = [in_one_line(one) for one in rejected_on(self.home.quarantine, day)]
        if file is None and not (recalled or used or quarantine):
            days = self._lake.days()
            known = f"the lake has {days[0]} to {days[-1]}" if days else "the lake is empty"
            raise LineageError(f"{day}: nothing of this day is here, and no release was built on it; {known}")
        gone = self._served.keys() - self._manifests.keys()
        notes = [note for one in used for note in self._manifests[one].accepted.get(day, [])]
        return DayLineage(
            day=day,
            version=None if file is None else file.checksum,
            recalled=recalled,
            accepted=list(dict.fromkeys([*self._accepted.get(day, []), *notes])),
            quarantine=quarantine,
            warned=[_in_words(one) for one in self._warned(day) if one.day == day],
            releases=[self.release(release_id, str(day)) for release_id in used],
            unknown=sorted(release for release in gone if release[:8] >= f"{day:%Y%m%d}"),
        )

    def _warned(self, since: date) -> list[CheckResult]:
        if not has_ledger(self.home):
            return []
        with open_ledger(self.home, reading=True) as ledger:
            return [one for one in ledger.attention(since=since) if one.verdict == "warn"]


def _places(export: KnownExport) -> tuple[str, ...]:
    return export.paths or (export.target,)


def _in_words(result: CheckResult) -> str:
    return f"{result.day} {result.table} {result.check}: {result.detail or f'{result.failing_rows:,} rows'}"
