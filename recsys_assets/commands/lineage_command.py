"""`recsys lineage`: who used a day, what a release is made of, and where an answer came from."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from recsys_assets.commands.shared import example, home_option, json_option
from recsys_assets.storage.home import Home

if TYPE_CHECKING:
    from recsys_assets.orchestration.lineage_records import AnswerLineage, DayLineage, ReleaseLineage
    from recsys_assets.release.served_times import ServedTime

_SHOWN: Final = 10
"""Lines of a kind that are printed; `--json` has all."""
_VERSION: Final = 10
"""Digits of a version that are printed."""


@click.command(
    epilog=example(
        "recsys lineage 2017-03-05",
        "recsys lineage 20171231-3f9a1c0b7e",
        "recsys lineage 20171231-3f9a1c0b7e.19ac5d0f3a2.5f3a9c1e2b",
    )
)
@home_option
@click.argument("wanted", metavar="DAY|RELEASE|ANSWER-ID")
@json_option
def lineage(home: Path | None, wanted: str, as_json: bool) -> None:
    """Show who used a DAY, or the origin of a release or answer.

    Answers are those that servers of this home gave; one that is killed leaves out those of its last two seconds.
    """
    import msgspec  # noqa: PLC0415

    from recsys_assets.orchestration.lineage import lineage_of  # noqa: PLC0415  polars
    from recsys_assets.orchestration.lineage_records import DayLineage, ReleaseLineage  # noqa: PLC0415

    found = lineage_of(Home.locate(home), wanted)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    elif isinstance(found, DayLineage):
        click.echo("\n".join(_day(found)))
    elif isinstance(found, ReleaseLineage):
        click.echo("\n".join(_release(found)))
    else:
        click.echo("\n".join(_answer(found)))


def _day(found: "DayLineage") -> Iterator[str]:
    place = "not in the lake" if found.version is None else f"in the lake as version {_short(found.version)}"
    yield f"{found.day}: {place}."
    for recall in found.recalled:
        by = f" by {recall.who}" if recall.who else ""
        yield (
            f"Recalled in version {_short(recall.checksum) or 'unknown'}, {_time(recall.at)}{by}: "
            f"{recall.why or 'no reason given'}."
        )
    yield from _lines("Accepted all the same:", found.accepted)
    yield from _lines("In quarantine:", found.quarantine)
    yield from _lines("Checks that warned:", found.warned)
    if not found.releases:
        yield "No release that is kept was built on it."
    bad = {one.checksum for one in found.recalled}
    for release in found.releases:
        version = release.days[found.day]
        facts = [
            f"with version {_short(version)}",
            *(["recalled"] if version in bad else []),
            *(
                [f"the lake has {'another one' if found.version else 'none'} now"]
                if version != found.version
                else []
            ),
            *(["served now"] if release.current else []),
        ]
        yield f"Release {release.release} was built on it, {', '.join(facts)}."
        yield from (f"  {line}" for line in _use(release))
    if found.unknown:
        yield f"It isn't known of these, which are no longer kept: {', '.join(found.unknown)}."


def _release(found: "ReleaseLineage") -> Iterator[str]:
    if not found.kept:
        yield f"Release {found.release} is no longer kept: its days, checks and model are not known any more."
    else:
        served = ", served now" if found.current else ""
        published = "" if found.created_at is None else f", published {_time(found.created_at)}"
        yield f"Release {found.release}{published}{served}."
        if found.former:
            yield f"Users were forgotten in it; before that it was {', '.join(found.former)}."
        yield f"Built on {len(found.days):,} days, {found.first_day} to {found.through_day}."
        yield from _lines("Of these, recalled since:", [str(day) for day in found.recalled])
        if len(found.replaced) > _SHOWN:
            yield f"The lake has other versions now of {len(found.replaced):,} of them, or none."
        else:
            yield from _lines(
                "The lake has another version now, or none, of:", list(map(str, found.replaced))
            )
        notes = [f"{day} {note}" for day, lines in found.accepted.items() for note in lines]
        yield from _lines("Accepted all the same:", notes)
        yield from _lines("Checks of its days that warned:", found.warned)
        if found.model:
            yield f"Model: {found.model}"
    if found.gate is not None:
        yield f"Gate, {_time(found.gate.at)}: {found.gate.in_words()}"
    yield from _use(found)
    yield from _lines(
        "Answers by day:", [f"{day}  {count:,}" for day, count in reversed(found.by_day.items())]
    )


def _answer(found: "AnswerLineage") -> Iterator[str]:
    release = found.release
    yield f"Answer {found.answer}: given {found.at:%Y-%m-%d %H:%M:%S.%f} UTC by release {release.release}."
    if not found.is_possible:
        yield "But that release was not current then: the answer is another home's, or a clock was wrong."
    if found.list is None:
        yield "Its kind of list is not known: no server of this home began its series, or the counts are pruned."
    else:
        arm = "" if found.arm is None else f", arm {found.arm} of experiment {found.experiment}"
        yield f"List: {_kind(found.list)}{arm}."
    if release.recalled:
        days = ", ".join(map(str, release.recalled[:_SHOWN]))
        yield f"It was built on days that are recalled now: {days}{_rest(len(release.recalled))}."
    yield ""
    yield from _release(release)


def _use(found: "ReleaseLineage") -> Iterator[str]:
    """Yield when a release was served, its answers and its exports."""
    if not found.served:
        yield "Never served."
    for time in found.served[-_SHOWN:]:
        yield _served(time, is_current=found.current)
    if found.answers:
        hours = list(found.by_day)
        lists = ", ".join(f"{_kind(name)} {count:,}" for name, count in found.by_list.items())
        span = hours[0] if len(hours) == 1 else f"{hours[0]} to {hours[-1]}"
        answers = "1 answer" if found.answers == 1 else f"{found.answers:,} answers"
        yield f"{answers}, {span}: {lists}."
    else:
        yield "No answers were counted."
    for target in found.exports:
        yield f"Its lists are in {target}."


def _served(time: "ServedTime", *, is_current: bool) -> str:
    if time.end is not None:
        end = f"to {_time(time.end)}"
    else:
        end = "until now" if is_current else "until `current` was changed by hand"
    by = f", by {time.who}" if time.who else ""
    why = f": {time.why}" if time.why else ""
    return f"Served from {_time(time.start)} {end}{by}{why}."


def _lines(title: str, lines: Sequence[str]) -> Iterator[str]:
    """Yield a title and the first lines below it; nothing where there are none."""
    if lines:
        yield title
        yield from (f"  {line}" for line in lines[:_SHOWN])
        if len(lines) > _SHOWN:
            yield f"  {_rest(len(lines)).strip()}; --json has all"


def _rest(count: int) -> str:
    return f" and {count - _SHOWN:,} more" if count > _SHOWN else ""


def _kind(name: str) -> str:
    return name.replace("scenario:", "scenario ")


def _short(version: str) -> str:
    return version[:_VERSION]


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
