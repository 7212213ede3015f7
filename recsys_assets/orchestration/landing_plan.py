"""Days to land: those that the source has and the lake has not, or has otherwise, and the runs that land them."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Final, Protocol

from recsys_assets.intake.events_of_home import wait_for_events
from recsys_assets.interactions.contract import INTERACTIONS
from recsys_assets.lake.contract import RAW_INTERACTIONS
from recsys_assets.lake.day_content import event_part
from recsys_assets.lake.event_days import prune_events
from recsys_assets.lake.follow import CONTENT_KEY, follow_source
from recsys_assets.lake.home_account import write_home_account
from recsys_assets.lake.live_days import follow_events, last_day_to_take
from recsys_assets.orchestration.fingerprints import INPUTS_KEY, Inputs
from recsys_assets.orchestration.recalled_days import landing_of_accepted, left_out, left_out_in_words
from recsys_assets.orchestration.repair.damaged_databases import moved_away
from recsys_assets.orchestration.run_results import counted
from recsys_assets.settings import Settings
from recsys_assets.storage.day_folders import days_under
from recsys_assets.storage.home import Home
from recsys_assets.storage.partition_store import PartitionStore

GAP_DAYS: Final = 7
"""Most fresh days between stale ones that are built again: another run would cost half a second."""


class Speaker(Protocol):
    """Shows lines on what is done."""

    def begin(self, stage: str, detail: str) -> None:
        """Show that a stage starts; `detail` is the amount of it."""

    def say(self, text: str) -> None:
        """Show a line."""


def follow(
    home: Home,
    settings: Settings,
    speaker: Speaker,
    *,
    named: Home | None = None,
    by_hand: bool = False,
    through: date | None = None,
) -> Settings:
    """Take events by HTTP, count the source again where it changed, say what is new, and return the settings now.

    Args:
        home: the home.
        settings: its settings.
        speaker: shows the lines.
        named: the home that a message names, where `home` is a copy of it.
        by_hand: a person names the days to land, so that changed ones are no reason to stop.
        through: the last day whose events are taken; None: as `last_day_to_take` says.

    Raises:
        EventsUnavailableError: the intake cannot be read.
        InputError: the source cannot be read.
        SourceChangedError: landed days changed in the source, and `changed_past` is `reject`.
    """

    def begin(files: int) -> None:
        speaker.begin("source", counted(files, "file"))

    wait_for_events(home, speaker.say)
    until = through or last_day_to_take(settings, datetime.now(UTC))
    settings, taken = follow_events(home, settings, through=until)
    if taken.rows:
        speaker.say(
            f"Events by HTTP: {counted(taken.rows, 'event')} on {counted(len(taken.days), 'day')} taken."
        )
    followed = follow_source(home, settings, on_reading=begin)
    settings, rule = followed.settings, followed.settings.source.changed_past
    changes = Inputs(home, settings).source_changes(followed.counted)
    if rule == "reject" and not by_hand:
        changes.require_none_changed(named or home)
    if followed.is_new or changes.new or changes.landed_again(rule):
        for line in [*changes.in_words(rule), *followed.notes]:
            speaker.say(line)
    if line := left_out_in_words(left_out(Inputs(home, settings))):
        speaker.say(line)
    return settings


def kept_days(inputs: Inputs, stale: Sequence[date] = ()) -> set[date]:
    """Return the days that stay as they are, whatever their fingerprint.

    They are gone from the source, or changed and kept by `changed_past`, or stale since their file is lost while the
    source has no row of them any more, or recalled and unchanged in the source.
    """
    source, recalled = inputs.settings.source, {*left_out(inputs)}
    if inputs.source_days is None:  # the source was not counted: nothing can be landed from it
        return set(inputs.raw_files) | recalled
    changes = inputs.source_changes(inputs.source_days)
    return changes.kept(source.changed_past) | lost_days(inputs, stale) | recalled | idle_days(inputs)


def runs_for(inputs: Inputs, days: Sequence[date], *, lands: bool) -> list[tuple[date, date]]:
    """Return first and last day of each run for `days`; few days between two of them are done along with them.

    Where the runs land days, days that landed and days with nothing to land are left alone. Others leave days alone
    that have no raw file.
    """
    if lands:
        return stretches(
            days, gap=GAP_DAYS, without=(set(inputs.raw_files) | idle_days(inputs)).difference(days)
        )
    between = (min(days) + timedelta(days=n) for n in range((max(days) - min(days)).days)) if days else ()
    return stretches(days, gap=GAP_DAYS, without=set(between).difference(inputs.raw_files))


def idle_days(inputs: Inputs) -> set[date]:
    """Return the days with nothing to land: after the source's last one, and without events by HTTP."""
    counted = inputs.source_days
    return {day for day in inputs.settings.source.days() if counted is not None and counted.is_idle(day)}


def lost_days(inputs: Inputs, stale: Iterable[date]) -> set[date]:
    """Return those of the stale days that are lost, and gone from the source: their cleaned days stay in use."""
    lost = set()
    counted = inputs.source_days
    for day in stale if counted else ():
        raw, cleaned = inputs.raw_files.get(day), inputs.interaction_files.get(day)
        is_lost = raw is None or raw.rows is None
        if is_lost and cleaned and cleaned.rows and counted and not counted.of_day(day).rows:
            lost.add(day)
    return lost


def move_broken(inputs: Inputs, lost: Iterable[date]) -> None:
    """Move the raw files of lost days away that cannot be read, so that no day is cleaned from one."""
    for day in lost:
        if day in inputs.raw_files:
            moved_away(inputs.raw_store.path(day))


