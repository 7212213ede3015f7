"""`releases …`: the releases of a home, and the choice of the one that is served."""

import contextlib
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from recsys_assets.commands.diff_command import diff
from recsys_assets.commands.shared import days_argument, example, home_option, login
from recsys_assets.storage.home import Home
from recsys_assets.storage.store_place import place_of

if TYPE_CHECKING:
    from recsys_assets.release.release_store import ReleaseStore


@click.group(epilog=example("recsys releases list", "recsys releases rollback"))
def releases() -> None:
    """List the releases, and choose the one that is served."""


why_option = click.option("--why", default="", help="The reason; kept on record.")

_BASELINES = ("popularity_", "recency_popularity_", "last_month_", "item_knn_", "ease_")
"""Beginnings of the metrics of baselines, which a list of releases leaves out."""


@releases.command("list", epilog=example("recsys releases list"))
@home_option
def list_releases(home: Path | None) -> None:
    """List the releases, the last published first.

    `*` is the current one, `!` is before what cannot be served, with the reason. A candidate was kept back by the gate.
    """
    from recsys_assets.errors import BrokenReleaseError  # noqa: PLC0415

    store = _store(home)
    try:
        current = store.current_id()
    except BrokenReleaseError as error:
        current = None
        click.echo(f"! {error}")
    kept = store.list()
    for manifest in kept:
        mark = "*" if manifest.release_id == current else " "
        metrics = ", ".join(
            f"{name} {value:.4f}"
            for name, value in sorted(manifest.metrics.items())
            if not name.startswith(_BASELINES)
        )
        counts = ", ".join(f"{count:,} {name}" for name, count in manifest.counts.items())
        click.echo(f"{mark} {manifest.release_id}  {manifest.created_at:%Y-%m-%d %H:%M}  {counts}  {metrics}")
        for fault in _faults(store, manifest.release_id):
            click.echo(f"  ! {fault}")
    unreadable = store.unreadable()
    for name, reason in unreadable.items():
        click.echo(f"! {name}  {reason}")
    if current is not None and current not in {*unreadable, *(manifest.release_id for manifest in kept)}:
        click.echo(f"! {current}  current, and not there; run `recsys build`, or `recsys releases rollback`")
    if not kept and not unreadable:
        click.echo("There are no releases: run `recsys build`.")


def _faults(store: "ReleaseStore", release_id: str) -> list[str]:
    """Return why a release cannot be served, a line each: the gate's reasons where that kept it back."""
    from recsys_assets.errors import ReleaseError  # noqa: PLC0415
    from recsys_assets.release.gate_report import check_gate, read_gate  # noqa: PLC0415

    try:
        check_gate(store.root, release_id, served_counts=True)
    except ReleaseError as error:
        with contextlib.suppress(ReleaseError):
            report = read_gate(store.root, release_id)
            return [f"candidate, {reason}" for reason in report.reasons()] if report else []
        return [str(error)]
    fault = store.fault(release_id, read=False)
    return [] if fault is None else [fault]


@releases.command(
    epilog=example(
        "recsys releases promote 20171231-0f3a5bc2d1",
        "recsys releases promote 20171231-0f3a5bc2d1 --force --why 'the shop changed its range'",
    )
)
@home_option
@click.argument("release_id")
@click.option("--force", is_flag=True, help="Promote a candidate that the gate kept back; needs --why.")
@why_option
def promote(home: Path | None, release_id: str, *, force: bool, why: str) -> None:
    """Serve RELEASE_ID from now on; who did it and why is kept on record."""
    from recsys_assets.storage.store_writing import waiting_moves  # noqa: PLC0415  loads pyarrow

    with waiting_moves(Home.locate(home).root):
        _store(home).promote(release_id, who=login(), why=why, force=force)
    click.echo(f"Current: {release_id}")


@releases.command(epilog=example("recsys releases rollback"))
@home_option
@why_option
def rollback(home: Path | None, why: str) -> None:
    """Serve the release that was current before."""
    from recsys_assets.storage.store_writing import waiting_moves  # noqa: PLC0415  loads pyarrow

    with waiting_moves(Home.locate(home).root):
        moved = _store(home).rollback(who=login(), why=why)
    click.echo(f"Current: {moved}")


