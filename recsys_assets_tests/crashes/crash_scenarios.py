"""Commands that are killed, each with the home that it begins with: a table, to which a new command adds a line."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Literal

from recsys_assets.cli import main
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.storage.home import Home
from recsys_assets_tests.lake.sent_events import event, store

FIRST = date(2024, 5, 1)
DAYS = 8
LAST = FIRST + timedelta(days=DAYS - 1)
USERS, ITEMS, EVENTS = 20, 30, 90
COMMANDS = {"build", "retrain", "land", "promote", "rollback", "recall", *main.commands}
SETTINGS = """
[report]
days = 0

[training]
model = "ials"
embedding_size = 8
epochs = 5
"""
NOTIFY = """
[notify]
webhooks = ["{url}"]
retry_seconds = 0.1
"""

Begins = Literal["new", "built"]


@dataclass(frozen=True, kw_only=True)
class CrashScenario:
    """A command, and what it begins with."""

    name: str
    arguments: Callable[[Home], Sequence[str]]
    begins: Begins = "built"
    """A home that was only set up; or one with a release of all days but the last, and one of all days."""
    change: Callable[[Path], object] = str
    """A change of the place before the command."""
    first: Sequence[str] = ()
    """A command that ran before, and runs again after a kill that left no plan of it."""
    share: int
    """Kills, of about twenty of all scenarios."""
    once: bool = False
    """Not run again where `current` has moved: it would move it once more."""


def lines(days: Sequence[date]) -> list[str]:
    return [
        f"u{n % USERS},i{(n * 7 + n // USERS + day.day) % ITEMS},{day}T10:00:{n % 60:02d}Z\n"
        for day in days
        for n in range(EVENTS)
    ]


def days_until(last: date) -> list[date]:
    return [FIRST + timedelta(days=n) for n in range((last - FIRST).days + 1)]


def source_of(place: Path) -> Path:
    return place / "events.csv"


def add(place: Path, more: Sequence[str]) -> None:
    with source_of(place).open("a") as source:
        source.writelines(more)


def corrected(place: Path) -> None:
    """Four days have more events in the source."""
    add(place, [f"u{n % USERS},i{n % 11},{FIRST + timedelta(days=n % 4)}T11:00:00Z\n" for n in range(40)])


def events_came(place: Path) -> None:
    """Events by HTTP came for all landed days, some that the source has too, and for the day after them."""
    days = [datetime.combine(day, time(10), UTC) for day in days_until(LAST + timedelta(days=1))]
    rows = [
        event(n, day + timedelta(seconds=n % 60), user=f"u{n % USERS}", item=f"i{n % ITEMS}", kind="purchase")
        for n in range(40 * len(days))
        for day in [days[n % len(days)]]
    ]
    store(Home(place / "home"), rows)


def other_settings(place: Path) -> None:
    file = place / "home" / "recsys.toml"
    file.write_text(file.read_text().replace("embedding_size = 8", "embedding_size = 12"))


def earlier_release(home: Home) -> str:
    return ReleaseStore(home.releases).list()[-1].release_id


_ALL = (
    CrashScenario(name="build", begins="new", arguments=lambda _: ["build"], share=4),
    CrashScenario(name="retrain", change=other_settings, arguments=lambda _: ["build"], share=3),
    CrashScenario(
        name="land",
        change=corrected,
        arguments=lambda _: ["land", "--from", f"{FIRST}", "--to", f"{LAST}"],
        share=4,
    ),
    CrashScenario(
        name="land --events",
        change=events_came,
        arguments=lambda _: ["land", "--events"],
        share=4,
    ),
    CrashScenario(
        name="promote",
        arguments=lambda home: ["releases", "promote", earlier_release(home)],
        share=3,
    ),
    CrashScenario(name="rollback", arguments=lambda _: ["releases", "rollback"], share=2, once=True),
    CrashScenario(
        name="recall",
        arguments=lambda _: ["releases", "recall", f"{LAST}", "--why", "prices in cents"],
        share=4,
    ),
    CrashScenario(
        name="plan --apply",
        change=other_settings,
        first=["plan", "--no-sample"],
        arguments=lambda _: ["plan", "--apply"],
        share=3,
    ),
    CrashScenario(
        name="replay",
        change=corrected,
        arguments=lambda _: ["replay", f"{FIRST}..{FIRST + timedelta(days=3)}"],
        share=3,
    ),
)
SCENARIOS = tuple(one for one in _ALL if one.name.split()[0] in COMMANDS)
