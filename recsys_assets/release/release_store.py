"""The folder of releases: list, verify, promote, roll back, recall and prune them."""

import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import msgspec

from recsys_assets.errors import BrokenReleaseError, ReleaseError
from recsys_assets.release.current import (
    Move,
    RecordedMove,
    earlier,
    read_current,
    read_promotions,
    record_move,
)
from recsys_assets.release.manifest import MANIFEST_FILE, STAMPS, Manifest, check_sums, read_manifest
from recsys_assets.storage.atomic import replace_file
from recsys_assets.storage.locks import locked

PUBLISHING: Final = ".publishing.lock"
"""Lock file held while a release is published or deleted."""
MOVING: Final = ".moving.lock"
"""Lock file held while `current` is moved; taken after PUBLISHING where both are needed."""
RECALLED_FILE: Final = "recalled.json"
"""Every recalled day, in the folder of releases."""


class RecalledDay(msgspec.Struct, frozen=True, kw_only=True):
    """One bad version of a day's partition, which a release was built on."""

    day: date
    """UTC day of the partition."""
    checksum: str
    """Checksum of the bad version; the corrected and replayed day has another."""
    at: datetime
    """Time of the recall, UTC."""
    why: str
    """Reason given."""


@dataclass(frozen=True, kw_only=True)
class RecallOutcome:
    """Releases affected by a recall, and `current` before and after it."""

    releases: Sequence[str]
    """Ids of the releases built on the recalled days, newest first."""
    before: str | None
    """Id of the current release before the recall."""
    current: str | None
    """Id of the current release now."""


