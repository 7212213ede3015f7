"""Retention: what is old and of no use to `current`, to the release before it or to a replay goes.

The source, the lake, the artifacts, the current release, the one to go back to, profiles and acceptances are
never touched, so that a build has nothing to do afterwards.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

import dagster as dg
import msgspec

from recsys_assets.experiments.model_releases import needed_releases
from recsys_assets.experiments.teams import remove_teams
from recsys_assets.notices.delivery import remove_old_notices
from recsys_assets.orchestration.instance import open_instance
from recsys_assets.orchestration.repair.made_artifacts import forget_inputs
from recsys_assets.orchestration.run_history import cut_history
from recsys_assets.quality.ledger_place import has_ledger, ledger_place
from recsys_assets.quality.open_ledger import compact_ledger, ledger_bytes, open_at
from recsys_assets.release.answer_counts import forget_answers
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.release_settings import RetentionSettings
from recsys_assets.settings import Settings
from recsys_assets.storage.atomic import remove_file, sync
from recsys_assets.storage.day_folders import day_folder, days_under
from recsys_assets.storage.day_versions import DayVersions
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import build_lock
from recsys_assets.storage.sqlite_space import bytes_of, compact

_REMOVED_PREFIX: Final = ".pruned-"


@dataclass(frozen=True, kw_only=True)
class PrunedKind:
    """One kind of files, and its size before and after."""

    kind: str
    """Dagster's runs, check results, reports, notices, releases and more."""
    removed: str
    """The number of things removed, in words; empty for none."""
    bytes_before: int
    """Size on the disk before."""
    bytes_after: int
    """Size after; in a dry run an estimate."""


def keep_days(settings: RetentionSettings, days: int | None) -> RetentionSettings:
    """Return the settings with one number of days for every kind that is kept by its age; None changes nothing."""
    if days is None:
        return settings
    return msgspec.structs.replace(
        settings,
        run_days=days,
        check_days=days,
        report_days=days,
        quarantine_days=days,
        answer_days=days,
        version_days=days,
        replay_days=days,
        notice_days=days,
    )


def prune(home: Home, settings: Settings, *, now: datetime, dry_run: bool = False) -> list[PrunedKind]:
    """Remove what `[retention]` says, while nothing else builds the home.

    Args:
        home: the home.
        settings: its settings.
        now: the time, UTC.
        dry_run: change nothing.

    Raises:
        BuildRunningError: another process builds this home.
    """
    with build_lock(home), open_instance(home) as instance:
        return prune_locked(home, settings, instance, now=now, dry_run=dry_run)


def prune_locked(
    home: Home, settings: Settings, instance: dg.DagsterInstance, *, now: datetime, dry_run: bool = False
) -> list[PrunedKind]:
    """Do what `prune` does, under a build's own lock and instance."""
    kept = settings.retention

    def old(days: int) -> datetime:
        return now - timedelta(days=days)

    return [
        _prune_runs(home, instance, before=old(kept.run_days), dry_run=dry_run),
        _prune_checks(home, before=old(kept.check_days), dry_run=dry_run),
        _prune_rows(
            "counts of answers",
            "hour",
            home.answers_db,
            remove=lambda: forget_answers(home.answers_db, before=old(kept.answer_days), dry_run=dry_run),
            dry_run=dry_run,
        ),
        _prune_rows(
            "teams of interleaved answers",
            "interleaved answer",
            home.answers_db,
            remove=lambda: remove_teams(home.answers_db, before=old(kept.answer_days), dry_run=dry_run),
            dry_run=dry_run,
        ),
        _prune_days(
            "reports",
            home.reports,
            spare=settings.report.days,
            before=old(kept.report_days),
            dry_run=dry_run,
        ),
        _prune_days(
            "quarantine", home.quarantine, spare=0, before=old(kept.quarantine_days), dry_run=dry_run
        ),
        _prune_versions(home, before=old(kept.version_days), dry_run=dry_run),
        _prune_files("replays", home.replays, before=old(kept.replay_days), dry_run=dry_run),
        _prune_files("reports as known then", home.known_then, before=old(kept.report_days), dry_run=dry_run),
        _prune_rows(
            "notices",
            "notice",
            home.notices_db,
            remove=lambda: remove_old_notices(home, before=old(kept.notice_days), dry_run=dry_run),
            dry_run=dry_run,
        ),
        _prune_releases(home, today=now.date(), keep=kept.releases, dry_run=dry_run),
    ]


def _prune_runs(home: Home, instance: dg.DagsterInstance, *, before: datetime, dry_run: bool) -> PrunedKind:
    size = _bytes_under(home.dagster)
    cut = cut_history(home, instance, before=before, dry_run=dry_run)
    if not dry_run:
        for database in (
            home.dagster / "history" / "runs" / "index.db",
            home.dagster / "history" / "runs.db",
        ):
            compact(database)
    return PrunedKind(
        kind="Dagster's runs",
        removed=_counted(cut.runs, "run"),
        bytes_before=size,
        bytes_after=size - cut.freed if dry_run else _bytes_under(home.dagster),
    )


