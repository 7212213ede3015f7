"""`items state | states | log`: take an item off every list now, or change its price, without a server or a build."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from recsys_assets.commands.shared import example, home_option, json_option, login
from recsys_assets.errors import ItemStateError, ItemStatesUnavailableError
from recsys_assets.intake.item_states import ItemState, StateChange
from recsys_assets.intake.state_rows import LoggedChange
from recsys_assets.intake.state_store import StateStore
from recsys_assets.intake.states_of_home import states_of
from recsys_assets.release.current import read_current
from recsys_assets.storage.home import Home

_NO_NAME = "unknown"


@click.group(epilog=example("recsys items state 1082185 --hide --why 'recalled by the maker'"))
def items() -> None:
    """Change what holds of items now: hidden, price, stock.

    A change counts in every running server within a second.
    """


def _flag(name: str, *, on: str, off: str, text: str) -> Callable[[Any], Any]:
    return click.option(f"--{on}/--{off}", name, default=None, help=text)


@items.command(
    epilog=example(
        "recsys items state 1082185 --hide --why 'recalled by the maker'",
        "recsys items state 1082185 --price 2.49 --until 2026-12-24",
        "recsys items state 1082185 --show",
    )
)
@home_option
@click.argument("item_id", metavar="ITEM")
@_flag("hidden", on="hide", off="show", text="Off every list, or back on them.")
@_flag("available", on="available", off="unavailable", text="In stock, or not: then off lists too.")
@click.option("--price", type=float, help="Its price now; a rule's `price` reads it.")
@click.option("--category", "categories", multiple=True, help="Its category now; repeat it for several.")
@click.option("--boost", type=float, help="Factor of its score, 0.01-100; more than 1 raises it.")
@click.option(
    "--until",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]),
    help="End of the whole state, UTC; it ends by itself.",
)
@click.option(
    "--take-back",
    multiple=True,
    type=click.Choice(["price", "available", "categories", "boost", "until", "all"]),
    help="Take this back, so that the catalogue counts; repeat it for more.",
)
@click.option("--why", default="", help="The reason; kept in the log.")
@json_option
def state(
    home: Path | None,
    item_id: str,
    hidden: bool | None,
    available: bool | None,
    price: float | None,
    categories: tuple[str, ...],
    boost: float | None,
    until: datetime | None,
    take_back: tuple[str, ...],
    why: str,
    as_json: bool,
) -> None:
    """Change the state of ITEM, or print it where no option is given.

    Machines that share an object store all have it once the command ends. Where the store does not answer, the change
    counts in this home, the exit code is 1, and this home's server or next command sends it.
    """
    place, now = Home.locate(home), datetime.now(UTC)
    store = states_of(place)
    given: dict[str, Any] = {
        "hidden": hidden,
        "available": available,
        "price": price,
        "categories": list(categories) or None,
        "boost": boost,
        "until": None if until is None else until.replace(tzinfo=UTC),
    }
    given = {name: value for name, value in given.items() if value is not None}
    both = sorted(given.keys() & set(take_back))
    if both:
        raise click.UsageError(f"--take-back {both[0]}: it is given a value too; leave one of them out")
    if "all" in take_back:
        if given:
            raise click.UsageError("--take-back all: leave the other options out")
        store.take_back([item_id], by=login() or _NO_NAME, why=why, now=now)
    elif given or take_back:
        change = _change({**given, **dict.fromkeys(take_back), "why": why})
        store.put({item_id: change}, by=login() or _NO_NAME, now=now)
    found = store.refresh(now).states.get(item_id)
    known, waiting = _known(place, item_id), None if store.shared is None else store.shared.waiting
    if as_json:
        state_now = msgspec.to_builtins(found)
        body = {"item_id": item_id, "known": known, "state": state_now, "waiting": waiting}
        click.echo(msgspec.json.encode(body))
    else:
        click.echo(f"{item_id}: {state_in_words(found)}")
    if not known and not as_json:
        click.echo(
            "The current release does not hold this item: its state waits for one that does.", err=True
        )
    if waiting is not None:
        raise ItemStatesUnavailableError(f"it counts in this home; {waiting}")


@items.command(epilog=example("recsys items states", "recsys items states --json"))
@home_option
@json_option
def states(home: Path | None, as_json: bool) -> None:
    """List the items that have a state, and where the newest catalogue disagrees."""
    from recsys_assets.intake.newest_catalogue import read_newest  # noqa: PLC0415  numpy
    from recsys_assets.intake.state_takeover import compared  # noqa: PLC0415  numpy

    place = Home.locate(home)
    snapshot = StateStore(place.item_states_db).refresh(datetime.now(UTC))
    every = sorted(snapshot.states.items())
    disagreements = compared(snapshot.states, read_newest(place.catalogue_now)).disagreements
    if as_json:
        rows = [{"item_id": item_id, "state": msgspec.to_builtins(one)} for item_id, one in every]
        otherwise = [one._asdict() for one in disagreements]
        body = {"version": snapshot.version, "items": rows, "disagreements": otherwise}
        click.echo(msgspec.json.encode(body))
        return
    for item_id, one in every:
        click.echo(f"{item_id}  {state_in_words(one)}")
    if not every:
        click.echo("No item has a state: the catalogue counts.")
    if disagreements:
        click.echo("\nThe newest catalogue says otherwise; the states stay in force:")
    for difference in disagreements:
        click.echo(f"  {difference.in_words()}")


@items.command("log", epilog=example("recsys items log", "recsys items log --item 1082185 --limit 20"))
@home_option
@click.option("--item", "item_id", default=None, help="Changes of this item only.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 100_000), help="Most lines.")
@json_option
def log_of_changes(home: Path | None, item_id: str | None, limit: int, as_json: bool) -> None:
    """List the changes of states, the last first: when, who, why."""
    changes = StateStore(Home.locate(home).item_states_db).log(item_id=item_id, limit=limit)
    if as_json:
        click.echo(msgspec.json.encode({"changes": changes}))
        return
    for one in changes:
        click.echo(_line(one))
    if not changes:
        click.echo("No state was changed yet.")


def state_in_words(state: ItemState | None) -> str:
    """Return a state on one line, such as `hidden, price 2.49, until 2026-12-24 00:00 UTC`."""
    if state is None:
        return "no state; the catalogue counts"
    words = ["hidden"] if state.hidden else []
    if state.available is not None:
        words.append("available" if state.available else "not available")
    words += [
        f"{name} {value:g}"
        for name, value in (("price", state.price), ("boost", state.boost))
        if value is not None
    ]
    if state.categories is not None:
        words.append(f"category {state.category}")
    if state.until is not None:
        words.append(f"until {state.until:%Y-%m-%d %H:%M} UTC")
    return ", ".join(words)


def _line(change: LoggedChange) -> str:
    why = f": {change.why}" if change.why else ""
    before, after = (
        "nothing" if one is None else state_in_words(one) for one in (change.before, change.after)
    )
    return f"{change.at:%Y-%m-%d %H:%M:%S}  {change.item_id}  {before} -> {after}  by {change.by}{why}"


def _change(fields: dict[str, Any]) -> StateChange:
    try:
        return msgspec.convert(fields, StateChange)
    except msgspec.ValidationError as error:
        found, _, where = str(error).partition(" - at `$.")
        name = where.rstrip("`").partition("[")[0]
        raise ItemStateError(
            f"{name or 'the state'}: {found[0].lower()}{found[1:]}, found {fields.get(name)!r}"
        ) from None


def _known(home: Home, item_id: str) -> bool:
    from recsys_assets.storage.string_table import Vocabulary  # noqa: PLC0415  numpy

    current = read_current(home.releases)
    return current is not None and item_id in Vocabulary.load(home.releases / current, "items")