def days_to_request(inputs: Inputs) -> list[date]:
    """Return the days after the last landed one, those between landed ones that came later, and those that changed.

    Days before the first landed one are left to `recsys build`: where days were landed by hand, they are no news.
    """
    landed, source = [*inputs.raw_files], inputs.settings.source
    if not landed or inputs.source_days is None:
        return []
    changes = inputs.source_changes(inputs.source_days)
    counted_days = inputs.source_days
    later = [day for day in source.days() if day > landed[-1] and not counted_days.is_idle(day)]
    between = (day for day in changes.new if day > landed[0])
    wanted = {*later, *between, *changes.landed_again(source.changed_past)}
    return sorted(wanted - left_out(inputs).keys())


def days_with_new_events(inputs: Inputs) -> list[date]:
    """Return the days whose events by HTTP are not those that landed, oldest first; rejected days are among them.

    A day that landed before it was over is one of them once it is over, to be judged in full. So is one whose landing
    was killed before the day was cleaned.
    """
    kept, done = kept_days(inputs), {*inputs.interaction_files, *days_under(inputs.home.quarantine)}
    return [
        day
        for day in _days_with_events(inputs)
        if day not in kept and not (day in done and _events_landed(inputs, day))
    ]


def days_in_part(inputs: Inputs) -> set[date]:
    """Return the days whose amount and hours say nothing yet.

    They are not over; or they have events by HTTP alone, after the source's last day, and fewer than
    `least_history_days` such days landed before, with which to compare.
    """
    own_last, least = inputs.settings.source.own_last_day, inputs.settings.quality.least_history_days
    alone = [day for day in inputs.raw_files if day > own_last]
    return {
        day
        for day, found in (inputs.source_days.events if inputs.source_days else {}).items()
        if found.is_open or (day > own_last and sum(other < day for other in alone) < least)
    }


def prune_intake(inputs: Inputs, *, now: datetime) -> int:
    """Remove landed events from the intake that arrived more than `keep_days` ago; return their number.

    Events of rejected and recalled days are in `lake/events` until a person decides, and need not wait in the intake.

    Raises:
        EventsUnavailableError: the intake cannot be written.
    """
    waiting = {*_days_with_events(inputs)} - {*left_out(inputs)} - {*days_under(inputs.home.quarantine)}
    return prune_events(
        inputs.home,
        landed=lambda day: day not in waiting or _events_landed(inputs, day),
        received_before=now - timedelta(days=inputs.settings.events.keep_days),
    )


def settle_rows(home: Home, settings: Settings, *, now: datetime) -> list[str]:
    """Remove landed events from the intake, and keep the account of all rows; return it in words, a line each."""
    prune_intake(Inputs(home, settings), now=now)
    return write_home_account(home, settings.source).in_words()


def _days_with_events(inputs: Inputs) -> list[date]:
    """Return the partitions that have events by HTTP."""
    source, events = inputs.settings.source, inputs.source_days.events if inputs.source_days else {}
    return [day for day in events if source.first_day <= day <= source.last_day]


def _events_landed(inputs: Inputs, day: date) -> bool:
    """Return whether a raw day landed with the events that it has now."""
    file, now = inputs.raw_files.get(day), inputs.landing(day)[CONTENT_KEY]
    return file is not None and event_part(file.provenance.get(CONTENT_KEY, "")) == event_part(now)


def days_to_clean(inputs: Inputs) -> list[date]:
    """Return the cleaned days that would be cleaned otherwise now, such as those that a later day's returns touch.

    Days in quarantine stay until someone decides on them.
    """
    landed, cleaned = inputs.raw_files, inputs.interaction_files
    rejected = set(days_under(inputs.home.quarantine))
    return [
        day
        for day, file in cleaned.items()
        if day in landed
        and day not in rejected
        and file.provenance.get(INPUTS_KEY) != inputs.interactions(day)
    ]


def with_touched(days: Sequence[date], inputs: Inputs, speaker: Speaker) -> list[date]:
    """Return `days` and, said by a line, the days that must be cleaned again beside them."""
    touched = sorted(set(days_to_clean(inputs)) - set(days))
    if touched:
        span = f"{touched[0]}" if len(touched) == 1 else f"{touched[0]} to {touched[-1]}"
        speaker.say(
            f"Cleaned again, since returns or settings touch what was cleaned: {counted(len(touched), 'day')}, {span}."
        )
    return sorted({*days, *touched})


def stretches(days: Sequence[date], *, gap: int, without: Collection[date] = ()) -> list[tuple[date, date]]:
    """Return first and last day of each stretch of days.

    Args:
        days: any order.
        gap: at most N missing days in between are bridged.
        without: days that no stretch may bridge.
    """
    found: list[tuple[date, date]] = []
    for day in sorted(days):
        before = found[-1][1] if found else date.min
        between = [before + timedelta(days=n) for n in range(1, min((day - before).days, gap + 2))]
        if found and len(between) <= gap and not set(between) & set(without):
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


def accepting_stores(home: Home, settings: Settings) -> dict[str, PartitionStore]:
    """Return table name -> store; it records a build's fingerprints, so that a day accepted by hand is fresh."""
    inputs = Inputs(home, settings)
    return {
        RAW_INTERACTIONS.name: replace(
            inputs.raw_store, provenance=lambda day: landing_of_accepted(inputs, day)
        ),
        INTERACTIONS.name: replace(
            inputs.interaction_store,
            provenance=lambda day: Inputs(home, settings).cleaning(day),  # of the raw day then
        ),
    }
