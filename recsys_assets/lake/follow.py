"""A source that grows: its days are counted again where its files changed, and compared with those that landed."""

import hashlib
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final, Literal

from recsys_assets.errors import InputError, SourceChangedError
from recsys_assets.lake.day_content import source_part
from recsys_assets.lake.initialise import write_source
from recsys_assets.lake.source_days import DaysReading, SourceDays
from recsys_assets.lake.sources.date_range import RowsByDay, choose_range
from recsys_assets.lake.sources.registry import Spec, source_of
from recsys_assets.settings import Settings
from recsys_assets.source_settings import SourceSettings
from recsys_assets.storage.database_urls import is_query
from recsys_assets.storage.day_journal import DayFile
from recsys_assets.storage.home import Home

CONTENT_KEY: Final = "recsys.content"
"""Key of a landed day's `DayContent` in its Parquet file's metadata."""
_NAMED_DAYS: Final = 3
ChangedPast = Literal["land", "keep", "reject"]


@dataclass(frozen=True, kw_only=True)
class Followed:
    """The source as it is now."""

    settings: Settings
    """The settings in force now."""
    counted: SourceDays
    """Its rows by file and day."""
    is_new: bool
    """False where no file changed since it was read last."""
    notes: list[str] = field(default_factory=list)
    """A line on each thing that the reader should know, beside the days."""


@dataclass(frozen=True, kw_only=True)
class SourceChanges:
    """Days whose rows in the source are not those that landed."""

    new: dict[date, int]
    """Days with rows that have not landed, where others have, and their rows."""
    changed: dict[date, tuple[int, int]]
    """Landed days that have other rows now: the rows landed, and those in the source."""
    gone: list[date]
    """Days that landed with rows, and have none in the source any more: they stay as they landed."""
    events: dict[date, int] = field(default_factory=dict)
    """Landed days with the same rows in the source, and other events by HTTP since: their events now."""
    late: frozenset[date] = frozenset()
    """Changed days among the source's last ones (`[source] lookback_days`): they land again by every rule."""

    @classmethod
    def of(
        cls,
        counted: SourceDays,
        landed: Mapping[date, DayFile],
        *,
        days: Iterable[date],
        rejected: Collection[date] = (),
        lookback_days: int = 0,
    ) -> "SourceChanges":
        """Compare.

        Args:
            counted: the source.
            landed: the files of `raw_interactions`.
            days: the source's days, oldest first.
            rejected: days in quarantine, which are not new.
            lookback_days: the changed days among the last N of the source are late, counted from its last row.
        """
        new, changed, gone, events, last = {}, {}, [], {}, date.min
        for day in days:
            now, file = counted.of_day(day), landed.get(day)
            last = day if now.of_source else last
            if file is None:
                if now.rows and landed and day not in rejected:
                    new[day] = now.rows
                continue
            given = file.provenance.get(CONTENT_KEY, str(now))
            if given == str(now) and now.rows:
                continue
            source_then, source_now = map(source_part, (given, str(now)))
            if not now.rows or (not now.of_source and source_then.partition(":")[0] != "0"):
                gone += [day] if file.rows else []
            elif source_then == source_now:
                events[day] = now.events.rows if now.events else 0
            else:
                changed[day] = (file.rows or 0, now.rows)
        late = frozenset(day for day in changed if (last - day).days < lookback_days)
        return cls(new=new, changed=changed, gone=gone, events=events, late=late)

    def kept(self, rule: ChangedPast) -> set[date]:
        """Return the days that stay as they landed, by `[source] changed_past`."""
        return {*self.gone, *(self._older() if rule == "keep" else ())}

    def landed_again(self, rule: ChangedPast) -> set[date]:
        """Return the changed days that a build lands by itself."""
        return {*self.events, *(self.changed if rule == "land" else self.late)}

    def _older(self) -> dict[date, tuple[int, int]]:
        return {day: rows for day, rows in self.changed.items() if day not in self.late}

    def require_none_changed(self, home: Home) -> None:
        """Stop where a landed day that is not late changed, as `changed_past = "reject"` says.

        Raises:
            SourceChangedError: one changed; the message names up to three, and both ways out.
        """
        older = self._older()
        if older:
            first, last = min(older), max(older)
            to_land = f"recsys land{home.option} --from {first} --to {last}"
            raise SourceChangedError(
                f'{_changed_in_words(older)}; [source] changed_past is "reject": to land them again run '
                f'`{to_land}`, or set changed_past to "land" or "keep" in {home.settings_file}'
            )

    def in_words(self, rule: ChangedPast) -> list[str]:
        """Return one line each on new, changed and gone days."""
        lines = []
        if self.new:
            days = [*self.new]
            span = f"{days[0]}" if len(days) == 1 else f"{days[0]} to {days[-1]}"
            lines.append(f"Source: {_days(len(days), 'new ')}, {span} ({_rows(sum(self.new.values()))}).")
        if self.events:
            late = _rows(sum(self.events.values()), "event")
            lines.append(
                f"Events by HTTP: {_days(len(self.events))} with others than landed, {_named([*self.events])}"
                f" ({late}); landed again."
            )
        again = self.landed_again(rule)
        landed = {day: rows for day, rows in self.changed.items() if day in again}
        kept = {day: rows for day, rows in self.changed.items() if day not in again}
        if landed:
            lines.append(f"Source: {_changed_in_words(landed)}; landed again.")
        if kept:
            lines.append(
                f'Source: {_changed_in_words(kept)}; kept as they landed, by changed_past = "{rule}".'
            )
        if self.gone:
            has, they = ("has", "it") if len(self.gone) == 1 else ("have", "they")
            lines.append(
                f"Source: {_days(len(self.gone))} {has} no row in the source any more, {_named(self.gone)}: "
                f"kept as {they} landed."
            )
        return lines


