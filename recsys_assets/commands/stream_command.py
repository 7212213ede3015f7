"""`recsys stream`: a source played into the product day by day."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from recsys_assets.commands.shared import DAY, example, home_option, run_build, settings_for
from recsys_assets.storage.database_urls import without_password
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import build_lock

if TYPE_CHECKING:
    from recsys_assets.commands.progress import ConsoleWatcher
    from recsys_assets.orchestration.build_outcome import BuildOutcome


@click.command(
    epilog=example(
        "recsys stream --days-per-second 0.5",
        "recsys stream --from 2017-03-02 --to 2017-03-31",
        "recsys stream --source tabular:events.csv --url http://127.0.0.1:8000",
    )
)
@home_option
@click.option(
    "--source", "spec", default=None, metavar="SPEC", help="The source to play; default the home's own."
)
@click.option("--from", "first", type=DAY, help="First day; default the day after the last one that landed.")
@click.option("--to", "last", type=DAY, help="Last day; default the source's last.")
@click.option(
    "--days-per-second",
    "pace",
    type=click.FloatRange(min=0, min_open=True),
    metavar="N",
    help="Play at most N days a second, such as 0.1; default as fast as they land.",
)
@click.option(
    "--url",
    default=None,
    metavar="URL",
    help="Send the events to the API there; default into the home's intake.",
)
@click.option(
    "--key", envvar="RECSYS_API_KEY", default=None, help="API key for --url; default $RECSYS_API_KEY."
)
def stream(
    home: Path | None,
    spec: str | None,
    first: datetime | None,
    last: datetime | None,
    pace: float | None,
    url: str | None,
    key: str | None,
) -> None:
    """Play a source into the product, day by day.

    Each day's rows become events, as if they came by HTTP, and the day is landed by a Dagster run. A row has the same
    event id each time, so that days that are played again add nothing. After Ctrl-C the next call goes on.
    """
    place = Home.locate(home)

    def run(watcher: "ConsoleWatcher") -> "BuildOutcome":
        from recsys_assets.commands.event_sender import by_http, into_intake  # noqa: PLC0415
        from recsys_assets.intake.event_meaning import EventOptions  # noqa: PLC0415
        from recsys_assets.intake.event_store import Intake  # noqa: PLC0415
        from recsys_assets.intake.events_of_home import event_log_of  # noqa: PLC0415
        from recsys_assets.lake.initialise import spec_as_written  # noqa: PLC0415
        from recsys_assets.lake.sources.registry import open_source, source_of  # noqa: PLC0415
        from recsys_assets.orchestration.stream_state import days_to_play  # noqa: PLC0415
        from recsys_assets.orchestration.streaming import play_days  # noqa: PLC0415

        settings = settings_for(place, watcher=watcher)
        written = settings.source.spec if spec is None else spec_as_written(place, spec)
        source = source_of(settings.source) if written == settings.source.spec else open_source(written)
        watcher.begin(f"reading {without_password(written)}", "")
        newest = last.date() if last else source.date_range().last_day
        state = days_to_play(
            place,
            settings,
            written,
            first=first.date() if first else None,
            last=last.date() if last else None,
            newest=newest,
        )
        state = msgspec.structs.replace(state, days_per_second=pace)
        with build_lock(place):
            if url is not None:
                return play_days(place, settings, watcher, source, state, send=by_http(url, key))
            log = event_log_of(place, EventOptions.of(place))
            intake = Intake(place.events_db, settings.events, now=lambda: datetime.now(UTC), log=log)
            try:
                return play_days(place, settings, watcher, source, state, send=into_intake(intake))
            finally:
                intake.close()

    if run_build(f"Streaming into {place.root}", run).failed:
        sys.exit(1)


COMMANDS = [stream]
