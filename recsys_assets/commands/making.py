"""`build`, `land`, `tune`, `bench`: building a home, searching its settings, and measuring both."""

import json
import sys
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from recsys_assets.commands.shared import (
    DAY,
    days_option,
    example,
    home_option,
    json_option,
    run_build,
    settings_for,
    source_option,
)
from recsys_assets.errors import InputError
from recsys_assets.settings import Settings
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import build_lock
from recsys_assets.training_settings import TrainingSettings

if TYPE_CHECKING:
    from recsys_assets.commands.progress import ConsoleWatcher
    from recsys_assets.orchestration.build_outcome import BuildOutcome
    from recsys_assets.orchestration.fingerprints import Inputs

_NAME_WIDTH: Final = 10
_FIGURE_WIDTH: Final = 28


@click.command(epilog=example("recsys build", "recsys build --home shop --source tabular:events.csv"))
@home_option
@source_option
@days_option
@click.option(
    "--landed", is_flag=True, help="Land no new day; train and release on the days that have landed."
)
def build(home: Path | None, spec: str | None, days: int | None, landed: bool) -> None:
    """Build whatever is missing or stale.

    The source is followed, and assets are built through Dagster. The exit code is 0 when everything is there.
    """
    place = Home.locate(home)

    def run(watcher: "ConsoleWatcher") -> "BuildOutcome":
        from recsys_assets.orchestration.build import build as build_home  # noqa: PLC0415

        return build_home(place, settings_for(place, spec, days, watcher), watcher, landed_only=landed)

    if run_build(f"Building {place.root}", run).failed:
        sys.exit(1)


@click.command(
    epilog=example(
        "recsys land --next 14",
        "recsys land --from 2017-03-01 --to 2017-03-31",
        "recsys land --events --through 2017-03-31",
    )
)
@home_option
@click.option(
    "--next", "count", type=click.IntRange(min=1), metavar="N", help="Land the first N days that are missing."
)
@click.option("--from", "first", type=DAY, help="First day to land; a day that has landed is landed again.")
@click.option("--to", "last", type=DAY, help="Last day to land; default the day of --from.")
@click.option("--events", is_flag=True, help="Land the days of the events by HTTP that have not landed.")
@click.option(
    "--through", type=DAY, help="With --events: the last day whose events land; default today, UTC."
)
def land(
    home: Path | None,
    count: int | None,
    first: datetime | None,
    last: datetime | None,
    *,
    events: bool,
    through: datetime | None,
) -> None:
    """Land days, again or for the first time.

    Their raw events are audited and cleaned, and the last days get an increment report.
    """
    place, wanted = Home.locate(home), list[date]()
    if events + (count is not None) + (first is not None) != 1 or (through is not None and not events):
        raise InputError(
            "give one of --next N, --from DATE [--to DATE] and --events [--through DATE]; recsys land --help shows "
            "examples"
        )

    def run(watcher: "ConsoleWatcher") -> "BuildOutcome":
        from recsys_assets.orchestration.build import land as land_days  # noqa: PLC0415
        from recsys_assets.orchestration.fingerprints import Inputs  # noqa: PLC0415
        from recsys_assets.orchestration.landing_plan import days_with_new_events, follow  # noqa: PLC0415

        settings = settings_for(place, watcher=watcher)
        until = through.date() if through else None
        with build_lock(place):  # until the days have landed: following the source writes the settings
            settings = follow(place, settings, watcher, by_hand=True, through=until)
            inputs = Inputs(place, settings)
            wanted.extend(
                [day for day in days_with_new_events(inputs) if until is None or day <= until]
                if events
                else _wanted_days(inputs, count=count, first=first, last=last)
            )
            return land_days(place, settings, watcher, wanted)

    if run_build(f"Landing into {place.root}", run).failed:
        sys.exit(1)
    if not wanted:
        click.echo("All events by HTTP have landed.")
        return
    click.echo(f"Landed {wanted[0]} to {wanted[-1]}. Reports: {place.reports}")


