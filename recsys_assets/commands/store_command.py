"""`recsys store`: the object store that a home is a copy of, and the way out of it."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from recsys_assets.commands.shared import examined_home_option, example, home_option, progress_shown
from recsys_assets.errors import ItemStatesUnavailableError, ObjectStoreError, SettingsError
from recsys_assets.intake.states_of_home import shared_states_of
from recsys_assets.settings import Settings, load_or_default_settings
from recsys_assets.storage.home import Home
from recsys_assets.storage.settings_file import place_of as place_of_setting
from recsys_assets.storage.settings_file import read_table, write_section
from recsys_assets.storage.store_place import place_of

_VARIABLE: Final = "RECSYS_STORAGE__ROOT"
_SETTING: Final = ("storage", "root")


@click.group(epilog=example("recsys store show", "recsys store leave"))
def store() -> None:
    """Show the object store of a home, or leave it."""


@store.command(epilog=example("recsys store show"))
@examined_home_option
def show(home: Path | None) -> None:
    """Show the store of a home, what it has, and how much of it is here."""
    from recsys_assets.commands.store_facts import facts_of_store, facts_of_tables  # noqa: PLC0415

    place = Home.locate(home)
    facts = facts_of_store(place)
    if not facts:
        click.echo(f"{place.root}: has no object store; everything is in this folder.")
        return
    for name, state in [*facts, ("named by", ", ".join(_named_by(place))), *facts_of_tables(place)]:
        click.echo(f"{name:20}{state}")


@store.command(epilog=example("recsys store leave"))
@home_option
def leave(home: Path | None) -> None:
    """Bring all of the store here, and be a home of its own.

    Days that were never read here are fetched, and every file is compared with its checksum. The store stays as it is,
    for other machines or to be removed. A call that was interrupted goes on in the next one.
    """
    from recsys_assets.storage.store_leaving import leave_store, remove_leftovers  # noqa: PLC0415  only here

    place = Home.locate(home)
    noted = place_of(place.root)
    if noted is None:
        remove_leftovers(place)
        click.echo(f"{place.root}: has no object store; everything is in this folder.")
        return
    _require_no_variable(place)
    settings = load_or_default_settings(place)
    _send_states(place)
    with progress_shown(f"Leaving {noted.root}") as watcher:
        from recsys_assets.orchestration.own_records import keep_own_records  # noqa: PLC0415  Dagster

        def stand_alone() -> None:
            watcher.begin("records", "")
            keep_own_records(place, settings)

        watcher.begin("fetching", "days")
        brought = leave_store(
            place,
            report=lambda here, all_days: watcher.report("fetching", here, all_days),
            alone=stand_alone,
        )
    taken_out = _take_out_setting(place, noted.root)
    click.echo(
        f"Left {noted.root}: {brought.days:,} days, {brought.fetched:,} of them fetched now, and {brought.files:,}"
        f" other files are in {place.root}, compared with their checksums."
    )
    if brought.mended:
        click.echo(f"{brought.mended:,} files here were damaged, and came from the store.")
    for line in taken_out:
        click.echo(line)
    if place.aside.is_dir():
        click.echo(f"{place.aside}: files of this home in whose place others' came while it had the store.")
    click.echo("A server of this home that runs goes on sending item states there: start it again.")


def _named_by(home: Home) -> Iterator[str]:
    """Yield the places that name the store: a variable, a line of the settings, or an earlier command alone."""
    found = False
    if os.environ.get(_VARIABLE):
        found = True
        yield _VARIABLE
    table = read_table(home.settings_file).get("storage", {})
    if isinstance(table, dict) and table.get("root"):
        found = True
        yield place_of_setting(home.settings_file, _SETTING, {})
    if not found:
        yield "an earlier command; neither the settings nor the environment name it now"


def _require_no_variable(home: Home) -> None:
    if os.environ.get(_VARIABLE):
        raise SettingsError(
            f"{home.root}: not left: {_VARIABLE} names the store, so that the next command would be bound to it again; "
            f"take it out of the environment of all that works on this home (`env -u {_VARIABLE} recsys store leave`)"
        )


def _send_states(home: Home) -> None:
    """Send the changes of item states that other machines do not know yet, and take theirs."""
    shared = shared_states_of(home)
    try:
        if shared is not None:
            shared.exchange(datetime.now(UTC))
    except ItemStatesUnavailableError as error:
        raise ObjectStoreError(f"{home.root}: not left, and nothing is lost: {error}") from error


def _take_out_setting(home: Home, root: str) -> list[str]:
    """Take `[storage] root` out of the settings, and return what was done."""
    table = read_table(home.settings_file).get(_SETTING[0], {})
    if not isinstance(table, dict) or not table.get(_SETTING[1]):
        return []
    where = place_of_setting(home.settings_file, _SETTING, {})
    note = f'`recsys store leave` took root = "{root}" out; put in again, this home is a copy of that store.'
    write_section(home.settings_file, Settings, _SETTING[0], {_SETTING[1]: None}, note=note)
    return [f"{where}: taken out."]


COMMANDS = [store]
