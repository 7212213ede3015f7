"""`quarantine …` and `report`: looking at refused days, and at any day."""

import getpass
from datetime import UTC, datetime
from pathlib import Path

import click

from recsys_assets.commands.options import example, home_option
from recsys_assets.settings import Home

_ROWS_SHOWN = 5


@click.command(epilog=example("recsys report 2017-12-31", "recsys report 2017-12-31 --pdf"))
@home_option
@click.argument("day", type=click.DateTime(formats=["%Y-%m-%d"]))
@click.option("--pdf", is_flag=True, help="Print it to a PDF too, by headless Chromium.")
def report(home: Path | None, day: datetime, pdf: bool) -> None:
    """Write the increment report on DAY: its figures and checks against its trailing window."""
    from recsys_assets.interactions.report import write_pdf, write_report  # noqa: PLC0415

    page = write_report(Home.locate(home), day.date())
    click.echo(str(page))
    if pdf:
        click.echo(str(write_pdf(page)))


@click.group(epilog=example("recsys quarantine list", "recsys quarantine show 2017-09-01"))
def quarantine() -> None:
    """Days that the audit refused: look at them, let one through, or drop it."""


@quarantine.command("list", epilog=example("recsys quarantine list"))
@home_option
def list_days(home: Path | None) -> None:
    """List the refused days with the first reason of each."""
    from recsys_assets.quality.quarantine import refused_days  # noqa: PLC0415

    found = refused_days(Home.locate(home).quarantine)
    for refused in found:
        first = refused.reasons[0]
        click.echo(f"{refused.day}  {refused.table}  {refused.rows:,} rows  {first.check}: {first.detail}")
    if not found:
        click.echo("The quarantine is empty.")


@quarantine.command(epilog=example("recsys quarantine show 2017-09-01"))
@home_option
@click.argument("day", type=click.DateTime(formats=["%Y-%m-%d"]))
def show(home: Path | None, day: datetime) -> None:
    """Show why DAY was refused, with failing rows."""
    from recsys_assets.quality.quarantine import refused_day  # noqa: PLC0415

    for refused in refused_day(Home.locate(home).quarantine, day.date()):
        click.echo(f"{refused.table}, {refused.day}: {refused.rows:,} rows refused")
        for reason in refused.reasons:
            click.echo(f"  {reason.check}: {reason.detail}")
            for row in reason.sample[:_ROWS_SHOWN]:
                click.echo("    " + ", ".join(f"{name}={value}" for name, value in row.items()))
            if reason.failing_rows > _ROWS_SHOWN:
                click.echo(f"    … {reason.failing_rows:,} rows in all")


@quarantine.command("accept", epilog=example('recsys quarantine accept 2017-09-01 --why "the sale was real"'))
@home_option
@click.argument("day", type=click.DateTime(formats=["%Y-%m-%d"]))
@click.option("--why", required=True, help="The reason; kept in every release that the day goes into.")
@click.option("--who", default=getpass.getuser, show_default="the user", help="Who accepts.")
def accept_day(home: Path | None, day: datetime, why: str, who: str) -> None:
    """Publish DAY as it was delivered, and keep who let it through, why and when."""
    from recsys_assets.freshness import accepting_stores  # noqa: PLC0415
    from recsys_assets.quality.ledger import Ledger  # noqa: PLC0415
    from recsys_assets.quality.quarantine import accept  # noqa: PLC0415
    from recsys_assets.settings import load_or_default_settings  # noqa: PLC0415

    located = Home.locate(home)
    with Ledger(located.quality_db) as ledger:
        accepted = accept(
            located.quarantine,
            day.date(),
            stores=accepting_stores(located, load_or_default_settings(located)),
            ledger=ledger,
            who=who,
            why=why,
            at=datetime.now(UTC),
        )
    for acceptance in accepted:
        click.echo(f"{acceptance.day}: {acceptance.table} published, accepted by {acceptance.who}")
    click.echo(f"`recsys build --home {located.root}` makes everything that depends on it.")


@quarantine.command("drop", epilog=example("recsys quarantine drop 2017-09-01"))
@home_option
@click.argument("day", type=click.DateTime(formats=["%Y-%m-%d"]))
def drop_day(home: Path | None, day: datetime) -> None:
    """Forget the refused delivery of DAY; what was published before stays in use."""
    from recsys_assets.quality.quarantine import drop  # noqa: PLC0415

    for refused in drop(Home.locate(home).quarantine, day.date()):
        click.echo(f"{refused.day}: refused {refused.table} dropped")


COMMANDS: list[click.Command] = [report, quarantine]
