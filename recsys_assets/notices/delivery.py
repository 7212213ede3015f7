"""Delivery of notices: kept first, then tried until each target has them or the time is over.

One process of a home delivers at a time. What fails is tried again after a wait that doubles, by whoever delivers
next: a command at its end, a server, Dagster's sensor or `recsys notices send`.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Final

from recsys_assets.errors import DeliveryError
from recsys_assets.notices.outbox import LONGEST_WAIT, Notice, Outbox, QueuedNotice
from recsys_assets.notices.targets import Target, targets_of
from recsys_assets.notify_settings import NotifySettings
from recsys_assets.settings import load_or_default_settings
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import locked

log = logging.getLogger("recsys.notices")

COMMAND_SECONDS: Final = 5.0
"""Most seconds that a command delivers at its end; the rest is tried again later."""
LOOK_SECONDS: Final = 1.0
"""Time between two looks of a server at the outbox."""
_MOST_DOUBLINGS: Final = 20


@dataclass(kw_only=True)
class Delivered:
    """The result of one delivery."""

    sent: int = 0
    """Notices that arrived, one a target."""
    failed: int = 0
    """Attempts that failed."""
    given_up: int = 0
    """Notices that are not tried any more, one a target."""
    waiting: int = 0
    """Notices that wait for their next attempt, one a target."""

    def in_words(self) -> str:
        """Return a line; empty where there was nothing to do."""
        counts = {
            "sent": self.sent,
            "failed": self.failed,
            "given up": self.given_up,
            "waiting": self.waiting,
        }
        said = ", ".join(f"{number} {name}" for name, number in counts.items() if number)
        return f"Notices: {said}." if said else ""


def send_notice(home: Home, settings: NotifySettings, notice: Notice, *, causes: Iterable[str] = ()) -> None:
    """Keep a notice for the targets of the settings; it is on the disk when this returns, and delivered later.

    A notice whose id is kept already stays as it is. `causes` are noted as known, for `unknown_causes`.
    """
    with Outbox(home.notices_db) as outbox:
        targets = [(target.key, target.shown) for target in targets_of(settings)]
        outbox.add(notice, targets, causes=causes)


def unknown_causes(home: Home, causes: Iterable[str]) -> list[str]:
    """Return those of the causes that no notice was about yet, in their order."""
    wanted = list(causes)
    if not wanted or not home.notices_db.exists():
        return wanted
    with Outbox(home.notices_db) as outbox:
        return outbox.unknown(wanted)


def remove_old_notices(home: Home, *, before: datetime, dry_run: bool = False) -> int:
    """Remove the notices from before a time, but for those that wait for a target, and return their number."""
    if not home.notices_db.exists():
        return 0
    with Outbox(home.notices_db) as outbox:
        return outbox.remove_old(before, dry_run=dry_run)


def forget_causes(home: Home, prefix: str) -> None:
    """Forget the causes that start with `prefix`, so that they are noticed again where they come back."""
    if home.notices_db.exists():
        with Outbox(home.notices_db) as outbox:
            outbox.forget(prefix)


def deliver_due(
    home: Home, settings: NotifySettings, now: datetime, *, seconds: float | None = None
) -> Delivered:
    """Try every notice whose time has come, the oldest first; a target that fails is left alone for this time.

    Nothing happens where another process delivers.

    Args:
        home: the home.
        settings: its `[notify]`.
        now: the time, UTC.
        seconds: most of them; None for as many attempts as there are.
    """
    delivered = Delivered()
    if not home.notices_db.exists():
        return delivered
    end = monotonic() + (seconds if seconds is not None else float("inf"))
    with _alone(home) as mine, Outbox(home.notices_db) as outbox:
        targets = {target.key: target for target in targets_of(settings)}
        failing = set[str]()
        for one in outbox.due(now) if mine else ():
            left = min(settings.timeout_seconds, end - monotonic())
            if left <= 0:
                break
            if one.target not in failing and not _try(
                outbox, one, targets.get(one.target), settings, now=now, seconds=left, counts=delivered
            ):
                failing.add(one.target)
        delivered.waiting = len(outbox.deliveries("waiting"))
    return delivered


@contextmanager
def _alone(home: Home) -> Iterator[bool]:
    """Yield True where no other process delivers, and hold others off while the block runs."""
    try:
        with locked(home.lock("notices"), wait=False):
            yield True
    except BlockingIOError:
        yield False


def _try(
    outbox: Outbox,
    one: QueuedNotice,
    target: Target | None,
    settings: NotifySettings,
    *,
    now: datetime,
    seconds: float,
    counts: Delivered,
) -> bool:
    """Make one attempt and record it; return False where it failed."""
    if target is None:
        outbox.set(one, "given up", now=now, problem="no longer in [notify]")
        counts.given_up += 1
        return False
    notice = outbox.notice(one.notice)
    try:
        target.send(notice, seconds=seconds)
    except DeliveryError as error:
        problem = str(error)
    else:
        outbox.set(one, "sent", now=now)
        counts.sent += 1
        return True
    if now - notice.at >= timedelta(days=settings.give_up_days):
        outbox.set(one, "given up", now=now, problem=problem)
        counts.given_up += 1
    else:
        outbox.set(one, "waiting", now=now, wait=_wait(settings, one.attempts), problem=problem)
        counts.failed += 1
    log.warning("a notice was not delivered to %s: %s", target.shown, problem)
    return False


def _wait(settings: NotifySettings, failed_before: int) -> float:
    return min(settings.retry_seconds * 2.0 ** min(failed_before, _MOST_DOUBLINGS), LONGEST_WAIT)


def deliver_waiting(home: Home) -> None:
    """Deliver what is due, by the settings as they are now; quick where nothing is.

    Raises:
        SettingsError: `recsys.toml` cannot be used.
    """
    if not home.notices_db.exists():
        return
    now = datetime.now(UTC)
    with Outbox(home.notices_db) as outbox:
        is_due = bool(outbox.due(now))
    if is_due:
        deliver_due(home, load_or_default_settings(home).notify, now)
