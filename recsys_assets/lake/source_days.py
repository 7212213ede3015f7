"""A source counted by file and day: rows, a hash of them, and an account; only files that changed are read again."""

import hashlib
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from typing import Final, Self

import msgspec
import polars as pl

from recsys_assets import columns
from recsys_assets.errors import InputError
from recsys_assets.lake.day_content import DayContent, EventDay
from recsys_assets.lake.event_days import event_days
from recsys_assets.lake.file_contents import FileContent, contents_of
from recsys_assets.lake.files.rows_aside import DUPLICATE_FILE, RowsAside
from recsys_assets.lake.sources.date_range import RowsByDay
from recsys_assets.lake.sources.source import Source
from recsys_assets.quality.row_account import RowAccount, RowsOfReason
from recsys_assets.source_settings import SourceSettings
from recsys_assets.storage.atomic import replace_file, replaced_file
from recsys_assets.storage.database_urls import is_query
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import locked

_COUNTS: Final = pl.Schema({"file": pl.String, "day": pl.Date, "rows": pl.Int64, "content": pl.UInt64})
"""Columns of the Parquet file. `content` is the wrapping sum of polars' hashes of the day's rows in the file. A hash
is the same within one version of polars: after another one, a file that changed has all of its days landed again."""
_NOTE: Final = "recsys.source"
"""Key of the rest in the Parquet file's metadata: a `_Note`."""
_VERSION: Final = 1
OUTSIDE_RANGE: Final = "outside_range"
"""Reason: the row's day is no partition."""


class SurveyedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a source, when it was read last."""

    state: str
    """Its state before it was read (`Source.parts`)."""
    account: RowAccount
    """The rows read and those that could not be."""


class _Note(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    reading: str
    fingerprint: str
    on_disk: str = ""
    files: dict[str, SurveyedFile]
    contents: dict[str, FileContent] = {}


@dataclass(frozen=True, kw_only=True)
class SourceDays:
    """Rows of each file and day of a source."""

    fingerprint: str = ""
    """The source's, which covers files without events too, such as those of its catalogue."""
    on_disk: str = ""
    """`state_on_disk` before it was read; empty where that is not known."""
    files: Mapping[str, SurveyedFile] = field(default_factory=dict)
    """Name of each file, in the source's order, and its account."""
    contents: Mapping[str, FileContent] = field(default_factory=dict)
    """Path of each file, those of the catalogue too, and its content; empty where the source is no files."""
    counts: pl.DataFrame = field(default_factory=_COUNTS.to_frame)
    """One row a file and day that has events: `file`, `day`, `rows`, `content`."""
    events: Mapping[date, EventDay] = field(default_factory=dict)
    """Day -> its events by HTTP, which are not saved here."""
    rows_to: date = date.max
    """The last day whose rows in the source count."""

    @classmethod
    def load(cls, home: Home, source: SourceSettings) -> Self | None:
        """Read what `save` wrote, with events; None where it is missing, damaged, of another version or source."""
        try:
            stored = pl.read_parquet_metadata(home.source_days)[_NOTE]
            note = msgspec.json.decode(stored.encode(), type=_Note)
            if (note.version, note.reading) != (_VERSION, reading_of(source)):
                return None
            counts = pl.read_parquet(home.source_days, hive_partitioning=False, glob=False)
            return cls(
                fingerprint=note.fingerprint,
                on_disk=note.on_disk,
                files=note.files,
                contents=note.contents,
                counts=counts.match_to_schema(_COUNTS),
            ).with_events(home, source)
        except (OSError, KeyError, msgspec.MsgspecError, pl.exceptions.PolarsError):
            return None

    def with_events(self, home: Home, source: SourceSettings, *, today: date | None = None) -> Self:
        """Return the same source with the events by HTTP as they are now; `today` as in `event_days`."""
        return replace(self, events=event_days(home, today=today), rows_to=source.own_last_day)

    def save(self, home: Home, source: SourceSettings) -> None:
        """Write the counts, and the account of the whole source for the days of `source`, atomically."""
        note = _Note(
            version=_VERSION,
            reading=reading_of(source),
            fingerprint=self.fingerprint,
            on_disk=self.on_disk,
            files=dict(self.files),
            contents=dict(self.contents),
        )
        with locked(home.lock("source")):  # Dagster's sensor counts the source while a build does
            with replaced_file(home.source_days) as staged:
                self.counts.write_parquet(staged, metadata={_NOTE: msgspec.json.encode(note).decode()})
            replace_file(home.source_account, msgspec.json.encode(self.account(source)))

    @cached_property
    def content(self) -> str:
        """A hash of the files' contents in their order, whatever their names; empty where it is not known."""
        joined = "\n".join(one.sha256 for one in self.contents.values())
        return hashlib.sha256(joined.encode()).hexdigest() if joined else ""

    @cached_property
    def duplicates(self) -> dict[str, str]:
        """File -> the earlier one that has the same rows; it is not landed."""
        of_file = self.counts.group_by("file").agg(
            pl.col("rows").sum(), pl.struct("day", "rows", "content").hash().sum().alias("content")
        )
        same = {name: (rows, content) for name, rows, content in of_file.iter_rows()}
        first: dict[tuple[int, int], str] = {}
        found = {}
        for name in self.files:
            if name in same and first.setdefault(same[name], name) != name:
                found[name] = first[same[name]]
        return found

    @cached_property
    def rows(self) -> RowsByDay:
        """Events by day, wherever their dates lie, without those of duplicate files."""
        return RowsByDay.from_frame(self._landed.select("day", "rows"))

    def of_day(self, day: date) -> DayContent:
        """Return the rows of one day, without those of duplicate files."""
        found = self._by_day.get(day, DayContent()) if day <= self.rows_to else DayContent()
        return replace(found, events=self.events.get(day))

    def is_idle(self, day: date) -> bool:
        """Return True of a day after the source's last one that has no event: there is nothing to land."""
        return day > self.rows_to and day not in self.events

    def files_with(self, days: Iterable[date]) -> list[str]:
        """Return the files that have rows of these days, in the source's order, without duplicate files."""
        wanted = [day for day in days if day <= self.rows_to]
        found = set(self._landed.filter(pl.col("day").is_in(wanted))["file"])
        return [name for name in self.files if name in found]

    def account(self, source: SourceSettings) -> RowAccount:
        """Return the account of all files: events of the days of `source` are kept."""
        total = RowAccount()
        for name, file in self.files.items():
            total = total.plus(
                _all_left_out(file.account, name, self.duplicates[name])
                if name in self.duplicates
                else file.account
            )
        outside = self.rows.outside(source.first_day, source.own_last_day)
        if not outside.total:
            return total
        left_out = RowsOfReason(rows=outside.total, example=str(outside))
        inside = RowAccount(kept=total.kept - outside.total, reasons=total.reasons)
        return inside.plus(RowAccount(reasons={OUTSIDE_RANGE: left_out}))

    @cached_property
    def _landed(self) -> pl.DataFrame:
        return self.counts.filter(~pl.col("file").is_in(list(self.duplicates)))

    @cached_property
    def _by_day(self) -> dict[date, DayContent]:
        of_day = self._landed.group_by("day").agg(pl.col("rows", "content").sum())
        return {day: DayContent(of_source=rows, content=content) for day, rows, content in of_day.iter_rows()}


