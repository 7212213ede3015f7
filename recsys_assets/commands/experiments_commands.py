"""`experiments list | show | stop`: what runs, what is known about each arm, and an end before the last day."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from recsys_assets.commands.shared import example, home_option, json_option, login
from recsys_assets.storage.home import Home

if TYPE_CHECKING:
    from recsys_assets.experiments.results import ArmLook, ExperimentResult
    from recsys_assets.experiments.standing import Standing


@click.group(epilog=example("recsys experiments list", "recsys experiments show new_ranking"))
def experiments() -> None:
    """Show which list does better, and stop experiments.

    experiments.toml in the home says which arms there are; `recsys build` looks at them, a look a day.
    """


@experiments.command("list", epilog=example("recsys experiments list", "recsys experiments list --json"))
@home_option
@json_option
def list_experiments(home: Path | None, as_json: bool) -> None:
    """List the experiments with their state and newest verdict."""
    from recsys_assets.experiments.results import read_result  # noqa: PLC0415
    from recsys_assets.experiments.standing import standing_of  # noqa: PLC0415

    place, today = Home.locate(home), datetime.now(UTC).date()
    found = [(one, read_result(place, one.experiment.name)) for one in standing_of(place)]
    if as_json:
        click.echo(msgspec.json.encode({"experiments": [_plain(one, result) for one, result in found]}))
        return
    for one, result in found:
        spec = one.experiment
        click.echo(f"{spec.name}  {one.state(today)}  {spec.start}..{spec.end}  {spec.metric}, {spec.kind}")
        for words in _verdicts(one, result):
            click.echo(f"  {words}")
    if not found:
        click.echo(f"There are no experiments: write {place.experiments_file}.")


@experiments.command(epilog=example("recsys experiments show new_ranking"))
@home_option
@click.argument("name")
@json_option
def show(home: Path | None, name: str, as_json: bool) -> None:
    """Show the arms of NAME, its looks and the verdict.

    All intervals of an experiment hold together, so that it may be looked at every day and stopped at any.
    """
    from recsys_assets.experiments.experiments_file import find_experiment  # noqa: PLC0415
    from recsys_assets.experiments.results import read_result  # noqa: PLC0415
    from recsys_assets.experiments.standing import read_ends, with_ends  # noqa: PLC0415

    place = Home.locate(home)
    one = with_ends(find_experiment(place, name), read_ends(place))
    result = read_result(place, name)
    if as_json:
        click.echo(msgspec.json.encode(_plain(one, result)))
        return
    spec, today = one.experiment, datetime.now(UTC).date()
    click.echo(f"{spec.name}: {one.state(today)}, {spec.start} to {spec.end}, {spec.metric}, {spec.kind}")
    for number, arm in enumerate(spec.arms):
        answers = arm.release or arm.rules or arm.model or "as served"
        control = ", the control" if number == 0 else ""
        click.echo(f"  {arm.name}: {answers}, {arm.share:.0%} of users{control}")
    for look in result.days if result else ():
        for row in look.arms:
            click.echo(f"{look.day}  {row.arm:16} {row.users:>9,} users  {_figures(row)}")
    for words in _verdicts(one, result):
        click.echo(words)


@experiments.command(epilog=example("recsys experiments stop new_ranking --why 'customers complain'"))
@home_option
@click.argument("name")
@click.option("--why", required=True, help="The reason; kept on record.")
def stop(home: Path | None, name: str, why: str) -> None:
    """Stop NAME for good.

    Its users get what everybody gets, within a second.
    """
    from recsys_assets.experiments.standing import stop as stop_now  # noqa: PLC0415

    stop_now(Home.locate(home), name, why=why, who=login(), now=datetime.now(UTC))
    click.echo(f"Stopped: {name}")


def _figures(row: "ArmLook") -> str:
    value = "nothing shown" if row.value is None else f"{row.value:.4g}"
    if row.low is None or row.high is None:
        return value if row.verdict == "control" else f"{value}  {row.verdict}"
    return f"{value}  {row.difference:+.4g} ({row.low:+.4g} to {row.high:+.4g})  {row.verdict}"


def _verdicts(one: "Standing", result: "ExperimentResult | None") -> list[str]:
    words = list(result.words) if result else ["No look yet: `recsys build` makes one a day."]
    if one.stopped is not None:
        who = f" by {one.stopped.who}" if one.stopped.who else ""
        words.append(f"Stopped on {one.stopped.at:%Y-%m-%d}{who}: {one.stopped.why}")
    return words


def _plain(one: "Standing", result: "ExperimentResult | None") -> dict[str, Any]:
    return {
        "experiment": msgspec.to_builtins(one.experiment),
        "state": one.state(datetime.now(UTC).date()),
        "stopped": msgspec.to_builtins(one.stopped),
        "ended": msgspec.to_builtins(one.ended),
        "result": msgspec.to_builtins(result),
    }
