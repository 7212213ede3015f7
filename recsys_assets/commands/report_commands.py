"""`report` and `features`: a day's report, and feature tables, as they are or as they were known at an earlier time."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from pathlib import Path

import click

from recsys_assets.commands.shared import DAY, example, home_option, progress_shown, settings_for
from recsys_assets.errors import InputError
from recsys_assets.settings import load_settings
from recsys_assets.storage.day_folders import day_folder
from recsys_assets.storage.home import FEATURE_DATABASE, Home

_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"]


def _end_of_day(_context: click.Context, _option: click.Parameter, given: datetime | None) -> datetime | None:
    """Return the time given; of a day without one its end."""
    if given is None:
        return None
    at = datetime.combine(given.date(), time.max) if given.time() == time.min else given
    return at.replace(tzinfo=UTC)


known_at_option = click.option(
    "--known-at",
    type=click.DateTime(formats=_FORMATS),
    callback=_end_of_day,
    metavar="TIME",
    help="Leave out rows that landed after this time, UTC; a day without a time means its end.",
)


@click.command(
    epilog=example(
        "recsys report 2017-12-31 --pdf", "recsys report 2017-12-31 --known-at 2018-01-01T06:00:00"
    )
)
@home_option
@click.argument("day", type=DAY)
@known_at_option
@click.option("--pdf", is_flag=True, help="Write a PDF too, by headless Chromium.")
def report(home: Path | None, day: datetime, known_at: datetime | None, pdf: bool) -> None:
    """Write the increment report on DAY.

    It has the day's figures and checks against its trailing window.
    """
    with progress_shown(f"Writing the report on {day:%Y-%m-%d}") as watcher:
        from recsys_assets.interactions.report_page import write_pdf, write_report  # noqa: PLC0415

        watcher.begin("report", "")
        place = Home.locate(home)
        if known_at is not None:
            from recsys_assets.orchestration.known_then import report_as_known  # noqa: PLC0415

            page = report_as_known(place, settings_for(place), day.date(), at=known_at)
        else:
            with _recorded_report(place, day.date()):
                page = write_report(place, day.date())
        printed = write_pdf(page) if pdf else None
    click.echo(str(page))
    if printed is not None:
        click.echo(str(printed))


@contextmanager
def _recorded_report(home: Home, day: date) -> Iterator[None]:
    """Record the page that the block writes, so that a build finds it whole; in a home with settings."""
    from recsys_assets.orchestration.fingerprints import Inputs  # noqa: PLC0415
    from recsys_assets.orchestration.planning.artifact_parts import parts_of_report  # noqa: PLC0415
    from recsys_assets.orchestration.repair.made_artifacts import making  # noqa: PLC0415

    if (
        not home.settings_file.exists()
        or not Inputs(home, load_settings(home)).interaction_store.path(day).exists()
    ):
        yield
        return
    inputs = Inputs(home, load_settings(home))
    parts = parts_of_report(inputs, day)
    with making(day_folder(home.reports, day), inputs=inputs.increment_report(day), parts=parts):
        yield


@click.command(
    epilog=example(
        "recsys features --to then --known-at 2018-01-01T06:00:00",
        "recsys features --to then --known-at 2018-02-01 --through 2017-12-31",
    )
)
@home_option
@known_at_option
@click.option("--through", type=DAY, help="Last day whose events count, and the day that features are as of.")
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder of `features.sqlite` and `features.json`, which is made or replaced.",
)
def features(home: Path | None, known_at: datetime | None, through: datetime | None, folder: Path) -> None:
    """Make the feature tables as they were known at a time.

    They are cut by arrival (--known-at) and by event (--through). Those of the home and its releases stay as they are.
    """
    place = Home.locate(home)
    with progress_shown(f"Making features of {place.root}") as watcher:
        from recsys_assets.orchestration.known_then import features_as_known  # noqa: PLC0415

        watcher.begin("features", "")
        _require_no_other(folder)
        at = known_at or datetime.now(UTC)
        day = through.date() if through else None
        found = features_as_known(place, settings_for(place), folder.absolute(), at=at, through=day)
    counts = f"{found.users:,} users, {found.items:,} items as of {found.as_of}"
    click.echo(f"{folder}: {counts}, known at {at:%Y-%m-%d %H:%M:%S} UTC")


def _require_no_other(folder: Path) -> None:
    """Check that a folder which would be replaced holds features only.

    Raises:
        InputError: it has other files.
    """
    from recsys_assets.features.contract import REGISTRY_FILE  # noqa: PLC0415  polars

    others = [file.name for file in folder.iterdir()] if folder.is_dir() else []
    others = sorted({*others} - {FEATURE_DATABASE, REGISTRY_FILE})
    if others:
        raise InputError(f"--to {folder}: it holds {others[0]}, which would be lost; give a new folder")


COMMANDS: list[click.Command] = [report, features]
