"""A lock between processes that goes with the process that holds it, however that ends."""

import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import msgspec

from recsys_assets.errors import BrokenReleaseError, ReleaseError
from recsys_assets.release.current import Move, Promotion, earlier, read_current, read_promotions, record_move
from recsys_assets.release.manifest import MANIFEST_FILE, STAMPS, Manifest, check_sums, read_manifest
from recsys_assets.storage.atomic import replace_file
from recsys_assets.storage.locks import locked

PUBLISHING: Final = ".publishing.lock"
"""Held while a release is put together or deleted."""
MOVING: Final = ".moving.lock"
"""Held while `current` is moved. Taken after PUBLISHING where both are needed."""


RECALLED_FILE: Final = "recalled.json"


class RecalledDay(msgspec.Struct, frozen=True, kw_only=True):
    """A partition that turned out to be bad, in a version that a release was built on."""

    day: date
    """Its day."""
    checksum: str
    """The bad version; the day mended and replayed has another."""
    at: datetime
    """When it was recalled, UTC."""
    why: str
    """What is wrong with it."""


@dataclass(frozen=True, kw_only=True)
class RecallOutcome:
    """What a recall did."""

    releases: Sequence[str]
    """The releases built on the recalled days, newest first."""
    before: str | None
    """What `current` pointed at."""
    current: str | None
    """What it points at now."""


