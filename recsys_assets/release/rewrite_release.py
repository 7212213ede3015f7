"""A release without some users, in the place of the one that had them: a new id, and every record names that.

Under the locks, in an order that can be resumed: the new folder is put in place, its line in `rewritten.jsonl` is
written, the gate's report, promotions and recalls name it, `current` moves, and then the old folder is removed. A
rewriting that was killed is found by the old folder and that line.
"""

import os
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from shutil import copyfile
from typing import Final

import msgspec

from recsys_assets.errors import BrokenReleaseError, ForgetError
from recsys_assets.release.current import CURRENT_FILE, PROMOTIONS_FILE, read_promotions
from recsys_assets.release.gate_report import read_gate, report_file, write_gate
from recsys_assets.release.manifest import (
    MANIFEST_FILE,
    STAMPS,
    FileEntry,
    Manifest,
    check_identity,
    check_sums,
    read_manifest,
    release_id,
    sha256,
    write_manifest,
)
from recsys_assets.release.recalls import read_recalls
from recsys_assets.release.release_store import MOVING, PUBLISHING, ReleaseStore
from recsys_assets.release.rewritten import Rewritten, RewrittenRelease, note_rewritten
from recsys_assets.release.without_users import GoneUsers, has_users, write_without_users
from recsys_assets.storage.atomic import put_folder_in_place, remove_folder, replace_file, staging_folder
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import locked
from recsys_assets.storage.string_table import Vocabulary

_STAGING: Final = ".forgetting"
_UNREADABLE: Final = (OSError, ValueError, LookupError, sqlite3.Error, BrokenReleaseError)


@dataclass(frozen=True, kw_only=True)
class Forget:
    """One forget, as releases see it."""

    number: int
    """Its number."""
    at: datetime
    """Now, UTC."""
    ids: frozenset[str]
    """The users' ids."""
    checksums: Mapping[tuple[date, str], str]
    """Day and checksum of each rewritten day of `interactions` before -> its checksum now."""


def forget_in_releases(home: Home, forget: Forget) -> tuple[RewrittenRelease, ...]:
    """Rewrite every kept release that has the users, and return those that were.

    Raises:
        ForgetError: a release cannot be read; the others are rewritten.
    """
    store, rewritten, faults = ReleaseStore(home.releases), [], dict(ReleaseStore(home.releases).unreadable())
    with locked(home.releases / PUBLISHING):
        for left_over in [*home.releases.glob(f"{_STAGING}*"), *home.releases.glob(".pruned-*")]:
            remove_folder(left_over)
        for manifest in reversed(store.list()):
            try:
                found = _rewrite(home, manifest, forget)
            except _UNREADABLE as error:
                faults[manifest.release_id] = str(error)
                continue
            if found is not None:
                rewritten.append(found)
    if faults:
        named = "\n".join(f"  {name}: {reason}" for name, reason in faults.items())
        raise ForgetError(
            f"{home.releases}: releases that cannot be read may have the users:\n{named}\nRemove their folders, then "
            "run the same command again"
        )
    return tuple(rewritten)


def _rewrite(home: Home, manifest: Manifest, forget: Forget) -> RewrittenRelease | None:
    """Rewrite one release; None where it has none of the users."""
    folder = home.releases / manifest.release_id
    after = Rewritten.load(home.releases).after.get(manifest.release_id)
    if after is None or not (home.releases / after).is_dir():
        if not has_users(folder, forget.ids):
            return None
        check_identity(folder, manifest)
        after = _write(home, manifest, forget)
    found = RewrittenRelease(forget=forget.number, at=forget.at, before=manifest.release_id, after=after)
    with locked(home.releases / MOVING):
        note_rewritten(home.releases, found)
        _rename_records(home, manifest.release_id, after)
        remove_folder(folder, hidden=home.releases / f".pruned-{manifest.release_id}")
        (home.releases / STAMPS / f"{manifest.release_id}.json").unlink(missing_ok=True)
        report_file(home.releases, manifest.release_id).unlink(missing_ok=True)
    return found


def _write(home: Home, manifest: Manifest, forget: Forget) -> str:
    """Write the new release beside the old one, and return its id."""
    folder = home.releases / manifest.release_id
    with staging_folder(home.releases / f"{_STAGING}-{manifest.release_id}") as staged:
        written = write_without_users(folder, staged, GoneUsers.of(folder, forget.ids))
        check_sums(folder, manifest, only=written)  # no damaged file is given a right checksum
        link_others(folder, staged, without=[*written, MANIFEST_FILE])
        files = dict(manifest.files) | {
            name: FileEntry(sha256=sha256(staged / name), bytes=(staged / name).stat().st_size)
            for name in written
        }
        lineage = {
            day: forget.checksums.get((day, checksum), checksum) for day, checksum in manifest.lineage.items()
        }
        made = msgspec.structs.replace(
            manifest,
            release_id=release_id(manifest.through_day, files, manifest.settings, lineage),
            files=files,
            lineage=lineage,
            counts=manifest.counts | {"users": len(Vocabulary.load(staged, "users"))},
            rewritten_from=manifest.release_id,
            forgets=[*manifest.forgets, forget.number],
            seal="",
        )
        write_manifest(staged, made)
        target = home.releases / made.release_id
        with locked(home.releases / MOVING):
            put_folder_in_place(staged, target, old=home.releases / f"{_STAGING}-old")
    read_manifest(target)
    return made.release_id


def link_others(folder: Path, target: Path, *, without: Iterable[str]) -> None:
    """Give `target` the other files of `folder`: the same files, or copies where a file system has no links.

    Args:
        folder: a release or an artifact, whose files nobody overwrites.
        target: the folder that replaces it.
        without: names of the files that `target` has, or needs not.
    """
    left_out = set(without)
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = file.relative_to(folder).as_posix()
        if name in left_out:
            continue
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(file, place)
        except OSError:
            copyfile(file, place)


def _rename_records(home: Home, before: str, after: str) -> None:
    """Have the gate's report, the log of promotions, the recalls and `current` name the new release; in this order."""
    root, now = home.releases, {before: after}
    report = read_gate(root, before)
    if report is not None:
        write_gate(root, msgspec.structs.replace(report, release=after))
    moves = read_promotions(root)
    if any(before in {move.before, move.after} for move in moves):
        renamed = (
            msgspec.structs.replace(
                move, before=now.get(move.before or "", move.before), after=now.get(move.after, move.after)
            )
            for move in moves
        )
        _replace_log(root / PROMOTIONS_FILE, renamed)
    recalls = read_recalls(home)
    if any(before in {*one.releases, one.before, one.current} for one in recalls):
        named = (
            msgspec.structs.replace(
                one,
                releases=tuple(now.get(name, name) for name in one.releases),
                before=now.get(one.before or "", one.before),
                current=now.get(one.current or "", one.current),
                answers={now.get(name, name): answers for name, answers in one.answers.items()},
            )
            for one in recalls
        )
        _replace_log(home.recalls, named)
    if ReleaseStore(root).is_current(before):
        replace_file(root / CURRENT_FILE, after.encode("ascii") + b"\n")


def _replace_log(file: Path, records: Iterable[msgspec.Struct]) -> None:
    replace_file(file, b"".join(msgspec.json.encode(one) + b"\n" for one in records))
