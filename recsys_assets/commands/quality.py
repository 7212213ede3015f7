"""`quarantine …` and `report`: looking at refused days, and at any day."""

from datetime import datetime
from pathlib import Path

import click

from recsys_assets.commands.options import example, home_option
from recsys_assets.settings import Home


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


COMMANDS: list[click.Command] = [report]
