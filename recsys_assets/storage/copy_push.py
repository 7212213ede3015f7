"""Pushing a working copy: what changed goes to the store, records after their files, `.head` last.

A writer whose `.head` was replaced by another writer meanwhile loses: it puts nothing more, and says so.
"""

import os
import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from recsys_assets.errors import ObjectChangedError, ObjectExistsError
from recsys_assets.storage.copied_files import (
    content_now,
    differs,
    files_of,
    last_in_order,
    sha256_of,
    state_now,
)
from recsys_assets.storage.copy_index import CopiedFile, write_index
from recsys_assets.storage.current_form import CURRENT_KEY, swap_current, write_current
from recsys_assets.storage.day_folders import JOURNAL, PART, day_folder, days_under
from recsys_assets.storage.day_journal import DayJournal
from recsys_assets.storage.pushed_releases import (
    broken_releases,
    require_same_manifest,
    require_same_releases,
    withdraw_manifests,
)
from recsys_assets.storage.store_head import HEAD, Head
from recsys_assets.storage.whole_releases import manifest_key, release_of
from recsys_assets.storage.working_copy import WorkingCopy

_THREADS: Final = 16
_MANIFEST_RANK: Final = 2
_RANKS: Final = 4


def push(copy: WorkingCopy, *, now: datetime | None = None) -> int:
    """Put what changed in the home into its store, and remove there what is gone here; return the number of objects.

    Raises:
        ObjectStoreError: another writer pushed meanwhile, the lease is lost, or a release of this id is there with
            another content.
    """
    copy.require()
    here = set(files_of(copy.root))
    changed = {key for key in here if differs(copy.index, copy.root, key)}
    gone = [key for key in copy.index.files if key not in here]
    kept = {key for key in (*changed, *gone) if _is_of_release(copy, key, here)}
    broken = broken_releases(copy, {release_of(key) for key in kept})
    kept = {key for key in kept if release_of(key) not in broken}
    if kept:
        copy.restore(kept)
        changed, gone = changed - kept, [key for key in gone if key not in kept]
    days = any(table.changed for table in copy.tables.values())
    for table in copy.tables.values():
        table.settle()
    if not changed and not gone and not days:
        return 0
    _require_head(copy)
    changed |= withdraw_manifests(copy, broken)
    require_same_releases(copy, changed)
    done = 0
    for rank in range(_RANKS):
        done += _put_all(copy, [key for key in sorted(changed) if last_in_order(key) == rank])
        if rank == 0:
            copy.require()
    _remove_gone(copy, gone)
    copy.damaged = {key: fault for key, fault in copy.damaged.items() if release_of(key) not in broken}
    for table in copy.tables.values():
        table.push()
    if done or gone or days:
        _move_head(copy, now or datetime.now(UTC))
    write_index(copy.root, copy.index)
    return done + len(gone)


def _remove_gone(copy: WorkingCopy, gone: Iterable[str]) -> None:
    """Remove objects whose files are gone here, manifests and records first."""
    keys = list(gone)
    for rank in reversed(range(_RANKS)):
        of_rank = [key for key in keys if last_in_order(key) == rank]
        copy.objects.delete(of_rank)
        for key in of_rank:
            del copy.index.files[key]


def push_current(copy: WorkingCopy, release_id: str) -> None:
    """Put a release that is not in the store yet, and swap `current`; no lease is needed, since one swap wins.

    Raises:
        ObjectStoreError: another machine moved `current` meanwhile, which the home has then.
    """
    folder = f"releases/{release_id}"
    if manifest_key(release_id) not in copy.index.files:
        of_release = [key for key in files_of(copy.root) if key.startswith(f"{folder}/")]
        require_same_releases(copy, of_release)
        for rank in range(_RANKS):
            _put_all(copy, [key for key in of_release if last_in_order(key) == rank])
    _put_all(copy, [CURRENT_KEY])
    write_index(copy.root, copy.index)


def put_days(copy: WorkingCopy) -> int:
    """Put the days of a home that had no store before; return their number."""
    done = 0
    for name, table in copy.tables.items():
        root = copy.root / name
        journal, far = DayJournal(root / JOURNAL), table.days()
        for day in days_under(root):
            path = day_folder(root, day) / PART
            file = journal.find(day, path)
            if file is not None and file.rows is not None and day not in far:
                table.write(day, path.read_bytes(), file=file)
                done += 1
        table.settle()
    return done


