"""`recsys init`: the options of the conversation about a source, and the settings written at its end."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from recsys_assets.commands.shared import (
    DAY,
    days_option,
    example,
    home_option,
    progress_shown,
    remembers_rejection,
    source_option,
    write_settings,
)
from recsys_assets.errors import SettingsError
from recsys_assets.settings import DEFAULT_SOURCE
from recsys_assets.source_settings import Given, with_changes
from recsys_assets.storage.database_urls import without_password
from recsys_assets.storage.home import Home
from recsys_assets.storage.table_copy import days_of_table

if TYPE_CHECKING:
    from recsys_assets.source_settings import ReadingSettings

_COLUMNS_HELP: Final = """\
\b
Columns of ours that a table can have, by their own names or by --column:
  user_id, item_id, timestamp       needed; the time can be left by --no-time
  kind                              view, cart, purchase, rating, like, …
  rating, quantity                  stars; number of pieces
  value                             amount paid for all pieces of the row
  order_id, line, status            an order, its line, and whether it stands
  title, category, department,      the catalogue: the last known ones of
  brand, price                      each item; price is of one piece
Any other name on the left is kept as text.
"""
_TABLE_OPTIONS: Final[list[Callable[[Any], Any]]] = [
    click.option("--yes", is_flag=True, help="Take every proposed answer instead of asking."),
    click.option(
        "--column", "columns", multiple=True, metavar="OURS=THEIRS",
        help="Our column and the file's; its number, from 1, where there is no header. Repeat it for each.",
    ),
    click.option(
        "--time-format", metavar="FORMAT",
        help="iso, seconds, milliseconds, microseconds, nanoseconds, excel, or such as '%d/%m/%Y %H:%M'.",
    ),
    click.option(
        "--time-zone", metavar="ZONE", help="Zone of times without an offset, such as Europe/Berlin; default UTC.",
    ),
    click.option(
        "--no-time", is_flag=False, flag_value="today", default=None, metavar="[file|YYYY-MM-DD]",
        help="Read no time: all rows are of today, of a day, or (file) of the day on which their file changed.",
    ),
    click.option("--decimal", type=click.Choice([".", ","]), help="Decimal mark of numbers."),
    click.option("--encoding", metavar="NAME", help="Such as utf-8, windows-1252 or utf-16."),
    click.option("--delimiter", metavar="TEXT", help="Text between two fields; tab for a tab."),
    click.option("--no-header", is_flag=True, help="The first line is data; columns are called 1, 2, …"),
    click.option(
        "--kind", "kinds", multiple=True, metavar="KIND|THEIRS=OURS",
        help="Kind of all events, such as purchase; or our word for one of theirs, such as transaction=purchase.",
    ),
    click.option(
        "--bad-rows", type=click.FloatRange(0, 1), default=None, metavar="SHARE",
        help="Share of rows that may be unreadable and are left out, 0 to 1; default 0.001.",
    ),
]  # fmt: skip


def _table_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_TABLE_OPTIONS):
        command = option(command)
    return command


@click.command(
    epilog=f"{_COLUMNS_HELP}\n"
    + example(
        "recsys init --source tabular:orders.csv",
        "recsys init --source 'tabular:sales/*.csv' --yes --column user_id=client",
        "recsys init --source amazon:reviews.json.gz,meta=meta.json.gz",
    )
)
@home_option
@source_option
@_table_options
@click.option(
    "--from", "first", type=DAY, metavar="YYYY-MM-DD",
    help="First day; default that of the log, without a few broken dates.",
)  # fmt: skip
@click.option(
    "--to", "last", type=DAY, metavar="YYYY-MM-DD", help="Last day, not moved on when the source grows."
)
@days_option
@click.option("--force", is_flag=True, help="Replace the source although days of it have landed.")
@remembers_rejection
def init(
    home: Path | None,
    spec: str | None,
    yes: bool,
    columns: tuple[str, ...],
    days: int | None,
    first: datetime | None,
    last: datetime | None,
    force: bool,
    bad_rows: float | None,
    **reading: Any,
) -> None:
    """Read a source once, and write HOME/recsys.toml.

    Of a table, a sample is read first: the columns, times and numbers that were recognised are shown, with a
    question where the sample does not decide. Without a terminal a question is an error that names the option.
    """
    place = Home.locate(home)
    if place.settings_file.exists() and days_of_table(place.raw) and not force:
        raise SettingsError(
            f"{place.settings_file} is there already, and days have landed; edit it, or give --force to replace its "
            "source"
        )
    mapping = _pairs(columns, "--column", "user_id=customer")
    way = _reading(**reading)
    spec = spec or DEFAULT_SOURCE.spec
    click.echo(f"Looking at {without_password(spec)} …")  # at once, before anything heavy is imported
    mapping, way = _agreed(spec, mapping, way, yes=yes)
    from_day, to_day = (None if day is None else day.date() for day in (first, last))
    with progress_shown(f"Reading {without_password(spec)}") as watcher:
        settings = write_settings(
            place,
            spec,
            watcher,
            days=days,
            first=from_day,
            last=to_day,
            columns=mapping,
            reading=way,
            bad_rows=bad_rows,
        )
    source = settings.source
    click.echo(f"{place.settings_file}: {source.spec}, {source.first_day} to {source.last_day}.")
    click.echo(f"Next: recsys up{place.option}, or recsys build{place.option}")


def _agreed(
    spec: str, columns: dict[str, str], reading: "ReadingSettings", *, yes: bool
) -> "tuple[dict[str, str], ReadingSettings]":
    """Return the mapping and the way of reading after the conversation; as given for a source of a known format."""
    from recsys_assets.commands.console import open_console  # noqa: PLC0415
    from recsys_assets.commands.init_conversation import agree  # noqa: PLC0415
    from recsys_assets.lake.sources.registry import preset_tables, table_of  # noqa: PLC0415

    table = table_of(spec, reading)
    if table is not None:
        agreed = agree(open_console(), table, Given(columns=columns, reading=reading), yes=yes)
        return dict(agreed.columns), agreed.reading
    preset = preset_tables(spec, columns=columns, reading=reading)
    if preset is None:
        return columns, reading
    tables, declared = preset
    agreed = agree(open_console(), tables, Given(reading=declared), yes=yes)
    return columns, with_changes(reading, before=declared, after=agreed.reading)


def _pairs(given: Sequence[str], option: str, good: str) -> dict[str, str]:
    pairs = dict(text.split("=", 1) for text in given if "=" in text)
    if len(pairs) < len(given):
        twice = all("=" in text for text in given)
        fault = "each name once" if twice else "OURS=THEIRS"
        raise click.BadParameter(f"give {option} {fault}, for example {option} {good}")
    return pairs


def _reading(
    *,
    time_format: str | None,
    time_zone: str | None,
    no_time: str | None,
    decimal: str | None,
    encoding: str | None,
    delimiter: str | None,
    no_header: bool,
    kinds: tuple[str, ...],
) -> "ReadingSettings":
    """Return the way of reading that the options give."""
    from recsys_assets.source_settings import ReadingSettings  # noqa: PLC0415

    constant = [kind for kind in kinds if "=" not in kind]
    if len(constant) > 1:
        raise click.BadParameter(
            f"--kind {constant[1]}: all events have one kind already, {constant[0]}; give one"
        )
    if no_time == "today":
        no_time = datetime.now(UTC).date().isoformat()
    translated = _pairs([kind for kind in kinds if "=" in kind], "--kind", "transaction=purchase")
    given: dict[str, Any] = {
        "time_format": time_format,
        "time_zone": time_zone,
        "snapshot": no_time,
        "decimal": decimal,
        "encoding": encoding,
        "delimiter": {"tab": "\t", r"\t": "\t"}.get(delimiter or "", delimiter),
        "header": False if no_header else None,
        "kind": constant[0] if constant else None,
        "kinds": {theirs.strip().lower(): ours for theirs, ours in translated.items()} or None,
    }
    return ReadingSettings(**{name: value for name, value in given.items() if value is not None})