@click.command(epilog=example("recsys tune --minutes 5"))
@home_option
@click.option(
    "--minutes",
    default=5.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="Start no trial after this time.",
)
def tune(home: Path | None, minutes: float) -> None:
    """Search models and their settings on held-out days.

    The best is saved in recsys.toml if it is better beyond chance.
    """
    from recsys_assets.embeddings.recency import categories_in  # noqa: PLC0415  polars
    from recsys_assets.evaluation.tuning import TuningTrial  # noqa: PLC0415
    from recsys_assets.evaluation.tuning import tune as search  # noqa: PLC0415
    from recsys_assets.interactions.wish_rule import hides_item  # noqa: PLC0415
    from recsys_assets.lake.item_catalogue import read_catalogue  # noqa: PLC0415
    from recsys_assets.orchestration.fingerprints import Inputs  # noqa: PLC0415
    from recsys_assets.storage.settings_file import write_section  # noqa: PLC0415

    def show(trial: TuningTrial, best: TuningTrial) -> None:
        click.echo(
            f"NDCG@20 {trial.ndcg:.4f} by {trial.spec.model} in {trial.seconds:.1f} s,"
            f" best so far {best.ndcg:.4f} by {best.spec.model}"
        )

    place = Home.locate(home)
    settings = settings_for(place)
    store = Inputs(place, settings).interaction_store
    if not store.days():
        raise InputError(f"{place.interactions}: no day has landed; run `recsys build` first")
    catalogue = read_catalogue(place.catalogue) if place.catalogue.exists() else None
    click.echo("Fitting the models by the present settings first …")
    found = search(
        store.scan(store.days()),
        settings.training,
        minutes=minutes,
        categories=categories_in(catalogue),
        hides=hides_item(settings.interactions),
        on_trial=show,
    )
    if len(found.trials) == 1:
        click.echo(
            f"{place.settings_file}: unchanged. There was time for the given settings only: NDCG@20"
            f" {found.given.ndcg:.4f} by {found.given.spec.model}; give more --minutes."
        )
        return
    low, high = found.gain
    note = (
        f"By `recsys tune`: NDCG@20 {found.best.ndcg:.4f} on the days held out from"
        f" {found.first_held_out_days[-1]} on, {found.given.ndcg:.4f} by the settings until now"
        f" (gain {low:+.4f} to {high:+.4f}); {len(found.trials)} trials."
    )
    if not found.outside_the_noise:
        click.echo(
            f"{place.settings_file}: unchanged. {note} No gain beyond chance; more --minutes try more."
        )
        return
    values = _changed(found.best.settings, settings.training)
    write_section(place.settings_file, Settings, "training", values, note=note)
    click.echo(f"{place.settings_file}: {note}")


@click.command(epilog=example("recsys bench", "recsys bench build", "recsys bench ingest --json"))
@click.argument("name", required=False)
@click.option(
    "--only", metavar="PARTS", help="Run these parts alone, s3,replica, of a benchmark that has some."
)
@json_option
def bench(name: str | None, only: str | None, as_json: bool) -> None:
    """Run the benchmark NAME; without NAME, list them."""
    from recsys_assets.benchmarks.harness import benchmarks, run_benchmark  # noqa: PLC0415

    options = {} if only is None else {"only": tuple(part.strip() for part in only.split(","))}
    result = benchmarks() if name is None else run_benchmark(name, **options)
    if as_json:
        click.echo(json.dumps(result))
        return
    width = _NAME_WIDTH if name is None else _FIGURE_WIDTH
    for key, value in result.items():
        click.echo(f"{key:{width}} {value}")


def _changed(best: TrainingSettings, before: TrainingSettings) -> dict[str, Any]:
    """Return the fields whose value differs from the one before."""
    plain, old = msgspec.to_builtins(best), msgspec.to_builtins(before)
    return {name: value for name, value in plain.items() if value != old[name]}


def _wanted_days(
    inputs: "Inputs",
    *,
    count: int | None,
    first: datetime | None,
    last: datetime | None,
) -> list[date]:
    from recsys_assets.orchestration.landing_plan import idle_days  # noqa: PLC0415  dagster

    days, idle = inputs.settings.source.days(), idle_days(inputs).difference(inputs.raw_files)
    if count is not None:
        missing = sorted({*days} - {*inputs.raw_store.days()} - idle)
        if not missing:
            raise InputError(
                f"all {len({*days} - idle)} days of the source have landed, to {days[-1]}; land some of them again by "
                "--from DATE --to DATE"
            )
        return missing[:count]
    start = first.date() if first else days[0]
    end = last.date() if last else start
    wanted = [day for day in days if start <= day <= end]
    if not wanted:
        raise InputError(f"no day from {start} to {end} is in the source, which has {days[0]} to {days[-1]}")
    if idle.issuperset(wanted):
        raise InputError(
            f"nothing came from {start} to {end}: the source has no row of it, and no event by HTTP"
        )
    return [day for day in wanted if day not in idle]


COMMANDS = [build, land, tune, bench]
