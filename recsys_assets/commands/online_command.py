"""`recsys online`: what came of the answers, by day, release, list or arm."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from recsys_assets.commands.shared import DAY, example, home_option, json_option
from recsys_assets.errors import NothingShownError
from recsys_assets.experiments.online_results import (
    ARTIFACT,
    GroupKind,
    OnlineMetric,
    OnlineResults,
    read_results,
    select,
)
from recsys_assets.storage.home import Home

if TYPE_CHECKING:
    from rich.table import Table

_COLUMNS: Final = {"ctr": "clicked", "conversion": "users who bought", "value_per_answer": "value an answer"}
"""Metric -> title of its column."""
_SHARES: Final = ("ctr", "conversion", "coverage")
_AT: Final = "ctr_at_"
_NONE_YET: Final = (
    "Nothing was reported as shown, or no build has run since; post what is shown to /v1/impressions, then "
    "`recsys build`."
)


@click.command(
    epilog=example(
        "recsys online",
        "recsys online --by arm",
        "recsys online 2026-11-27 --by release",
        "recsys online --json",
    )
)
@home_option
@click.argument("day", type=DAY, required=False)
@click.option(
    "--by",
    type=click.Choice(["release", "list", "arm"]),
    default=None,
    help="Compare releases, kinds of lists, or arms of experiments: over four weeks, or on DAY.",
)
@json_option
def online(home: Path | None, day: datetime | None, by: GroupKind | None, as_json: bool) -> None:
    """Show what came of the answers: clicks, purchases and value.

    Of the newest days, or of one DAY when answers were shown, as of the last build. In brackets are 95 % intervals that
    treat users as the unit. A click or purchase counts for the last answer that showed the item to the user.
    """
    place = Home.locate(home)
    results = read_results(place.artifact(ARTIFACT))
    if results is None:
        click.echo("null" if as_json else _NONE_YET)
        return
    if day is None:
        chosen = select(results.period if by else results.days, group_kind=by or "all")
    else:
        chosen = select(_of_day(place, results, day.date()), group_kind=by or "all")
    if as_json:
        click.echo(msgspec.json.encode(msgspec.structs.replace(results, period=[], days=chosen)).decode())
        return
    _print(results, chosen, day=None if day is None else day.date(), by=by)


def _of_day(home: Home, results: OnlineResults, day: date) -> list[OnlineMetric]:
    """Return the metrics of a day; one that is no longer in the JSON is read from the lake.

    Raises:
        NothingShownError: no answer was shown on it.
    """
    found = [one for one in results.days if one.day == day]
    if found:
        return found
    from recsys_assets.experiments.measure_online import metrics_of_day, metrics_store  # noqa: PLC0415  polars

    days = metrics_store(home).days()
    if day not in days:
        known = f"answers were shown on {days[0]} to {days[-1]}" if days else "the lake has no day"
        raise NothingShownError(f"{day}: no answer was measured that was shown on this day; {known}")
    return metrics_of_day(home, day)


def _print(
    results: OnlineResults, chosen: Sequence[OnlineMetric], *, day: date | None, by: str | None
) -> None:
    from recsys_assets.commands.console import open_console  # noqa: PLC0415  rich

    final = f"final through {results.final_through}" if results.final_through else "no day is final yet"
    span = f"{results.period_first} to {results.period_last}" if day is None else str(day)
    click.echo(f"Answers shown {span}; a click counts for {results.attribution_days:g} days, {final}.")
    if not chosen:
        click.echo(f"None of them has a known {by}." if by else "There are none.")
        return
    console = open_console()
    console.print(_table(chosen, title=by or "day"))
    if day is not None and by is None:
        for line in _curve(chosen):
            click.echo(line)


def _table(chosen: Iterable[OnlineMetric], *, title: str) -> "Table":
    from rich.table import Table  # noqa: PLC0415

    rows: dict[tuple[date, str], dict[str, OnlineMetric]] = {}
    for one in chosen:
        rows.setdefault((one.day, one.group), {})[one.metric] = one
    table = Table(box=None, pad_edge=False)
    table.add_column(title)
    for column in ("answers", "users", *_COLUMNS.values(), "catalogue shown"):
        table.add_column(column, justify="right")
    for (day, group), found in sorted(rows.items()):
        rate, coverage = found["ctr"], found.get("coverage")
        table.add_row(
            str(day) if title == "day" else group,
            f"{rate.shown:,}",
            f"{rate.users:,}",
            *(_in_words(found[metric]) for metric in _COLUMNS),
            _in_words(coverage) if coverage else "",
        )
    return table


def _curve(chosen: Iterable[OnlineMetric]) -> list[str]:
    """Return a line a position."""
    places = {int(one.metric.removeprefix(_AT)): one for one in chosen if one.metric.startswith(_AT)}
    return [
        "Clicked at position:",
        *(f"{place:>4}  {_in_words(one)}" for place, one in sorted(places.items())),
    ]


def _in_words(one: OnlineMetric) -> str:
    is_share = one.metric in _SHARES or one.metric.startswith(_AT)

    def number(value: float) -> str:
        return f"{value:.1%}" if is_share else f"{value:,.2f}"

    if one.low is None or one.high is None:
        return number(one.value)
    return f"{number(one.value)} [{number(one.low)}, {number(one.high)}]"
