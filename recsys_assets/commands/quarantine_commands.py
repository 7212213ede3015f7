"""`quarantine …` and `report`: looking at refused days, and at any day."""

import getpass
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import click

from recsys_assets.commands.shared import DAY, example, home_option, settings_for
from recsys_assets.storage.home import Home

_SHOWN_ROWS = 5


def _spans(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> list[tuple[date, date]]:
    """First and last day of each `DAY` or `FIRST..LAST`."""
    found = []
    for value in values:
        first, dots, last = value.partition("..")
        start, end = (DAY.convert(text, param, ctx).date() for text in (first, last if dots else first))
        if start > end:
            raise click.BadParameter(f"{value} ends before it starts; write FIRST..LAST", ctx, param)
        found.append((start, end))
    return found


_days_argument = click.argument(
    "spans", metavar="DAY|FIRST..LAST...", nargs=-1, required=True, callback=_spans
)


def _refused_within(quarantine: Path, spans: Sequence[tuple[date, date]]) -> list[date]:
    """The days in quarantine within the spans, oldest first.

    Raises:
        QuarantineError: a span has none.
    """
    from recsys_assets.quality.quarantine import rejected_days, rejected_on  # noqa: PLC0415

    refused, found = {one.day for one in rejected_days(quarantine)}, set[date]()
    for first, last in spans:
        inside = {day for day in refused if first <= day <= last}
        if not inside:
            rejected_on(quarantine, first)
        found |= inside
    return sorted(found)


@click.group(epilog=example("recsys quarantine list", "recsys quarantine show 2017-09-01"))
def quarantine() -> None:
    """Look at days that the audit refused; let one through, or forget it."""


@quarantine.command("list", epilog=example("recsys quarantine list"))
@home_option
def list_refused(home: Path | None) -> None:
    """List the refused days with their first reason."""
    from recsys_assets.quality.quarantine import rejected_days  # noqa: PLC0415

    refused = rejected_days(Home.locate(home).quarantine)
    for one in refused:
        reason = f"{one.reasons[0].check}: {one.reasons[0].detail}" if one.reasons else ""
        click.echo(f"{one.day}  {one.table}  {one.rows:,} rows  {reason}")
    if not refused:
        click.echo("The quarantine is empty.")


@quarantine.command(epilog=example("recsys quarantine show 2017-09-01"))
@home_option
@click.argument("day", type=DAY)
def show(home: Path | None, day: datetime) -> None:
    """Show why DAY was refused, with failing rows."""
    from recsys_assets.quality.quarantine import rejected_on  # noqa: PLC0415

    for refused in rejected_on(Home.locate(home).quarantine, day.date()):
        click.echo(f"{refused.day} {refused.table}: {refused.rows:,} rows refused")
        for reason in refused.reasons:
            click.echo(f"  {reason.check}: {reason.detail}")
            for row in reason.sample[:_SHOWN_ROWS]:
                click.echo("    " + ", ".join(f"{name}={value}" for name, value in row.items()))


@quarantine.command(
    epilog=example("recsys quarantine accept 2017-09-01..2017-09-30 --why 'a price rise, asked finance'")
)
@home_option
@_days_argument
@click.option("--why", required=True, help="Kept with the release's lineage.")
@click.option("--who", default=None, help="Who decides; default the name you are logged in as.")
def accept(home: Path | None, spans: list[tuple[date, date]], why: str, who: str | None) -> None:
    """Publish the refused deliveries of these days as they are, on the record."""
    from recsys_assets.orchestration.fingerprints import accepting_stores  # noqa: PLC0415
    from recsys_assets.quality.ledger import Ledger  # noqa: PLC0415
    from recsys_assets.quality.quarantine import accept_day  # noqa: PLC0415

    place = Home.locate(home)
    stores = accepting_stores(place, settings_for(place))
    with Ledger(place.quality_db) as ledger:
        for day in _refused_within(place.quarantine, spans):
            accepted = accept_day(
                place.quarantine,
                day,
                stores=stores,
                ledger=ledger,
                who=who or getpass.getuser(),
                why=why,
                at=datetime.now(UTC),
            )
            for one in accepted:
                click.echo(f"{one.day} {one.table}: published; accepted by {one.who}: {one.why}")
    click.echo("Next: recsys build")


@quarantine.command(epilog=example("recsys quarantine drop 2017-09-01 2017-09-03"))
@home_option
@_days_argument
def drop(home: Path | None, spans: list[tuple[date, date]]) -> None:
    """Forget the refused deliveries of these days; what was published before stays."""
    from recsys_assets.quality.quarantine import drop_day  # noqa: PLC0415

    place = Home.locate(home)
    for day in _refused_within(place.quarantine, spans):
        for one in drop_day(place.quarantine, day):
            click.echo(f"{one.day} {one.table}: {one.rows:,} refused rows removed")


@click.command(epilog=example("recsys report 2017-12-31", "recsys report 2017-12-31 --pdf"))
@home_option
@click.argument("day", type=DAY)
@click.option("--pdf", is_flag=True, help="Print it to a PDF too, by headless Chromium.")
def report(home: Path | None, day: datetime, pdf: bool) -> None:
    """Write the increment report on DAY: its figures and checks against its trailing window."""
    from recsys_assets.interactions.report_page import write_pdf, write_report  # noqa: PLC0415

    page = write_report(Home.locate(home), day.date())
    click.echo(str(page))
    if pdf:
        click.echo(str(write_pdf(page)))


COMMANDS: list[click.Command] = [quarantine, report]