def _prune_checks(home: Home, *, before: datetime, dry_run: bool) -> PrunedKind:
    place = ledger_place(home)
    size, removed, freed = ledger_bytes(place), 0, 0
    if has_ledger(home):
        with open_at(place) as ledger:
            removed, freed = ledger.forget_passed(before=before, dry_run=dry_run)
        if not dry_run:
            compact_ledger(place)
    return PrunedKind(
        kind="check results",
        removed=_counted(removed, "day"),
        bytes_before=size,
        bytes_after=size - freed if dry_run else ledger_bytes(place),
    )


def _prune_rows(
    kind: str, noun: str, database: Path, *, remove: Callable[[], int], dry_run: bool
) -> PrunedKind:
    """Remove old rows of a database, and compact it; `remove` returns their number."""
    size = bytes_of(database)
    removed = remove()
    if removed and not dry_run:
        compact(database)
    return PrunedKind(
        kind=kind, removed=_counted(removed, noun), bytes_before=size, bytes_after=bytes_of(database)
    )


def _prune_days(kind: str, root: Path, *, spare: int, before: datetime, dry_run: bool) -> PrunedKind:
    """Remove the folders of days that were written before a time, but for the last `spare` days.

    A folder is renamed before it is emptied, so that a killed process or a power cut leaves no half day.
    """
    size = _bytes_under(root)
    days = days_under(root)
    folders = [day_folder(root, day) for day in days[: max(len(days) - spare, 0)]]
    old = [folder for folder in folders if _written_at(folder) < before.timestamp()]
    freed = sum(map(_bytes_under, old))
    if not dry_run:
        _remove(root, old)
    return PrunedKind(
        kind=kind,
        removed=_counted(len(old), "day"),
        bytes_before=size,
        bytes_after=size - freed if dry_run else _bytes_under(root),
    )


def _remove(root: Path, folders: Sequence[Path]) -> None:
    for folder in folders:
        forget_inputs(folder)
        removed = folder.with_name(f"{_REMOVED_PREFIX}{folder.name}")
        shutil.rmtree(removed, ignore_errors=True)
        folder.rename(removed)
    if folders:
        sync(root)  # else a power cut may leave a day's folder under its name, without its files
    for left_over in root.glob(f"{_REMOVED_PREFIX}*"):
        shutil.rmtree(left_over)


def _prune_versions(home: Home, *, before: datetime, dry_run: bool) -> PrunedKind:
    """Remove the earlier versions of days that were replaced before a time; when they landed stays noted."""
    versions, size = DayVersions(root=home.versions), _bytes_under(home.versions)
    old = [version for version in versions.every() if version.replaced_at < before]
    freed = sum(version.path.stat().st_size for version in old)
    for version in () if dry_run else old:
        versions.remove(version)
    return PrunedKind(
        kind="earlier versions",
        removed=_counted(len(old), "version"),
        bytes_before=size,
        bytes_after=size - freed,
    )


def _prune_files(kind: str, root: Path, *, before: datetime, dry_run: bool) -> PrunedKind:
    """Remove the files of a folder that were written before a time."""
    size = _bytes_under(root)
    old = [file for file in root.glob("[!.]*") if file.stat().st_mtime < before.timestamp()]
    freed = sum(file.stat().st_size for file in old)
    for file in () if dry_run else old:
        remove_file(file)
    return PrunedKind(
        kind=kind,
        removed=_counted(len(old), "file"),
        bytes_before=size,
        bytes_after=size - freed,
    )


def _prune_releases(home: Home, *, keep: int, today: date, dry_run: bool) -> PrunedKind:
    store, size = ReleaseStore(home.releases), _bytes_under(home.releases)
    needed = needed_releases(home, today=today)
    old = (store.superseded if dry_run else store.prune)(keep=keep, needed=needed)
    freed = sum(_bytes_under(home.releases / release) for release in old)
    return PrunedKind(
        kind="releases",
        removed=_counted(len(old), "release"),
        bytes_before=size,
        bytes_after=size - freed if dry_run else _bytes_under(home.releases),
    )


def in_words(kinds: Sequence[PrunedKind]) -> str:
    """Return what was removed, such as `3 runs, 1 release`; empty for nothing."""
    return ", ".join(kind.removed for kind in kinds if kind.removed)


def _written_at(folder: Path) -> float:
    return max((file.stat().st_mtime for file in folder.iterdir()), default=folder.stat().st_mtime)


def _bytes_under(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}" if number else ""