def follow_source(
    home: Home,
    settings: Settings,
    *,
    read_on: date | None = None,
    on_reading: Callable[[int], None] | None = None,
) -> Followed:
    """Count the source's days again where its files changed, and write the days that it covers now.

    The last day is never moved back, and the first one never on: every day that was a partition remains one. The
    first day is moved back to older rows that came later, where it was that of the log before; where a person
    chose a later one by `recsys init --from` it stays. With `follow = false` both stay.

    Args:
        home: the home of the `recsys.toml` to change.
        settings: its settings now.
        read_on: today, UTC; None reads the clock.
        on_reading: called with the number of files that are read, before they are.

    Raises:
        InputError: the source cannot be read.
    """
    given, before = settings.source, SourceDays.load(home, settings.source)
    on_disk = state_on_disk(given)
    if before is not None and on_disk and before.on_disk == on_disk:
        return Followed(settings=settings, counted=before, is_new=False)
    reading = DaysReading(source_of(given), before=before)
    if before is not None and not reading.is_new:
        replace(before, on_disk=on_disk).save(home, given)
        return Followed(settings=settings, counted=before, is_new=False)
    if on_reading is not None:
        on_reading(len(reading.changed))
    deque(reading.batches(), maxlen=0)
    counted = replace(reading.result(), on_disk="" if reading.busy else on_disk)
    busy = ", ".join(Path(name).name for name in reading.busy[:_NAMED_DAYS])
    notes = [f"Source: {busy}: written to while it was read; the rest is taken next time."] if busy else []
    if not home.settings_file.exists():  # the embedded default, which does not grow
        counted.save(home, given)
        return Followed(settings=settings, counted=counted.with_events(home, given), is_new=True, notes=notes)
    days = {"first_day": given.first_day, "last_day": given.last_day, "rows_to": given.rows_to}
    if given.follow and counted.rows.total:
        days = _days_now(given, counted, before, read_on or datetime.now(UTC).date())
    settings = write_source(home, days, counted)
    if given.follow and before is not None:
        notes += _left_out_in_words(before.rows, counted.rows, settings)
    counted = counted.with_events(home, settings.source)
    return Followed(settings=settings, counted=counted, is_new=True, notes=notes)


