"""One export: the lists of the chosen users, made as the API would answer now, and written to a target as one thing.

A delta holds the lists that are other than in the last export to the same target; where there was none, or the target
no longer holds it, all lists are written. Where nothing changed, nothing is.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np

from recsys_assets.errors import ExportError
from recsys_assets.exports.chosen_users import ALL, choose_users
from recsys_assets.exports.export_state import Changes, ExportState, LastExport, StateWriter
from recsys_assets.exports.export_target import ExportManifest, ExportRun, ExportTarget
from recsys_assets.exports.file_target import FileTarget
from recsys_assets.exports.list_batch import ListBatch, ListHashes, ListRows, ListSource
from recsys_assets.exports.make_lists import ListMaker, make_lists
from recsys_assets.release.current import require_current
from recsys_assets.release.load import Release
from recsys_assets.settings import ExportSettings
from recsys_assets.storage.database_urls import is_database
from recsys_assets.storage.home import Home

STAGE: Final = "lists"
"""Name of the work in reports of progress."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """The wish for an export."""

    to: str
    """The target's address."""
    scenario: str | None = None
    """Of the rules in force; None for the plain lists, without rules."""
    k: int = 10
    """Items a list, at most, 1-500."""
    users: str = ALL
    """`all`, `active:30d`, or a file."""
    delta: bool = False
    """Write only the changes since the last export to the target."""
    command: str = "recsys export"
    """The command that the manifest names."""


@dataclass(frozen=True, kw_only=True)
class ExportOutcome:
    """The result of an export."""

    manifest: ExportManifest
    """Its description."""
    written: bool
    """False where a delta had nothing to write."""
    problem: str | None
    """Why the newest rules file is not in force; None where it is."""


def export_lists(
    home: Home, request: ExportRequest, *, progress: Progress | None = None, now: datetime | None = None
) -> ExportOutcome:
    """Make the lists of a home's current release, and write them.

    Args:
        home: an installation with a release.
        request: the wish.
        progress: called with the users done and all users.
        now: the time that rows name, UTC; None for the clock's.

    Raises:
        ReleaseError: no release is current, or it is broken.
        RulesError: the rules have no such scenario.
        ExportError: the target cannot be written, or the users' file cannot be read.
    """
    started = now or datetime.now(UTC)
    target = open_target(request.to)
    release_id = require_current(home.releases)
    state = ExportState(home, target.shown)
    with state.locked():
        target.check()
        maker = ListMaker(home, release_id, scenario=request.scenario, k=request.k, now=started)
        try:
            users = choose_users(maker.release, request.users)
            before = _before(state, target) if request.delta else None
            changes = None if before is None else before.against(users.ids())
            source = ListSource(
                release=release_id, rules=maker.rules, scenario=request.scenario, exported_at=started
            )
            run = _run(request, target, source, before)
            lists = _counted(
                make_lists(maker, users.batches(maker.batch_size()), count=len(users)),
                run,
                maker.release,
                len(users),
                progress,
            )
            with state.writing(
                export_id=run.export_id,
                base=run.base,
                sequence=run.sequence,
                releases=_releases_of(release_id, before),
            ) as writer:
                hashes = ListHashes(maker.release, scenario=request.scenario)
                batches = _recorded(lists, writer, hashes, changes, run)
                rows = ListRows(maker.release, source)
                manifest = _write(target, run, batches, rows=rows, changes=changes)
                writer.complete = manifest is not None
        finally:
            maker.close()
    return ExportOutcome(
        manifest=manifest or run.manifest(), written=manifest is not None, problem=maker.problem
    )


def configured_request(home: Home, settings: ExportSettings, *, command: str) -> ExportRequest:
    """Return the export that a home's settings name; paths that are not absolute are in the home.

    Raises:
        ExportError: they name no target.
    """
    if settings.to is None:
        raise ExportError(f"{home.settings_file}: [export] to is missing; give a target there")
    to, users = settings.to, settings.users
    if to.startswith("sqlite:"):
        to = f"sqlite:{home.root / to.removeprefix('sqlite:')}"
    elif "://" not in to:
        to = str(home.root / to)
    if users != ALL and not users.startswith("active:"):
        users = str(home.root / users)
    return ExportRequest(
        to=to, scenario=settings.scenario, k=settings.k, users=users, delta=settings.delta, command=command
    )