class ReleaseStore:
    """The folder of releases. Reading takes no lock; moving `current` and deleting do."""

    def __init__(self, root: Path, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Open the folder `root`, which may not exist; `clock` returns the time to log."""
        self.root = root
        self._clock = clock

    def list(self) -> Sequence[Manifest]:
        """Return the manifests of all readable releases, newest first."""
        manifests = []
        for path in self.root.glob(f"*/{MANIFEST_FILE}"):
            if path.parent.name.startswith("."):
                continue
            try:
                manifests.append(read_manifest(path.parent))
            except BrokenReleaseError:
                continue  # one broken release must not hide the others; `verify` reports it
        return sorted(
            manifests, key=lambda manifest: (manifest.created_at, manifest.release_id), reverse=True
        )

    def path(self, release_id: str) -> Path:
        """Return the folder of a release.

        Raises:
            ReleaseError: no release has that id.
        """
        folder = self.root / release_id
        plain = release_id and not release_id.startswith(".") and Path(release_id).name == release_id
        if not plain or "\0" in release_id or not folder.is_dir():
            known = ", ".join(manifest.release_id for manifest in self.list()[:5]) or "none"
            raise ReleaseError(f"{self.root}: no release {release_id!r}; there are: {known}")
        return folder

    def manifest(self, release_id: str) -> Manifest:
        """Return the manifest of a release; errors as in `path` and `read_manifest`."""
        return read_manifest(self.path(release_id))

    def current_id(self) -> str | None:
        """Return the id that `current` points at, None before the first promotion."""
        return read_current(self.root)

    def promotions(self) -> Sequence[RecordedMove]:
        """Return every move of `current`, oldest first."""
        return read_promotions(self.root)

    def previous_id(self) -> str | None:
        """Return the id that `rollback` would go to, None if no earlier release is left."""
        servable = {manifest.release_id for manifest in self.list() if not self._recalled(manifest)}
        return next(
            (found for found in earlier(self.promotions(), self.current_id()) if found in servable), None
        )

    def verify(self, release_id: str) -> Manifest:
        """Read the whole release, compare every checksum, and return its manifest.

        Raises:
            ReleaseError: no release has that id.
            BrokenReleaseError: names each file that differs, with the checksums expected and found.
        """
        folder = self.path(release_id)
        manifest = read_manifest(folder)
        check_sums(folder, manifest)
        return manifest

    def promote(self, release_id: str) -> None:
        """Point `current` at a release.

        Raises:
            ReleaseError: no release has that id, or it was built on recalled days.
            BrokenReleaseError: its manifest cannot be read.
        """
        with locked(self.root / MOVING):
            self.check_not_recalled(self.manifest(release_id))
            self._move("promote", release_id)

    def rollback(self) -> str:
        """Point `current` at the release promoted before it, and return its id; each call goes one step back.

        Releases that are deleted, unreadable or recalled are skipped.

        Raises:
            ReleaseError: no earlier release is left.
        """
        with locked(self.root / MOVING):
            target = self.previous_id()
            if target is None:
                raise ReleaseError(
                    f"{self.root}: nothing to roll back to from {self.current_id()};"
                    " run `recsys build` for a new release"
                )
            self._move("rollback", target)
        return target

    def recall(self, days: Iterable[date], *, why: str = "") -> RecallOutcome:
        """Record days as bad, in the versions that releases were built on; no release built on them is served.

        A later release built on the same version of such a day is rejected, one built on the corrected day is
        not. If `current` is built on a recalled version, it moves to the nearest earlier promotion that is
        not, else to the newest release that is not.

        Args:
            days: UTC days.
            why: the reason, for messages.

        Raises:
            ReleaseError: no release was built on any of the days; or no other release is left to move to, in
                which case the days are recorded and `current` stays.
        """
        wanted = set(days)
        with locked(self.root / MOVING):
            manifests = self.list()
            bad = {(day, m.lineage[day]) for m in manifests for day in wanted & m.lineage.keys()}
            if not bad:
                named = ", ".join(map(str, sorted(wanted))) or "no day"
                raise ReleaseError(f"{self.root}: no release was built on {named}; nothing to recall")
            self._record_recalled(bad, why)
            affected = [m.release_id for m in manifests if not bad.isdisjoint(m.lineage.items())]
            before = self.current_id()
            if before in affected:
                self._move("recall", self._recall_target(manifests, before))
        return RecallOutcome(releases=affected, before=before, current=self.current_id())

    def recalled_days(self) -> Sequence[RecalledDay]:
        """Return everything ever recalled, by day."""
        try:
            return msgspec.json.decode((self.root / RECALLED_FILE).read_bytes(), type=tuple[RecalledDay, ...])
        except FileNotFoundError:
            return ()

    def check_not_recalled(self, manifest: Manifest) -> None:
        """Raise ReleaseError if the release was built on a recalled version of a day."""
        for entry in self._recalled(manifest):
            raise ReleaseError(
                f"release {manifest.release_id}: built on {entry.day}, recalled {entry.at:%Y-%m-%d %H:%M} UTC"
                f" ({entry.why or 'no reason given'}); correct that day, replay it and build again"
            )

    def prune(self, *, keep: int) -> Sequence[str]:
        """Delete all but the `keep` newest releases, and return their ids.

        The current release and the one to roll back to are always kept.
        """
        with locked(self.root / PUBLISHING), locked(self.root / MOVING):
            old = self.superseded(keep=keep)
            for left_over in self.root.glob(".pruned-*"):
                shutil.rmtree(left_over)
            for release_id in old:
                pruned = self.root / f".pruned-{release_id}"
                (self.root / release_id).rename(pruned)
                shutil.rmtree(pruned)
                (self.root / STAMPS / f"{release_id}.json").unlink(missing_ok=True)
        return old

    def superseded(self, *, keep: int) -> Sequence[str]:
        """Return the ids of the releases that `prune` would delete."""
        needed = {self.current_id(), self.previous_id()}
        return [m.release_id for m in self.list()[max(0, keep) :] if m.release_id not in needed]

    def _recalled(self, manifest: Manifest) -> Sequence[RecalledDay]:
        return [entry for entry in self.recalled_days() if manifest.lineage.get(entry.day) == entry.checksum]

    def _record_recalled(self, bad: Iterable[tuple[date, str]], why: str) -> None:
        known = {(entry.day, entry.checksum): entry for entry in self.recalled_days()}
        now = self._clock()
        for day, checksum in bad:
            known.setdefault((day, checksum), RecalledDay(day=day, checksum=checksum, at=now, why=why))
        replace_file(self.root / RECALLED_FILE, msgspec.json.encode([known[key] for key in sorted(known)]))

    def _recall_target(self, manifests: Iterable[Manifest], current: str | None) -> str:
        """Return the release to serve instead of `current`; ReleaseError if there is none."""
        good = (manifest.release_id for manifest in manifests if not self._recalled(manifest))
        target = self.previous_id() or next(good, None)
        if target is None:
            raise ReleaseError(
                f"{self.root}: {current} was built on recalled days and no other release is left; it stays"
                " current. Correct the days, replay them and run `recsys build`"
            )
        return target

    def _move(self, move: Move, after: str) -> None:
        record_move(
            self.root, RecordedMove(at=self._clock(), move=move, before=self.current_id(), after=after)
        )
