"""`recsys export`: the lists of many users, to where they are used."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from recsys_assets.commands.shared import example, home_option, json_option, progress_shown
from recsys_assets.storage.database_urls import without_password
from recsys_assets.storage.home import Home

if TYPE_CHECKING:
    from recsys_assets.exports.export_lists import ExportOutcome, Progress


@click.command(
    epilog=example(
        "recsys export --to lists.parquet",
        "recsys export --to lists.csv.gz --scenario home -k 20 --users active:30d",
        "recsys export --to 'sqlite:shop.db?table=recommendations' --delta",
        "recsys export --to 'postgres://shop@db.example/shop?table=recommendations' --delta",
        "recsys export --to redis://127.0.0.1:6379/0 --users customers.csv",
    )
)
@home_option
@click.option(
    "--to",
    required=True,
    metavar="TARGET",
    help="PATH.parquet, .csv, .csv.gz, .jsonl or .jsonl.gz; sqlite:PATH or postgres://… (?table=NAME); "
    "redis://… (?prefix=NAME).",
)
@click.option("--scenario", default=None, help="Apply this scenario of the rules; by default none.")
@click.option("-k", "--k", default=10, show_default=True, type=click.IntRange(1, 500), help="Items a list.")
@click.option(
    "--users",
    default="all",
    show_default=True,
    help="all of the release; active:30d, those with a wish in its last 30 days; or a file, one id a line or a CSV "
    "with user_id.",
)
@click.option(
    "--delta",
    is_flag=True,
    help="Write only the lists that changed since the last export to TARGET, and mark users that are gone. A file gets "
    "a file beside it, NAME.delta-000001; a database or Redis is changed in place.",
)
@json_option
def export(
    home: Path | None, to: str, scenario: str | None, k: int, users: str, delta: bool, as_json: bool
) -> None:
    """Write the lists of many users to a file, a database or Redis.

    They are as the API would give them now. An interrupted export leaves the one before whole. Each row names its
    release, rules and scenario; a manifest is beside the file (NAME.manifest.json), in the table TABLE_exports, or
    under PREFIX:manifest.
    """
    started = time.monotonic()
    if as_json:
        import msgspec  # noqa: PLC0415

        outcome = _export(home, to, scenario, k, users, delta=delta)
        click.echo(msgspec.json.encode(outcome.manifest).decode())
        return
    with progress_shown(f"Exporting to {without_password(to)}") as watcher:
        watcher.begin("lists", "")
        outcome = _export(home, to, scenario, k, users, delta=delta, progress=watcher.report)
    click.echo(_in_words(outcome, seconds=time.monotonic() - started))


def _export(
    home: Path | None,
    to: str,
    scenario: str | None,
    k: int,
    users: str,
    *,
    delta: bool,
    progress: "Progress | None" = None,
) -> "ExportOutcome":
    from recsys_assets.exports.export_lists import ExportRequest, export_lists  # noqa: PLC0415

    command = " ".join(["recsys export", *(without_password(argument) for argument in sys.argv[2:])])
    request = ExportRequest(to=to, scenario=scenario, k=k, users=users, delta=delta, command=command)
    return export_lists(Home.locate(home), request, progress=progress)


def _in_words(outcome: "ExportOutcome", *, seconds: float) -> str:
    found = outcome.manifest
    by = "plain lists" if found.scenario is None else f"scenario {found.scenario}"
    lines = []
    if outcome.problem is not None:
        lines.append(f"Look at: the last good rules are used: {outcome.problem}")
    if found.unknown:
        lines.append(
            f"{found.unknown:,} users are not in the release: they got popular items, as by the API."
        )
    if found.empty:
        lines.append(f"{found.empty:,} users got an empty list.")
    if not outcome.written:
        lines.append(
            f"{found.target}: unchanged, {found.users:,} lists are as exported before ({seconds:.1f} s)."
        )
        return "\n".join(lines)
    kind = (
        f"delta {found.sequence}: {found.changed:,} changed lists, {found.gone:,} users gone"
        if found.delta
        else (f"{found.users:,} users")
    )
    lines.append(
        f"{found.target}: {kind}, {found.rows:,} rows, {by}, release {found.release}, rules {found.rules} "
        f"({seconds:.1f} s)."
    )
    return "\n".join(lines)