class ReleaseStore:
    """The folder of releases. Reading needs no lock; what moves `current` or deletes takes one."""

    def __init__(self, root: Path, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """`clock` tells what is logged as the time."""
        self.root = root
        self._clock = clock

    def list(self) -> Sequence[Manifest]:
        """The manifests of all readable releases, newest first."""
        manifests = []
        for path in self.root.glob(f"*/{MANIFEST_FILE}"):
            if path.parent.name.startswith("."):
                continue
            try:
                manifests.append(read_manifest(path.parent))
            except BrokenReleaseError:
                continue  # `verify` says what is wrong with it; one broken release must not hide the others
        return sorted(
            manifests, key=lambda manifest: (manifest.created_at, manifest.release_id), reverse=True
        )

    def path(self, release_id: str) -> Path:
        """The release's folder.

        Raises:
            ReleaseError: there is none of that id.
        """
        folder = self.root / release_id
        plain = release_id and not release_id.startswith(".") and Path(release_id).name == release_id
        if not plain or "\0" in release_id or not folder.is_dir():
            known = ", ".join(manifest.release_id for manifest in self.list()[:5]) or "none"
            raise ReleaseError(f"{self.root}: no release {release_id!r}; there are: {known}")
        return folder

    def manifest(self, release_id: str) -> Manifest:
        """The manifest of one release."""
        return read_manifest(self.path(release_id))

    def current_id(self) -> str | None:
        """The id that `current` points at, None before the first promotion."""
        return read_current(self.root)

    def promotions(self) -> Sequence[Promotion]:
        """Every move of `current`, oldest first."""
        return read_promotions(self.root)

    def previous_id(self) -> str | None:
        """What `rollback` would go to, None where nothing is left."""
        servable = {manifest.release_id for manifest in self.list() if not self._recalled(manifest)}
        return next(
            (found for found in earlier(self.promotions(), self.current_id()) if found in servable), None
        )

    def verify(self, release_id: str) -> Manifest:
        """Read the whole release and compare every checksum.

        Raises:
            ReleaseError: there is none of that id.
            BrokenReleaseError: names each wrong file, with the checksum expected and found.
        """
        folder = self.path(release_id)
        manifest = read_manifest(folder)
        check_sums(folder, manifest)
        return manifest

    def promote(self, release_id: str) -> None:
        """Point `current` at a release.

        Raises:
            ReleaseError: there is none of that id, or it was built on recalled days.
            BrokenReleaseError: its manifest cannot be read.
        """
        with locked(self.root / MOVING):
            self.refuse_recalled(self.manifest(release_id))
            self._move("promote", release_id)

    def rollback(self) -> str:
        """Point `current` at the release promoted before it, and return its id; again goes one further back.

        Releases that are gone, unreadable or recalled are passed over.

        Raises:
            ReleaseError: no earlier release is left.
        """
        with locked(self.root / MOVING):
            target = self.previous_id()
            if target is None:
                raise ReleaseError(
                    f"{self.root}: nothing to roll back to from {self.current_id()};"
                    " `recsys build` makes a release"
                )
            self._move("rollback", target)
        return target

    def recall(self, days: Iterable[date], *, why: str = "") -> RecallOutcome:
        """Mark days bad, in the versions that releases were built on, and leave every release built on them.

        A release built later on the same version of such a day is refused; the day mended is not. Where
        `current` is one of those left, it moves to the nearest one promoted before that is not, else to the
        newest that is not.

        Raises:
            ReleaseError: no release holds any of the days; or none is left to move to (the days are marked
                nevertheless, and `current` stays until there is a better one).
        """
        wanted = set(days)
        with locked(self.root / MOVING):
            manifests = self.list()
            bad = {(day, m.lineage[day]) for m in manifests for day in wanted & m.lineage.keys()}
            if not bad:
                named = ", ".join(map(str, sorted(wanted))) or "no day"
                raise ReleaseError(f"{self.root}: no release was built on {named}; nothing to recall")
            self._mark(bad, why)
            left = [m.release_id for m in manifests if not bad.isdisjoint(m.lineage.items())]
            before = self.current_id()
            if before in left:
                self._move("recall", self._refuge(manifests, before))
        return RecallOutcome(releases=left, before=before, current=self.current_id())

    def recalled_days(self) -> Sequence[RecalledDay]:
        """Everything ever recalled, by day."""
        try:
            return msgspec.json.decode((self.root / RECALLED_FILE).read_bytes(), type=tuple[RecalledDay, ...])
        except FileNotFoundError:
            return ()

    def refuse_recalled(self, manifest: Manifest) -> None:
        """Raise ReleaseError where a release was built on a recalled version of a day."""
        for entry in self._recalled(manifest):
            raise ReleaseError(
                f"release {manifest.release_id}: built on {entry.day}, recalled {entry.at:%Y-%m-%d %H:%M} UTC"
                f" ({entry.why or 'no reason given'}); mend that day, replay it and build again"
            )

    def prune(self, *, keep: int) -> Sequence[str]:
        """Delete all but the `keep` newest releases, never the current nor the one before; return the ids."""
        with locked(self.root / PUBLISHING), locked(self.root / MOVING):
            spared = {self.current_id(), self.previous_id()}
            old = [m.release_id for m in self.list()[max(0, keep) :] if m.release_id not in spared]
            for left_over in self.root.glob(".pruned-*"):
                shutil.rmtree(left_over)
            for release_id in old:
                gone = self.root / f".pruned-{release_id}"
                (self.root / release_id).rename(gone)
                shutil.rmtree(gone)
                (self.root / STAMPS / f"{release_id}.json").unlink(missing_ok=True)
        return old

    def _recalled(self, manifest: Manifest) -> Sequence[RecalledDay]:
        return [entry for entry in self.recalled_days() if manifest.lineage.get(entry.day) == entry.checksum]

    def _mark(self, bad: Iterable[tuple[date, str]], why: str) -> None:
        known = {(entry.day, entry.checksum): entry for entry in self.recalled_days()}
        now = self._clock()
        for day, checksum in bad:
            known.setdefault((day, checksum), RecalledDay(day=day, checksum=checksum, at=now, why=why))
        replace_file(self.root / RECALLED_FILE, msgspec.json.encode([known[key] for key in sorted(known)]))

    def _refuge(self, manifests: Iterable[Manifest], current: str | None) -> str:
        good = (manifest.release_id for manifest in manifests if not self._recalled(manifest))
        target = self.previous_id() or next(good, None)
        if target is None:
            raise ReleaseError(
                f"{self.root}: {current} was built on recalled days and no other release is left; it stays"
                " current. Mend the days, replay them and run `recsys build`"
            )
        return target

    def _move(self, move: Move, after: str) -> None:
        record_move(self.root, Promotion(at=self._clock(), move=move, before=self.current_id(), after=after))
