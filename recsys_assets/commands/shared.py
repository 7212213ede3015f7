"""The parts that several commands share: options, a home's settings, and a build with its progress shown."""

import gc
import getpass
import shlex
import sys
import time
from collections.abc import Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from recsys_assets.errors import ObjectStoreError, ReleaseError, SettingsError
from recsys_assets.intake.states_of_home import exchange_states
from recsys_assets.settings import DEFAULT_SOURCE, Settings, load_settings
from recsys_assets.source_settings import ReadingSettings, SourceSettings
from recsys_assets.storage.copy_index import read_index
from recsys_assets.storage.database_urls import is_database, without_password
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import SHORTLY, build_lock
from recsys_assets.storage.open_copy import examined
from recsys_assets.storage.private_files import close_to_others
from recsys_assets.storage.rejected_init import initialising, require_no_rejected_init
from recsys_assets.storage.store_binding import bind
from recsys_assets.storage.store_writing import push_changes, refresh
from recsys_assets.storage.table_copy import days_of_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from recsys_assets.commands.progress import ConsoleWatcher
    from recsys_assets.orchestration.build_outcome import BuildOutcome
    from recsys_assets.quality.row_account import RowAccount

DAY: Final = click.DateTime(formats=["%Y-%m-%d"])
"""A day as an argument or an option."""

REPLICA: Final = "replica_url"
"""Name of the option `--from` of `recsys serve`, which is read before the others."""


def _closed_to_others(context: click.Context, _option: click.Parameter, given: Path | None) -> Path | None:
    """Make the files of the home private, which an earlier version left open, before the command runs.

    A home with an object store is brought to its state; a replica has none.
    """
    if context.params.get(REPLICA) is not None:
        return given
    home = Home.locate(given)
    close_to_others(home)
    if bind(home) is not None:
        refresh(home.root)
        if not read_index(home.root).head:
            push_changes(home.root)  # the store has nothing yet, and would count as a home that lost all
        exchange_states(home, now=datetime.now(UTC), say=partial(click.echo, err=True))
        context.call_on_close(partial(push_changes, home.root))
    return given


def _looked_at(context: click.Context, option: click.Parameter, given: Path | None) -> Path | None:
    """Do as every command, but go on at once with the home as it is where its object store cannot be used."""
    try:
        bind(home := Home.locate(given))
        context.with_resource(examined(home.root))
        return _closed_to_others(context, option, given)
    except ObjectStoreError as error:
        click.echo(f"recsys: {error}", err=True)
        return given


def _home_option(callback: "Callable[..., Path | None]") -> "Callable[..., Callable[..., None]]":
    return click.option(
        "--home",
        type=click.Path(path_type=Path, file_okay=False),
        default=None,
        callback=callback,
        help="The folder that everything is kept in; default $RECSYS_HOME, else .recsys/ in the working folder.",
    )


home_option = _home_option(_closed_to_others)

examined_home_option = _home_option(_looked_at)
"""`--home` of a command that says itself why the home's object store cannot be used."""

source_option = click.option(
    "--source",
    "spec",
    default=None,
    metavar="SPEC",
    help="completejourney (the default), tabular:PATH for any table, a query or URL, or NAME:PATH of a source that "
    "`recsys sources` lists.",
)

