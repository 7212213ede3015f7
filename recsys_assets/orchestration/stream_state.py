"""`stream.json`: the days that `recsys stream` plays, and how far it is, for the next call and for the page."""

from datetime import UTC, date, datetime, timedelta

import msgspec

from recsys_assets.errors import InputError
from recsys_assets.lake.event_days import event_days
from recsys_assets.settings import Settings
from recsys_assets.storage.atomic import read_file
from recsys_assets.storage.home import Home


class StreamState(msgspec.Struct, frozen=True, kw_only=True):
    """The days that `recsys stream` plays, and the last one that it played."""

    source: str
    """Spec of the source."""
    first_day: date
    """First day to play."""
    last_day: date
    """Last day to play."""
    day: date | None = None
    """The last day that was played; None before the first."""
    done: int = 0
    """Days played."""
    of: int
    """Days to play."""
    events: int = 0
    """Events of these days that were new."""
    days_per_second: float | None = None
    """Most days a second; None for as fast as they land."""
    running: bool = True
    """False after the last day, and after Ctrl-C."""
    at: datetime
    """Time of this state, UTC."""

    def goes_on(self, spec: str, *, first: date | None, last: date | None) -> bool:
        """Return whether a call for these days goes on with this stream, which did not end."""
        same_days = first in {None, self.first_day} and last in {None, self.last_day}
        return self.source == spec and self.done < self.of and same_days

    def left(self) -> list[date]:
        """Return the days that were not played."""
        begin = self.day + timedelta(days=1) if self.day else self.first_day
        return [begin + timedelta(days=n) for n in range((self.last_day - begin).days + 1)]


def read_state(home: Home) -> StreamState | None:
    """Read the state of the last stream; None where there is none, or it cannot be read."""
    try:
        return msgspec.json.decode(read_file(home.stream_state), type=StreamState)
    except (OSError, msgspec.MsgspecError):
        return None


def days_to_play(
    home: Home, settings: Settings, spec: str, *, first: date | None, last: date | None, newest: date
) -> StreamState:
    """Return the days to play: the rest of a stream that did not end, or those given.

    Args:
        home: the home.
        settings: its settings.
        spec: the source, as `recsys.toml` would have it.
        first: the first day; None goes on after the last stream of this source, else after the last landed day.
        last: the last day; None takes that of the stream that goes on, else `newest`.
        newest: the source's last day.

    Raises:
        InputError: there is no day to play.
    """
    before, now = read_state(home), datetime.now(UTC)
    if before is not None and before.goes_on(spec, first=first, last=last):
        return msgspec.structs.replace(before, running=True, at=now)
    landed = max([settings.source.own_last_day, *event_days(home)])
    begin, end = first or landed + timedelta(days=1), last or newest
    if begin > end:
        raise InputError(
            f"no day from {begin} to {end} to play: the source has days to {newest}, and the lake to {landed}; give "
            "--from DAY to play days again, which adds nothing to what has landed, or another --source"
        )
    count = (end - begin).days + 1
    return StreamState(source=spec, first_day=begin, last_day=end, of=count, at=now)
