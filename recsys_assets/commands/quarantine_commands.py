"""`quarantine list | show | accept | drop`: rejected days, and what a person decides on them."""

import getpass
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from recsys_assets.commands.shared import (
    DAY,
    days_argument,
    example,
    home_option,
    settings_for,
)
from recsys_assets.errors import QuarantineError
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import SHORTLY, build_lock

if TYPE_CHECKING:
    from recsys_assets.quality.check_ledger import Acceptance, CheckLedger

_SHOWN_DAYS = 5
_STAYS_EXCEPTION = (
    "Later days are not compared with them: the next one like them is rejected too. If this is the new normal: "
    "recsys quarantine accept --as-normal"
)


def _rejected_within(
    quarantine: Path, spans: Sequence[tuple[date, date]], *, known: Collection[date] = ()
) -> list[date]:
    """Return the days in quarantine within the spans, oldest first.

    Raises:
        QuarantineError: a span has none, and none of the `known` days either.
    """
    from recsys_assets.quality.quarantine import rejected_days  # noqa: PLC0415

    rejected, found = sorted({one.day for one in rejected_days(quarantine)}), set[date]()
    for first, last in spans:
        inside = [day for day in rejected if first <= day <= last]
        if not inside and not any(first <= day <= last for day in known):
            span = f"{first}" if first == last else f"{first}..{last}"
            others = ", ".join(str(day) for day in rejected[:_SHOWN_DAYS])
            others = f"in quarantine are {others}" if rejected else "the quarantine is empty"
            raise QuarantineError(f"{span} is not in quarantine; {others}: see `recsys quarantine list`")
        found.update(inside)
    return sorted(found)


def _exceptions_within(ledger: "CheckLedger", spans: Sequence[tuple[date, date]]) -> list["Acceptance"]:
    """Return what was accepted within the spans, but not as the new normal."""
    return list(dict.fromkeys(one for first, last in spans for one in ledger.exceptions(first, last)))


@click.group(epilog=example("recsys quarantine list", "recsys quarantine show 2017-09-01"))
def quarantine() -> None:
    """List and show rejected days; accept or drop them."""


@quarantine.command("list", epilog=example("recsys quarantine list"))
@home_option
def list_rejected(home: Path | None) -> None:
    """List the rejected days with their first reason."""
    from recsys_assets.quality.quarantine import rejected_days  # noqa: PLC0415
    from recsys_assets.quality.rejected_in_words import in_one_line  # noqa: PLC0415

    place = Home.locate(home)
    rejected = rejected_days(place.quarantine)
    for one in rejected:
        click.echo(in_one_line(one))
    if rejected:
        click.echo(f"Next: recsys quarantine show {rejected[0].day}{place.option}")
    else:
        click.echo("The quarantine is empty.")


@quarantine.command(epilog=example("recsys quarantine show 2017-09-01"))
@home_option
@click.argument("day", type=DAY)
def show(home: Path | None, day: datetime) -> None:
    """Show why DAY was rejected, with failing rows as they were, and the ways out."""
    from recsys_assets.quality.quarantine import rejected_on  # noqa: PLC0415
    from recsys_assets.quality.rejected_in_words import in_full, ways_out  # noqa: PLC0415

    place = Home.locate(home)
    rejected = rejected_on(place.quarantine, day.date())
    for one in rejected:
        for line in in_full(one):
            click.echo(line)
    for line in ways_out(rejected[0], option=place.option):
        click.echo(line)


@quarantine.command(
    epilog=example(
        "recsys quarantine accept 2017-09-01 --why 'half a day was lost, nothing can be done'",
        "recsys quarantine accept 2017-09-01..2017-09-30 --as-normal --why 'a price rise, says finance'",
    )
)
@home_option
@days_argument()
@click.option("--why", required=True, help="The reason; kept with the release's lineage.")
@click.option("--who", default=None, help="The name of the person who decides; default your login name.")
@click.option(
    "--as-normal",
    is_flag=True,
    help="Compare later days with these, as with any other; accepted days count too.",
)
def accept(
    home: Path | None, spans: list[tuple[date, date]], why: str, who: str | None, as_normal: bool
) -> None:
    """Publish the rejected deliveries of these days as they are; name and reason are recorded.

    They stay exceptions: later days are not compared with them, and the next one like them is rejected too. With
    --as-normal they are the new normal; so are days that were accepted before.
    """
    from recsys_assets.lake.home_account import write_home_account  # noqa: PLC0415
    from recsys_assets.notices.delivery import COMMAND_SECONDS, deliver_due  # noqa: PLC0415
    from recsys_assets.orchestration.landing_plan import accepting_stores  # noqa: PLC0415
    from recsys_assets.orchestration.recall_home import take_back_accepted  # noqa: PLC0415
    from recsys_assets.quality.open_ledger import open_ledger  # noqa: PLC0415
    from recsys_assets.quality.quarantine import accept_day, require_reason  # noqa: PLC0415

    require_reason(why)
    place, who, at = Home.locate(home), who or getpass.getuser(), datetime.now(UTC)
    settings = settings_for(place)
    with build_lock(place, patience=SHORTLY), open_ledger(place) as ledger:
        stores = accepting_stores(place, settings)
        before = _exceptions_within(ledger, spans) if as_normal else []
        for day in _rejected_within(place.quarantine, spans, known={one.day for one in before}):
            accepted = accept_day(
                place.quarantine,
                day,
                stores=stores,
                ledger=ledger,
                who=who,
                why=why,
                at=at,
                as_normal=as_normal,
            )
            for one in accepted:
                click.echo(f"{one.day} {one.table}: published; accepted by {one.who}: {one.why}")
        for one in before:
            ledger.accept(replace(one, who=who, why=why, accepted_at=at, as_normal=True))
            click.echo(f"{one.day} {one.table}: the new normal, says {who}: {why}")
        taken_back = take_back_accepted(place, settings)
        for day in taken_back:
            click.echo(
                f"{day}: its recall is taken back; `recsys releases list` shows what can be served again"
            )
        write_home_account(place, settings.source)
    if taken_back:
        delivered = deliver_due(place, settings.notify, datetime.now(UTC), seconds=COMMAND_SECONDS)
        if said := delivered.in_words():
            click.echo(said)
    if not as_normal:
        click.echo(_STAYS_EXCEPTION)
    click.echo("Next: recsys build")


@quarantine.command(epilog=example("recsys quarantine drop 2017-09-01 2017-09-03"))
@home_option
@days_argument()
def drop(home: Path | None, spans: list[tuple[date, date]]) -> None:
    """Delete the rejected deliveries of these days; the days published before stay."""
    from recsys_assets.quality.quarantine import drop_day  # noqa: PLC0415

    place = Home.locate(home)
    with build_lock(place, patience=SHORTLY):
        for day in _rejected_within(place.quarantine, spans):
            for one in drop_day(place.quarantine, day):
                click.echo(f"{one.day} {one.table}: {one.rows:,} rejected rows removed")


COMMANDS: list[click.Command] = [quarantine]