days_option = click.option(
    "--days",
    type=click.IntRange(min=1),
    default=None,
    help="Use only the first N days of the source.",
    metavar="N",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")


def _spans(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> list[tuple[date, date]]:
    """Return first and last day of each `DAY` or `FIRST..LAST`."""
    found = []
    for value in values:
        first, dots, last = value.partition("..")
        start, end = (DAY.convert(text, param, ctx).date() for text in (first, last if dots else first))
        if start > end:
            raise click.BadParameter(f"{value} ends before it starts; write FIRST..LAST", ctx, param)
        found.append((start, end))
    return found


def days_argument(*, required: bool = True) -> "Callable[[Any], Any]":
    """Return the argument `spans` of a command: first and last day of each `DAY` or `FIRST..LAST` given."""
    return click.argument("spans", metavar="DAY|FIRST..LAST...", nargs=-1, required=required, callback=_spans)


def example(*lines: str) -> str:
    """Return the epilog of a command: its example lines, not re-wrapped."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


def login() -> str:
    """Return the login of the user, for records of who did something; empty where the system knows none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


@contextmanager
def progress_shown(title: str, *, stderr: bool = False) -> "Iterator[ConsoleWatcher]":
    """Print `title` before anything heavy is imported, then the block's progress; on standard error for JSON."""
    click.echo(f"{title} …", err=stderr)
    from recsys_assets.commands.console import open_console  # noqa: PLC0415
    from recsys_assets.commands.progress import ConsoleWatcher  # noqa: PLC0415

    with ConsoleWatcher(open_console(stderr=stderr)) as watcher:
        yield watcher


def write_settings(
    home: Home,
    spec: str | None,
    watcher: "ConsoleWatcher | None",
    *,
    days: int | None,
    first: date | None = None,
    last: date | None = None,
    columns: Mapping[str, str] | None = None,
    reading: ReadingSettings | None = None,
    bad_rows: float | None = None,
) -> Settings:
    """Write the home's settings for `spec`, by default the embedded one, and say the account of its rows."""
    from recsys_assets.interactions.row_rule import ForeseenRows, RowRule  # noqa: PLC0415
    from recsys_assets.lake.initialise import initialise  # noqa: PLC0415
    from recsys_assets.lake.source_days import SourceDays  # noqa: PLC0415

    foreseen = ForeseenRows(RowRule())
    spec = spec or DEFAULT_SOURCE.spec
    if watcher is not None:
        watcher.begin(f"reading {without_password(spec)}", "")
    say = watcher.say if watcher is not None else click.echo
    with build_lock(home, patience=SHORTLY):
        settings = initialise(
            home,
            spec,
            days=days,
            first=first,
            last=last,
            columns=columns,
            reading=reading,
            bad_rows=bad_rows,
            progress=watcher.download if watcher is not None else None,
            say=say,
            watch=foreseen.add,
        )
    counted = SourceDays.load(home, settings.source)
    if counted is not None:
        source = settings.source
        say(_account_in_words(counted.account(source), source))
        later = foreseen.account(source.first_day, source.last_day)
        if later.rows and not counted.duplicates:
            say("\n  ".join(["Of these, cleaning will leave out at least:", *later.lines()]))
    if is_database(spec) and without_password(spec) != spec:
        say("The password is not kept: later commands take it from PGPASSWORD or ~/.pgpass.")
    return settings


def _account_in_words(account: "RowAccount", source: SourceSettings) -> str:
    """Return the rows of the source that are events, and a line for each reason with the others."""
    days = f"from {source.first_day} to {source.last_day}"
    if not account.reasons:
        return f"All {account.rows:,} rows are events, {days}."
    lines = [f"{account.kept:,} of {account.rows:,} rows are events, {days}. Left out:"]
    lines += [f"  {line}" for line in account.lines()]
    if "outside_range" in account.reasons and source.follow:
        lines.append(
            "To choose the days yourself: recsys init --force --from DAY --to DAY, with the same source."
        )
    return "\n".join(lines)


def settings_for(
    home: Home, spec: str | None = None, days: int | None = None, watcher: "ConsoleWatcher | None" = None
) -> Settings:
    """Return the home's settings; a home without any gets those of `spec`, by default the embedded source.

    Raises:
        SettingsError: the home is set up for another source or another number of days, was meant for a source that
            could not be read, or holds landed days without settings.
    """
    if not home.settings_file.exists():
        if spec is None:
            require_no_rejected_init(home)
            require_nothing_landed(home)
        with initialising(home, command=_command_line(), started=datetime.now(UTC)):
            return write_settings(home, spec, watcher, days=days)
    from recsys_assets.lake.initialise import spec_as_written  # noqa: PLC0415

    settings = load_settings(home)
    other_days = days is not None and days != len(settings.source.days())
    if other_days or (spec is not None and spec_as_written(home, spec) != settings.source.spec):
        raise SettingsError(
            f"{home.settings_file}: set up for {len(settings.source.days())} days of {settings.source.spec}; "
            f"take another --home, or change it with `recsys init --force`"
        )
    return settings


def remembers_rejection(command: "Callable[..., None]") -> "Callable[..., None]":
    """Let a command that writes the first settings of a home, its option `home`, mark a failure there."""

    @wraps(command)
    def run(home: Path | None, **options: Any) -> None:
        with initialising(Home.locate(home), command=_command_line(), started=datetime.now(UTC)):
            command(home=home, **options)

    return run


def _command_line() -> str:
    return shlex.join(["recsys", *map(without_password, sys.argv[1:])])


def require_nothing_landed(home: Home) -> None:
    """Check that a home without settings is a new one.

    Raises:
        SettingsError: it has landed days; the message names their source, where the current release does.
    """
    if days_of_table(home.raw):
        raise SettingsError(
            f"{home.settings_file}: no settings here, but landed days; write them by `recsys init{home.option} "
            f"--source {_source_of_release(home)}`, with the source of these days"
        )


def _source_of_release(home: Home) -> str:
    from recsys_assets.release.release_store import ReleaseStore  # noqa: PLC0415

    store = ReleaseStore(home.releases)
    try:
        return shlex.quote(str(store.manifest(store.served_id() or "").settings["source"]["spec"]))
    except (ReleaseError, KeyError, TypeError):
        return "SPEC"


def run_build(
    title: str, build: "Callable[[ConsoleWatcher], BuildOutcome]", *, stderr: bool = False
) -> "BuildOutcome":
    """Call `build` with a watcher that shows its progress under `title`, and print the summary.

    Both go to standard error where the output is JSON. What is heavy, Dagster above all, is imported by `build` and
    not by the command before.
    """
    started = time.monotonic()
    with progress_shown(title, stderr=stderr) as watcher:
        gc.disable()  # looking for garbage among what is being imported, and stays, takes a sixth of the time
        from recsys_assets.orchestration.instance import (  # noqa: PLC0415
            commit_without_waiting_for_the_disk,
        )

        gc.freeze()
        gc.enable()
        commit_without_waiting_for_the_disk()
        outcome = build(watcher)
    from recsys_assets.commands.console import open_console, print_summary  # noqa: PLC0415

    print_summary(open_console(stderr=stderr), outcome, seconds=time.monotonic() - started)
    return outcome