@releases.command(
    epilog=example(
        "recsys releases recall 2017-03-05 --why 'prices in roubles'",
        "recsys releases recall 2017-03-05..2017-03-09 2017-04-01 --why 'delivered twice'",
    )
)
@home_option
@days_argument()
@click.option("--why", required=True, help="The fault of these days; kept on record.")
def recall(home: Path | None, spans: list[tuple[date, date]], why: str) -> None:
    """Take bad days back: serve no release that was built on them, and notify everybody who used them.

    The days go to quarantine, and land again only with other rows. The exit code is 1 where no clean release is left.
    """
    from recsys_assets.notices.delivery import COMMAND_SECONDS, deliver_due  # noqa: PLC0415
    from recsys_assets.orchestration.recall_home import recall_days  # noqa: PLC0415
    from recsys_assets.orchestration.recall_words import is_served, recall_lines  # noqa: PLC0415
    from recsys_assets.settings import load_or_default_settings  # noqa: PLC0415

    place = Home.locate(home)
    settings = load_or_default_settings(place)
    days = [first + timedelta(days=n) for first, last in spans for n in range((last - first).days + 1)]
    try:
        recorded = recall_days(place, settings, days, why=why, who=login(), say=click.echo)
        for line in recall_lines(place, recorded):
            click.echo(line)
    finally:
        delivered = deliver_due(place, settings.notify, datetime.now(UTC), seconds=COMMAND_SECONDS)
        if said := delivered.in_words():
            click.echo(said)
    if is_served(recorded):
        sys.exit(1)


@releases.command(epilog=example("recsys releases verify"))
@home_option
@click.argument("release_id", required=False)
def verify(home: Path | None, release_id: str | None) -> None:
    """Read a whole release, the current one by default, and compare every checksum."""
    store = _store(home)
    wanted = release_id or store.current_id() or ""
    manifest = store.verify(wanted)
    place = Home.locate(home)
    where = ""
    if place_of(place.root) is not None:
        from recsys_assets.release.release_objects import verify_release  # noqa: PLC0415  only where there is a store
        from recsys_assets.storage.open_copy import working_copy  # noqa: PLC0415  as above

        objects = working_copy(place.root).store
        verify_release(objects, wanted, place.releases / ".verifying")
        where = f", here and in {objects.url}"
    click.echo(f"{wanted}: {len(manifest.files)} files are as they were published{where}")


@releases.command(epilog=example("recsys releases prune --keep 5"))
@home_option
@click.option(
    "--keep", default=5, show_default=True, type=click.IntRange(min=1), help="Newest releases to keep."
)
def prune(home: Path | None, keep: int) -> None:
    """Remove old releases, never the current one, nor one that an experiment needs."""
    from recsys_assets.experiments.model_releases import needed_releases  # noqa: PLC0415

    needed = needed_releases(Home.locate(home), today=datetime.now(UTC).date())
    click.echo(f"Removed: {', '.join(_store(home).prune(keep=keep, needed=needed)) or 'none'}")


@releases.command(epilog=example("recsys releases history"))
@home_option
def history(home: Path | None) -> None:
    """Show every move of the current release, the last first: when, what, by whom and why."""
    from recsys_assets.release.served_times import made_moves  # noqa: PLC0415

    store = _store(home)
    moves = made_moves(store.promotions(), store.served_id())
    for move in reversed(moves):
        why = f": {move.why}" if move.why else ""
        click.echo(
            f"{move.at:%Y-%m-%d %H:%M}  {move.move:8}  {move.before or 'none'} → {move.after}  {move.who or '–'}{why}"
        )
    if not moves:
        click.echo("No release was promoted yet: run `recsys build`.")


releases.add_command(diff)


def _store(home: Path | None) -> "ReleaseStore":
    from recsys_assets.release.release_store import ReleaseStore  # noqa: PLC0415

    return ReleaseStore(Home.locate(home).releases)
