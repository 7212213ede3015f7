"""`recsys stream`: the days of a source played into the product, one after another, as events by HTTP.

Each day's rows go through the intake and land by a Dagster run, as those of a shop do. A row's event id is a hash of
it, so that a day that is played twice adds nothing.
"""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Final

import msgspec

from recsys_assets.errors import BuildInterruptedError
from recsys_assets.intake.rows import EventRow
from recsys_assets.lake.event_days import take_events
from recsys_assets.lake.follow import follow_source
from recsys_assets.lake.landing import iter_days
from recsys_assets.lake.live_days import extend_days
from recsys_assets.lake.played_days import events_of_rows
from recsys_assets.lake.source_days import SourceDays
from recsys_assets.lake.sources.source import Source
from recsys_assets.orchestration.begun_build import begun
from recsys_assets.orchestration.build import Builder, builder_of
from recsys_assets.orchestration.build_outcome import BuildOutcome, StageRow, Watcher
from recsys_assets.orchestration.fingerprints import Inputs
from recsys_assets.orchestration.jobs import DAILY_INCREMENT
from recsys_assets.orchestration.landing_plan import days_with_new_events
from recsys_assets.orchestration.partitions import range_tags
from recsys_assets.orchestration.run_results import counted
from recsys_assets.orchestration.stream_state import StreamState
from recsys_assets.settings import Settings
from recsys_assets.storage.atomic import replace_file
from recsys_assets.storage.home import Home

_STAGE: Final = "stream"
_ASSETS: Final = ("raw_interactions", "interactions")
_LOOKS_EVERY: Final = 0.05
"""Seconds between two looks for Ctrl-C, while a day waits for its time."""

Send = Callable[[Sequence[EventRow]], int]
"""Sends events, and returns the number of new ones once all are durable."""


def play_days(
    home: Home, settings: Settings, watcher: Watcher, source: Source, state: StreamState, *, send: Send
) -> BuildOutcome:
    """Send the events of each day of `state` that was not played, land it, and keep the state after each day.

    A day that is rejected is said, and the next one is played. After a kill the day that was on its way is played
    again, which adds nothing to what arrived of it.

    Args:
        home: the home.
        settings: its settings.
        watcher: shows the days.
        source: the source to play.
        state: the days.
        send: sends a day's events.

    Raises:
        BuildRunningError: another process builds this home.
        BuildInterruptedError: Ctrl-C or SIGTERM; the next call goes on.
        InputError: the source cannot be read.
    """
    with begun(home, settings, watcher, launches=False) as noted:
        if SourceDays.load(home, settings.source) is None:  # no day is known to be new without
            settings = follow_source(home, settings).settings
        settings = extend_days(home, settings, state.last_day)
        with builder_of(home, settings, _DaysOnly(watcher)) as builder:
            noted.outcome = builder.outcome
            player = _Player(builder, state, send)
            try:
                player.play(source)
            except (KeyboardInterrupt, BuildInterruptedError):
                day = f"after {player.state.day}" if player.state.day else "before its first day ended"
                raise BuildInterruptedError(
                    f"the stream was interrupted {day}; `recsys stream{home.option}` goes on from there"
                ) from None
            finally:
                player.keep(running=False)
    return builder.outcome


class _DaysOnly:
    """Shows the days that are played, not the steps of each."""

    def __init__(self, watcher: Watcher) -> None:
        self.begin, self.end, self.say, self._report = watcher.begin, watcher.end, watcher.say, watcher.report

    def report(self, stage: str, done: int, total: int) -> None:
        """Show the days that are done."""
        if stage == _STAGE:
            self._report(stage, done, total)


class _Player:
    """Plays days one after another, no faster than the state says."""

    def __init__(self, builder: Builder, state: StreamState, send: Send) -> None:
        self.state = state
        self._builder, self._send = builder, send
        self._began = time.monotonic()
        self._rejected = list[str]()

    def keep(self, *, running: bool = True) -> None:
        """Keep the state for the next call, and for the page."""
        self.state = msgspec.structs.replace(self.state, running=running, at=datetime.now(UTC))
        replace_file(self._builder.home.stream_state, msgspec.json.encode(self.state))

    def play(self, source: Source) -> None:
        builder, state = self._builder, self.state
        days = state.left()
        builder.watcher.begin(_STAGE, counted(len(days), "day"))
        self.keep()
        for number, (day, frame) in enumerate(iter_days(source, days, scratch=builder.home.scratch)):
            rate = state.days_per_second
            self._wait_until(self._began + number / rate if rate else self._began)
            new = self._send(events_of_rows(frame, received_at=datetime.now(UTC)))
            self._land(day)
            self.state = msgspec.structs.replace(
                self.state, day=day, done=self.state.done + 1, events=self.state.events + new
            )
            self.keep()
            builder.watcher.report(_STAGE, self.state.done, self.state.of)
        self._end(len(days))

    def _land(self, day: date) -> None:
        """Land the day where its events are not those that landed."""
        builder = self._builder
        take_events(builder.home, through=day)
        if day not in days_with_new_events(Inputs(builder.home, builder.settings)):
            return
        problems = builder.run_job(DAILY_INCREMENT, _ASSETS, tags=range_tags(day, day))
        if problems:
            self._rejected.append(f"{day}")
            builder.watcher.say("\n".join(problems))

    def _wait_until(self, moment: float) -> None:
        """Wait, and look for an interrupt at least once: one that came while a day landed may have been lost there.

        Raises:
            BuildInterruptedError: the process was interrupted.
        """
        while not self._builder.interrupts.received():
            left = moment - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, _LOOKS_EVERY))
        raise BuildInterruptedError

    def _end(self, days: int) -> None:
        row = StageRow(
            stage=_STAGE,
            status="failed" if self._rejected else "built",
            detail=f"not landed: {', '.join(self._rejected)}" if self._rejected else counted(days, "day"),
            seconds=time.monotonic() - self._began,
        )
        self._builder.end(row)