def _is_of_release(copy: WorkingCopy, key: str, here: set[str]) -> bool:
    """Return whether a file is of a release that the store has whole and this home too: it stays as it is."""
    release = release_of(key)
    return manifest_key(release) in copy.index.files and any(
        one.startswith(f"releases/{release}/") for one in here
    )


def _put_all(copy: WorkingCopy, keys: Iterable[str]) -> int:
    """Put files several at a time; return the number of those with another content than the store's."""
    wanted = list(keys)
    if not wanted:
        return 0
    with ThreadPoolExecutor(min(_THREADS, len(wanted))) as pool:
        found = list(pool.map(lambda key: _put(copy, key), wanted))
    done = 0
    for key, copied in zip(wanted, found, strict=True):
        if copied is not None:
            known = copy.index.files.get(key)
            done += known is None or known.tag != copied.tag
            copy.index.files[key] = copied
    return done


def _put(copy: WorkingCopy, key: str) -> CopiedFile | None:
    """Put a file unless the store has its content; None where it went away meanwhile."""
    state = state_now(copy.root, key)  # before it is read: a change meanwhile is found by the next push
    try:
        content = content_now(copy.root, key)
        checksum = sha256_of(content)
    except FileNotFoundError:
        return None
    known = copy.index.files.get(key)
    if known is not None and known.sha256 == checksum:
        return CopiedFile(known.tag, checksum, state)
    beside = {"sha256": checksum, "mtime-ns": str(state[1])}
    if key == CURRENT_KEY:
        tag = _swap_current(copy, bytes(content) if isinstance(content, bytes) else content.read_bytes())
    elif last_in_order(key) == _MANIFEST_RANK and isinstance(content, Path):
        tag = _create_manifest(copy, key, content, beside)
    elif isinstance(content, Path):
        tag = copy.objects.put_file(key, content, metadata=beside)
    else:
        tag = copy.objects.put(key, content, metadata=beside)
    return CopiedFile(tag, checksum, state)


def _create_manifest(copy: WorkingCopy, key: str, manifest: Path, beside: dict[str, str]) -> str:
    """Put the manifest of a release, which makes it whole; the same one again is no error."""
    try:
        return copy.objects.create(key, manifest.read_bytes(), metadata=beside)
    except ObjectExistsError:
        return require_same_manifest(copy, key) or copy.objects.put(
            key, manifest.read_bytes(), metadata=beside
        )


def _swap_current(copy: WorkingCopy, content: bytes) -> str:
    """Swap `current` where it is as this home saw it; else take the store's, and say so."""
    known = copy.index.files.get(CURRENT_KEY)
    try:
        return swap_current(copy.objects, content, seen=None if known is None else known.tag)
    except ObjectChangedError:
        there = copy.objects.get(CURRENT_KEY)
        if there.content == content:
            return there.tag
        write_current(copy.root, there.content, origin=copy.objects.url)
        state = state_now(copy.root, CURRENT_KEY)
        copy.index.files[CURRENT_KEY] = CopiedFile(there.tag, sha256_of(there.content), state)
        write_index(copy.root, copy.index)
        raise ObjectChangedError(
            f"{copy.objects.url}/{CURRENT_KEY}: was moved by another machine meanwhile; this home has that now: look"
            " at `recsys releases list`, and move it again if it is still right"
        ) from None


def _require_head(copy: WorkingCopy) -> None:
    found, tag = copy.head()
    if tag != copy.index.head:
        who = "another writer" if found is None else f"{found.who}, push {found.number}"
        raise ObjectChangedError(
            f"{copy.objects.url}/{HEAD}: {who}, changed the store since this process read it; nothing more of this"
            " one is kept: run the command again"
        )


def _move_head(copy: WorkingCopy, now: datetime) -> None:
    """Replace `.head`, with a number one higher.

    Raises:
        ObjectChangedError: another writer did meanwhile.
    """
    number = copy.index.number + 1
    head = Head(number=number, who=writer(), at=now.isoformat(timespec="microseconds"))
    content = msgspec.json.encode(head)
    if copy.index.head:
        copy.index.head = copy.objects.swap(HEAD, content, tag=copy.index.head)
    else:
        copy.index.head = copy.objects.create(HEAD, content)
    copy.index.number = number


def writer() -> str:
    """Return this process in words: host and process id."""
    return f"{socket.gethostname()} (process {os.getpid()})"