class DaysReading:
    """One reading of those files of a source that are not as they were, with their rows counted by day."""

    def __init__(self, source: Source, *, before: SourceDays | None = None) -> None:
        """Look which files changed.

        Args:
            source: the source as it is now.
            before: the counts of an earlier reading; None reads all of it.
        """
        self._source, self._before = source, before or SourceDays()
        self._now, self._fingerprint = source.parts(), source.fingerprint()
        self.changed = [
            name
            for name, state in self._now.items()
            if name not in self._before.files or self._before.files[name].state != state
        ]
        """Files to read."""
        self.busy: list[str] = []
        """Files that were written to while they were read; the next reading reads them again."""
        self._files: dict[str, SurveyedFile] = {}
        self._counts: list[pl.DataFrame] = []

    @property
    def is_new(self) -> bool:
        """True where a file changed, arrived, or is gone."""
        gone = self._before.files.keys() - self._now.keys()
        return bool(self.changed or gone) or self._fingerprint != self._before.fingerprint

    def batches(self) -> Generator[pl.DataFrame]:
        """Yield the events of the changed files.

        Raises:
            InputError: a file cannot be read, or all files together have more bad rows than the source allows.
        """
        known = [name for name in self._now if name not in self.changed]
        before = RowAccount()
        for name in known:
            before = before.plus(self._before.files[name].account)
        for name in self.changed:
            aside = RowsAside(allowed=self._source.bad_rows, before=before)
            yield from self._read(name, aside)
            before = before.plus(aside.account())
        RowsAside(allowed=self._source.bad_rows, before=before).require_few()

    def result(self) -> SourceDays:
        """Return the counts of all files, after `batches` has ended."""
        files = {**self._before.files, **self._files}
        kept = [name for name in self._now if name in files]
        before = self._before.counts.filter(~pl.col("file").is_in(list(self._files)))
        counts = pl.concat([before, *self._counts]).filter(pl.col("file").is_in(kept))
        return SourceDays(
            fingerprint=self._fingerprint,
            files={name: files[name] for name in kept},
            contents=contents_of(self._source, self._before.contents),
            counts=counts,
        )

    def _read(self, name: str, aside: RowsAside) -> Generator[pl.DataFrame]:
        """Yield the events of one file, and keep its counts."""
        alone, state = self._source.only([name]), self._now[name]
        of_days = [_COUNTS.to_frame().drop("file")]
        try:
            for batch in alone.read(aside):
                aside.kept += batch.height
                of_days.append(_by_day(batch))
                yield batch
        except InputError:
            if _is_as(alone, name, state):
                raise
            self.busy.append(name)
            return  # the counts before stay, with the state before: the next reading tries again
        if not _is_as(alone, name, state):
            self.busy.append(name)
        counts = pl.concat(of_days).group_by("day").agg(pl.col("rows", "content").sum()).sort("day")
        self._counts.append(counts.select(pl.lit(name, pl.String).alias("file"), "day", "rows", "content"))
        self._files[name] = SurveyedFile(state=state, account=aside.account())


def reading_of(source: SourceSettings) -> str:
    """Return a hash of the spec, the mapping and the way of reading: with another one, counts are of another source."""
    parts = [source.spec, sorted(source.columns.items()), source.reading]
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:20]


def meaning_of(source: SourceSettings) -> str:
    """Return a hash of the kind of source, the mapping and the way of reading: a moved file has the same."""
    kind = source.spec if is_query(source.spec) else source.spec.partition(":")[0]
    parts = [kind, sorted(source.columns.items()), source.reading]
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:20]


def files_as_counted(source: Source, counted: SourceDays) -> bool:
    """Return whether all files of `source` are in the state in which they were counted."""
    try:
        return all(
            name in counted.files and counted.files[name].state == state
            for name, state in source.parts().items()
        )
    except OSError:
        return False


def _is_as(alone: Source, name: str, state: str) -> bool:
    """Return whether the one file of a source is in the given state now."""
    try:
        return alone.parts()[name] == state
    except OSError:
        return False


def _by_day(batch: pl.DataFrame) -> pl.DataFrame:
    of_row = pl.DataFrame(
        [batch[columns.TIMESTAMP].dt.date().alias("day"), batch.hash_rows().alias("content")]
    )
    counted = of_row.drop_nulls("day").group_by("day")
    return counted.agg(pl.len().cast(pl.Int64).alias("rows"), pl.col("content").sum())


def _all_left_out(account: RowAccount, name: str, earlier: str) -> RowAccount:
    same = RowsOfReason(rows=account.kept, example=f"{name}: has the rows of {earlier}")
    return RowAccount(reasons=account.reasons).plus(RowAccount(reasons={DUPLICATE_FILE: same}))
