"""`recsys replay`: days landed again with all that follows from them, and the report on what that changed."""

import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import click

from recsys_assets.commands.diff_command import diff_lines
from recsys_assets.commands.shared import (
    days_argument,
    example,
    home_option,
    json_option,
    login,
    run_build,
    settings_for,
)
from recsys_assets.errors import InputError
from recsys_assets.storage.home import Home

if TYPE_CHECKING:
    from recsys_assets.commands.progress import ConsoleWatcher
    from recsys_assets.orchestration.build_outcome import BuildOutcome
    from recsys_assets.orchestration.replay_report import ReplayedDay, ReplayReport

_DAYS_SHOWN: Final = 20
"""Days that are listed; JSON has all."""
_STATES: Final = {
    "changed": "landed again",
    "same": "landed again with the same rows",
    "gone": "the source has no row of it any more; it stays as it landed",
    "rejected": "rejected; it stays as it was",
    "cleaned": "cleaned again, since returns touch it",
}


@click.command(
    epilog=example(
        "recsys replay 2017-09-01",
        "recsys replay 2017-09-01..2017-09-03 --warm",
        "recsys replay --show 20171001T120000Z",
    )
)
@home_option
@days_argument(required=False)
@click.option(
    "--full/--warm",
    "full",
    default=None,
    help="Make all as a build would, or keep the model and train on from the last embeddings until the next build; "
    "default: [replay] training.",
)
@click.option("--list", "listed", is_flag=True, help="List the replays of this home, the last one first.")
@click.option("--show", metavar="REPLAY", help="Show the report on an earlier replay; `last` is one.")
@json_option
def replay(
    home: Path | None,
    spans: list[tuple[date, date]],
    full: bool | None,
    listed: bool,
    show: str | None,
    as_json: bool,
) -> None:
    """Land days again, make what follows from them, report it.

    The report says what changed: rows, features, lists and metrics. It is kept in the home.
    """
    place = Home.locate(home)
    if bool(spans) + listed + (show is not None) != 1:
        raise InputError("give days, --list or --show REPLAY; recsys replay --help shows examples")
    if listed:
        _list(place, as_json=as_json)
    elif show is not None:
        _show(_kept(place, show), as_json=as_json)
    elif not _replay(place, _days_of(spans), full=full, as_json=as_json):
        sys.exit(1)


def _replay(home: Home, days: list[date], *, full: bool | None, as_json: bool) -> bool:
    """Replay the days and print the report; return whether nothing failed."""
    found: list[ReplayReport] = []
    training: Literal["full", "warm"] | None = None if full is None else "full" if full else "warm"

    def run(watcher: "ConsoleWatcher") -> "BuildOutcome":
        from recsys_assets.orchestration.replay import replay as replay_days  # noqa: PLC0415

        outcome, report = replay_days(
            home, settings_for(home, watcher=watcher), watcher, days, training=training, who=login()
        )
        found.append(report)
        return outcome

    title = f"Replaying {days[0]}{'' if len(days) == 1 else f' to {days[-1]}'} in {home.root}"
    failed = run_build(title, run, stderr=as_json).failed
    _show(found[0], as_json=as_json)
    return not failed


def _days_of(spans: list[tuple[date, date]]) -> list[date]:
    return sorted(
        {first + timedelta(days=n) for first, last in spans for n in range((last - first).days + 1)}
    )


def _list(home: Home, *, as_json: bool) -> None:
    import msgspec  # noqa: PLC0415

    from recsys_assets.orchestration.replay_report import kept_replays  # noqa: PLC0415

    kept = kept_replays(home)
    if as_json:
        click.echo(msgspec.json.encode(kept).decode())
        return
    for report in kept:
        lists = f", {report.diff.lists.changed:.1%} of lists" if report.diff is not None else ""
        failed = f", failed: {report.problems[0].splitlines()[0]}" if report.problems else ""
        click.echo(f"{report.replay}  {_span(report)}  {report.release or 'no release'}{lists}{failed}")
    if not kept:
        click.echo("Nothing was replayed yet.")


def _kept(home: Home, name: str) -> "ReplayReport":
    from recsys_assets.orchestration.replay_report import kept_replays  # noqa: PLC0415

    kept = kept_replays(home)
    for report in kept:
        if name in {report.replay, "last"}:
            return report
    known = ", ".join(report.replay for report in kept[:5]) or "none"
    raise InputError(f"{home.replays}: no replay {name!r}; there are: {known}")


def _show(report: "ReplayReport", *, as_json: bool) -> None:
    import msgspec  # noqa: PLC0415

    if as_json:
        click.echo(msgspec.json.encode(report).decode())
        return
    for line in report_lines(report):
        click.echo(line)


def report_lines(report: "ReplayReport") -> Iterator[str]:
    """Yield the lines of a report for a terminal."""
    if not report.changed:
        gone = [f"{day.day}" for day in report.days if day.state == "gone"]
        have = "has" if len(report.days) == 1 else "have"
        if len(gone) < len(report.days):
            yield f"Nothing changed: {_span(report)} {have} the same rows, and nothing that follows is stale."
        if gone:
            days = f"{len(gone)} of {len(report.days)} days" if len(report.days) > 1 else gone[0]
            yield f"{days}: {_STATES['gone']}."
        yield f"Release {report.current or 'none'} stays."
        return
    who = f" by {report.who}" if report.who else ""
    yield f"Replay {report.replay}{who}, {report.training}: {_span(report)}, {report.seconds:.1f} s"
    for day in report.days[:_DAYS_SHOWN]:
        yield f"  {_day(day)}"
    if len(report.days) > _DAYS_SHOWN:
        yield f"  {len(report.days) - _DAYS_SHOWN:,} more days"
    yield from _outcome(report)
    if report.diff is not None:
        yield ""
        yield "Changes, from A to B:"
        yield from diff_lines(report.diff)


def _outcome(report: "ReplayReport") -> Iterator[str]:
    if report.not_compared:
        yield f"Not compared with {report.compared_with}: {report.not_compared}"
    for problem in report.problems:
        yield f"Failed: {problem}"
    if not report.release:
        yield f"No new release was made; {report.current or 'none'} is served."
    elif report.release == report.compared_with:
        yield f"The release is the same, {report.release}: nothing that it holds changed."
    else:
        served = "served now" if report.release == report.current else f"not served; {report.current} is"
        yield f"Release {report.release}: {served}. Before: {report.compared_with or 'none'}."
    if report.training == "warm" and report.release:
        yield "It was trained on from the embeddings before; the next `recsys build` makes all of it."


def _day(day: "ReplayedDay") -> str:
    raw = _change(day.raw_before, day.raw_after)
    cleaned = _change(day.rows_before, day.rows_after)
    problem = f" ({day.problem})" if day.problem else ""
    return f"{day.day}  {raw} raw rows, {cleaned} interactions: {_STATES[day.state]}{problem}"


def _change(before: int | None, after: int | None) -> str:
    one, other = ("none" if rows is None else f"{rows:,}" for rows in (before, after))
    return one if one == other else f"{one} → {other}"


def _span(report: "ReplayReport") -> str:
    days = [day.day for day in report.days if day.state != "cleaned"]
    return f"{days[0]}" if len(days) == 1 else f"{days[0]} to {days[-1]} ({len(days)} days)"
