"""`build`, `land`, `bench`: making things, and measuring how well they are made."""

import json
import sys
import time
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from recsys_assets.commands.options import days_option, example, home_option, json_option, source_option
from recsys_assets.commands.running import settings_for
from recsys_assets.errors import InputError
from recsys_assets.settings import Settings, TrainingSettings
from recsys_assets.storage.home import Home

if TYPE_CHECKING:
    from collections.abc import Callable

    from recsys_assets.orchestration.build import BuildOutcome, Watcher

_DATE = click.DateTime(formats=["%Y-%m-%d"])


@click.command(epilog=example("recsys build", "recsys build --home shop --source tabular:events.csv"))
@home_option
@source_option
@days_option
@click.option(
    "--landed", is_flag=True, help="Train and release on the days that have landed; land no new one."
)
def build(home: Path | None, spec: str | None, days: int | None, landed: bool) -> None:
    """Materialise what is missing or stale through Dagster, and exit: 0 when all of it is there."""
    from recsys_assets.orchestration.build import build as build_home  # noqa: PLC0415

    place = Home.locate(home)
    settings = settings_for(place, spec, days)
    if run_build(place, lambda watcher: build_home(place, settings, watcher, landed_only=landed)).failed:
        sys.exit(1)


@click.command(epilog=example("recsys land --next 14", "recsys land --from 2017-03-01 --to 2017-03-31"))
@home_option
@click.option(
    "--next", "count", type=click.IntRange(min=1), help="The first so many days that haven't landed yet."
)
@click.option("--from", "first", type=_DATE, help="First day to land, again or for the first time.")
@click.option("--to", "last", type=_DATE, help="Last day to land; default the same day.")
def land(home: Path | None, count: int | None, first: datetime | None, last: datetime | None) -> None:
    """Land days: raw events, audited and cleaned, with an increment report for the last of them."""
    from recsys_assets.orchestration.build import land as land_days  # noqa: PLC0415
    from recsys_assets.orchestration.fingerprints import Inputs  # noqa: PLC0415

    place = Home.locate(home)
    settings = settings_for(place, None, None)
    wanted = _wanted_days(
        settings, Inputs(place, settings).raw_store.days(), count=count, first=first, last=last
    )
    if run_build(place, lambda watcher: land_days(place, settings, watcher, wanted)).failed:
        sys.exit(1)
    click.echo(f"Landed {wanted[0]} to {wanted[-1]}. Reports: {place.reports}")


@click.command(epilog=example("recsys tune --minutes 5"))
@home_option
@click.option(
    "--minutes", default=5.0, show_default=True, type=click.FloatRange(min=0), help="No trial starts later."
)
def tune(home: Path | None, minutes: float) -> None:
    """Search hyperparameters on held-out days, and save the best in recsys.toml with its score."""
    from recsys_assets.evaluation.tuning import TuningTrial  # noqa: PLC0415
    from recsys_assets.evaluation.tuning import tune as search  # noqa: PLC0415
    from recsys_assets.lake.initialise import change_section  # noqa: PLC0415
    from recsys_assets.orchestration.fingerprints import Inputs  # noqa: PLC0415

    def tell(trial: TuningTrial, best: TuningTrial) -> None:
        click.echo(f"NDCG@20 {trial.ndcg:.4f} in {trial.seconds:.1f} s, best so far {best.ndcg:.4f}")

    place = Home.locate(home)
    settings = settings_for(place, None, None)
    store = Inputs(place, settings).interaction_store
    if not store.days():
        raise InputError(f"{place.interactions}: no day has landed; run `recsys build` first")
    found = search(store.scan(store.days()), settings.training, minutes=minutes, on_trial=tell)
    note = (
        f"By `recsys tune`: NDCG@20 {found.best.ndcg:.4f} on the days from {found.first_held_out_day} on, "
        f"{found.given.ndcg:.4f} before; {len(found.trials)} trials."
    )
    change_section(place, "training", _changed(found.best.settings, settings.training), note=note)
    click.echo(f"{place.settings_file}: {note}")


@click.command(epilog=example("recsys bench build", "recsys bench ingest --json"))
@click.argument("name")
@json_option
def bench(name: str, as_json: bool) -> None:
    """Run the benchmark NAME, in one run against what it is compared with."""
    from recsys_assets.benchmarks.benchmark_names import run_benchmark  # noqa: PLC0415

    result = run_benchmark(name)
    if as_json:
        click.echo(json.dumps(result))
    else:
        for key, value in result.items():
            click.echo(f"{key:28} {value}")


def _changed(best: TrainingSettings, before: TrainingSettings) -> dict[str, Any]:
    """Fields that the search set otherwise, or that were set already."""
    plain, old = msgspec.to_builtins(best), msgspec.to_builtins(before)
    return {name: value for name, value in plain.items() if value != old[name]}


def run_build(home: Home, run: "Callable[[Watcher], BuildOutcome]") -> "BuildOutcome":
    """Prepare the home, run with progress shown, print the summary."""
    from rich.console import Console  # noqa: PLC0415

    from recsys_assets.commands.console import ConsoleWatcher, print_summary  # noqa: PLC0415
    from recsys_assets.orchestration.instance import commit_without_waiting_for_the_disk, prepare_dagster  # noqa: PLC0415

    console, started = Console(), time.monotonic()
    prepare_dagster(home)
    commit_without_waiting_for_the_disk()
    with ConsoleWatcher(console) as watcher:
        outcome = run(watcher)
    print_summary(console, outcome, seconds=time.monotonic() - started)
    return outcome


def _wanted_days(
    settings: Settings,
    landed: list[date],
    *,
    count: int | None,
    first: datetime | None,
    last: datetime | None,
) -> list[date]:
    days = settings.source.days()
    if (count is None) == (first is None):
        raise InputError("give either --next N or --from DATE [--to DATE]; recsys land --help shows examples")
    if count is not None:
        missing = sorted(set(days) - set(landed))
        if not missing:
            raise InputError(
                f"all {len(days)} days of the source have landed, to {days[-1]}; nothing is next"
            )
        return missing[:count]
    start = first.date() if first else days[0]
    end = last.date() if last else start
    wanted = [day for day in days if start <= day <= end]
    if not wanted:
        raise InputError(f"no day from {start} to {end} is in the source, which has {days[0]} to {days[-1]}")
    return wanted


COMMANDS = [build, land, tune, bench]