def state_on_disk(source: SourceSettings) -> str:
    """Return a hash of path, size and modification time of the source's files, without opening one.

    Opening recognises the format of each: seconds for hundreds of files. Empty where the spec names other things
    than files.
    """
    if is_query(source.spec):
        return ""
    spec = Spec.parse(source.spec)
    paths = [Path(text) for text in (spec.path, spec.meta) if text]
    if not paths:
        return ""
    digest = hashlib.sha256()
    for path in paths:
        found = [path] if path.is_file() else _files_below(path)
        if not found:
            return ""
        for file in found:
            status = file.stat()
            digest.update(f"{file}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _files_below(path: Path) -> list[Path]:
    """Return the files in a folder, or of a glob."""
    top = path if path.is_dir() else Path(path.anchor)
    pattern = "**/*" if path.is_dir() else str(path.relative_to(top))
    return sorted(file for file in top.glob(pattern) if file.is_file())


def count_now(home: Home, settings: Settings) -> SourceDays:
    """Count the source's days again where its files changed; the days of `recsys.toml` stay as they are.

    Raises:
        InputError: the source cannot be read.
    """
    before, on_disk = SourceDays.load(home, settings.source), state_on_disk(settings.source)
    if before is not None and on_disk and before.on_disk == on_disk:
        return before
    reading = DaysReading(source_of(settings.source), before=before)
    if before is not None and not reading.is_new:
        return before
    deque(reading.batches(), maxlen=0)
    counted = reading.result().with_events(home, settings.source)
    counted.save(home, settings.source)
    return counted


def _days_now(
    given: SourceSettings, counted: SourceDays, before: SourceDays | None, today: date
) -> dict[str, date | None]:
    """Return the first and the last day to write, and the last one of the source where events went on after it."""
    found, first = choose_range(counted.rows, name=given.spec, read_on=today), given.first_day
    if found.first_day < first and before is not None and first <= (_begins(before.rows, today) or first):
        first = found.first_day
    last = max(given.last_day, found.last_day)
    own_last = max(given.own_last_day, found.last_day)
    return {"first_day": first, "last_day": last, "rows_to": own_last if own_last < last else None}


def _begins(rows: RowsByDay, today: date) -> date | None:
    """Return the first day that the source had by itself."""
    try:
        return choose_range(rows, name="", read_on=today).first_day
    except InputError:
        return None


def _changed_in_words(changed: Mapping[date, tuple[int, int]]) -> str:
    named = [f"{day} {before:,} -> {_rows(now)}" for day, (before, now) in changed.items()]
    more = f" and {len(named) - _NAMED_DAYS:,} more" if len(named) > _NAMED_DAYS else ""
    return f"{_days(len(named))} changed since landing: {', '.join(named[:_NAMED_DAYS])}{more}"


def _left_out_in_words(before: RowsByDay, now: RowsByDay, settings: Settings) -> list[str]:
    first, last = settings.source.first_day, settings.source.own_last_day
    outside = now.outside(first, last)
    came = outside.total - before.outside(first, last).total
    if came <= 0:
        return []
    what = f"{_rows(came)} more outside of the days from {first} to {last}, not landed (outside_range: {outside})"
    to_take = "To choose the days yourself: recsys init --force --from DAY --to DAY, with the same source."
    return [f"Source: {what}. {to_take}"]


def _days(count: int, adjective: str = "") -> str:
    return f"{count:,} {adjective}day{'' if count == 1 else 's'}"


def _rows(count: int, noun: str = "row") -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _named(days: Sequence[date]) -> str:
    return ", ".join(map(str, days)) if len(days) <= _NAMED_DAYS else f"{days[0]} to {days[-1]}"
