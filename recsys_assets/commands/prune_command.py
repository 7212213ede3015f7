"""`recsys prune`: what is old and no longer needed goes; sizes before and after."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from recsys_assets.commands.shared import example, home_option, progress_shown
from recsys_assets.settings import load_settings
from recsys_assets.storage.home import Home

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recsys_assets.orchestration.retention import PrunedKind

_MEGABYTE = 1_000_000


@click.command(epilog=example("recsys prune --dry-run", "recsys prune --keep-days 30"))
@home_option
@click.option(
    "--keep-days",
    type=click.IntRange(min=0),
    default=None,
    metavar="N",
    help="Keep runs, check results that are ok, counts of answers, reports, quarantine, notices and earlier versions "
    "of days for N days; default: as [retention] says.",
)
@click.option("--dry-run", is_flag=True, help="Remove nothing; show what would go.")
def prune(home: Path | None, keep_days: int | None, dry_run: bool) -> None:
    """Remove old runs, results, reports and releases.

    Rejected days are removed too, but nothing that serving or a replay needs.
    """
    place = Home.locate(home)
    settings = load_settings(place)
    with progress_shown(f"Pruning {place.root}") as watcher:
        from recsys_assets.orchestration import retention  # noqa: PLC0415

        kept = retention.keep_days(settings.retention, keep_days)
        settings = msgspec.structs.replace(settings, retention=kept)
        watcher.begin("prune", "")
        kinds = retention.prune(place, settings, now=datetime.now(UTC), dry_run=dry_run)
    _print(kinds, dry_run=dry_run)


def _print(kinds: "Sequence[PrunedKind]", *, dry_run: bool) -> None:
    from rich.table import Table  # noqa: PLC0415

    from recsys_assets.commands.console import open_console  # noqa: PLC0415

    table = Table(box=None, pad_edge=False)
    table.add_column("kind")
    table.add_column("would remove" if dry_run else "removed")
    for column in ("before", "after, about" if dry_run else "after"):
        table.add_column(column, justify="right")
    for kind in kinds:
        table.add_row(kind.kind, kind.removed or "nothing", _size(kind.bytes_before), _size(kind.bytes_after))
    before, after = (sum(getattr(kind, name) for kind in kinds) for name in ("bytes_before", "bytes_after"))
    table.add_row("in all", "", _size(before), _size(after))
    open_console().print(table)


def _size(size: int) -> str:
    return f"{size / _MEGABYTE:.1f} MB"
