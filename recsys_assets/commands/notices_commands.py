"""`notices list | send`: notices of recalls, replays, rejected days and failures, and their state at each target."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from recsys_assets.commands.shared import example, home_option, json_option
from recsys_assets.notices.delivery import deliver_due
from recsys_assets.notices.outbox import Outbox, QueuedNotice, short_time
from recsys_assets.settings import load_or_default_settings
from recsys_assets.storage.home import Home


@click.group(epilog=example("recsys notices list", "recsys notices send"))
def notices() -> None:
    """List notices of recalls and failures, and send them.

    [notify] in recsys.toml says where they go.
    """


@notices.command("list", epilog=example("recsys notices list", "recsys notices list --json"))
@home_option
@json_option
def list_notices(home: Path | None, as_json: bool) -> None:
    """List the notices, oldest first, with their state at each target."""
    place = Home.locate(home)
    kept, states = [], dict[str, list[QueuedNotice]]()
    if place.notices_db.exists():
        with Outbox(place.notices_db, reading=True) as outbox:
            kept = outbox.notices()
            for one in outbox.deliveries():
                states.setdefault(one.notice, []).append(one)
    if as_json:
        found = [
            {**msgspec.to_builtins(one), "targets": msgspec.to_builtins(states.get(one.id, []))}
            for one in kept
        ]
        click.echo(msgspec.json.encode({"notices": found}))
        return
    for notice in kept:
        click.echo(f"{notice.at:%Y-%m-%d %H:%M:%S}  {notice.kind}  {notice.subject}")
        for one in states.get(notice.id, []):
            click.echo(f"  {in_words(one)}")
        if notice.id not in states:
            click.echo("  no target: [notify] in recsys.toml had none")
    if not kept:
        click.echo("There are no notices.")


@notices.command(epilog=example("recsys notices send", "recsys notices send --given-up"))
@home_option
@click.option("--given-up", is_flag=True, help="Try those again that were given up, too.")
def send(home: Path | None, given_up: bool) -> None:
    """Send every notice that waits, now; the exit code is 1 where one did not arrive."""
    place = Home.locate(home)
    settings, now = load_or_default_settings(place).notify, datetime.now(UTC)
    if not place.notices_db.exists():
        click.echo("There are no notices.")
        return
    with Outbox(place.notices_db) as outbox:
        outbox.wake(["waiting", "given up"] if given_up else ["waiting"], now=now)
    done = deliver_due(place, settings, now)
    click.echo(done.in_words() or "No notice waits.")
    if done.failed or done.given_up or done.waiting:
        sys.exit(1)


def in_words(one: QueuedNotice) -> str:
    """Return the state of a notice at one target."""
    said = f"{one.shown}: {one.state}"
    if one.state == "sent":
        return f"{said} at {short_time(one.changed_at)} UTC"
    times = f"{one.attempts} attempt{'' if one.attempts == 1 else 's'}"
    tried = f" after {times}, the last: {one.problem}" if one.attempts else ""
    due = f"; next at {short_time(one.next_at)} UTC" if one.state == "waiting" and one.attempts else ""
    return f"{said}{tried}{due}"