def open_target(to: str) -> ExportTarget:
    """Return the target of an address, without opening it.

    Raises:
        InputError: it is no address, or its optional extra is not installed.
    """
    if is_database(to):
        from recsys_assets.exports.database_target import open_database  # noqa: PLC0415  a driver each

        return open_database(to)
    if to.startswith(("redis://", "rediss://")):
        from recsys_assets.exports.redis_target import RedisTarget  # noqa: PLC0415  as above

        return RedisTarget(to)
    if "://" in to:
        raise ExportError(
            f"--to {to.partition('://')[0]}://…: unknown; give a path, sqlite:, postgres:// or redis://"
        )
    return FileTarget(Path(to))


def _before(state: ExportState, target: ExportTarget) -> LastExport | None:
    """Return the last export, where the target still holds it."""
    found = state.read()
    held = found is not None and found.is_in(target.last_export(), deltas_apart=target.deltas_apart)
    return found if held else None


def _releases_of(release_id: str, before: LastExport | None) -> list[str]:
    """Return the releases whose lists the target holds after this export; none where that isn't known."""
    if before is None:
        return [release_id]
    return list(dict.fromkeys([*before.releases, release_id])) if before.releases else []


def _run(
    request: ExportRequest, target: ExportTarget, source: ListSource, before: LastExport | None
) -> ExportRun:
    export_id = f"{source.exported_at:%Y%m%dT%H%M%S%f}"
    return ExportRun(
        export_id=export_id,
        source=source,
        k=request.k,
        command=request.command,
        target=target.shown,
        delta=before is not None,
        base=export_id if before is None else before.base,
        sequence=0 if before is None else before.sequence + 1,
    )


def _write(
    target: ExportTarget,
    run: ExportRun,
    batches: Iterator[ListBatch],
    *,
    rows: ListRows,
    changes: Changes | None,
) -> ExportManifest | None:
    """Write everything, or the changes; None where there is no change."""
    if changes is None:
        return target.replace(run, batches, rows)
    run.gone = len(changes.gone)
    first = next(batches, None)
    if first is None and not changes.gone:
        return None
    return target.change(run, chain([first] if first else [], batches), rows, gone=changes.gone)


def _counted(
    lists: Iterator[ListBatch], run: ExportRun, release: Release, total: int, progress: Progress | None
) -> Iterator[ListBatch]:
    for batch in lists:
        run.users += len(batch)
        run.unknown += int((batch.user_nums < 0).sum())
        run.empty += batch.empty
        run.seen += seen_items(batch, release)
        if progress is not None:
            progress(STAGE, run.users, total)
        yield batch


def _recorded(
    lists: Iterator[ListBatch],
    writer: StateWriter,
    hashes: ListHashes,
    changes: Changes | None,
    run: ExportRun,
) -> Iterator[ListBatch]:
    """Yield the lists to write, and note all of them."""
    for batch in lists:
        hashes_N = hashes.of(batch)
        writer.add(batch.user_ids, hashes_N)
        if changes is None:
            written = batch
        else:
            places = np.flatnonzero(changes.changed(hashes_N))
            if not len(places):
                continue
            written = batch.only(places)
        run.changed += len(written)
        run.rows += written.rows
        yield written


def seen_items(batch: ListBatch, release: Release) -> int:
    """Return the number of items in the lists that their users have already."""
    known = np.flatnonzero(batch.user_nums >= 0)
    nums = batch.user_nums[known]
    starts, ends = release.seen_indptr[nums], release.seen_indptr[nums + 1]
    counts = ends - starts
    if not counts.sum():
        return 0
    places = np.repeat(starts - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
    items = len(release.items)
    seen = np.repeat(np.arange(len(known)), counts) * items + release.seen_items[places]
    lists_Nk = batch.items_Nk[known]
    users, ranks = np.nonzero(lists_Nk >= 0)
    return int(np.isin(users * items + lists_Nk[users, ranks], seen, assume_unique=True).sum())
