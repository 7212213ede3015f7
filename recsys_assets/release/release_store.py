"""The folder of releases: list, verify, promote, roll back, recall and prune them.

Nothing becomes current unchecked: a release is read whole first, its manifest compared with its id, and its lists made.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from recsys_assets.errors import BrokenReleaseError, ReleaseError
from recsys_assets.release.current import (
    Move,
    RecalledDay,
    RecordedMove,
    check_not_recalled,
    earlier,
    read_current,
    read_promotions,
    record_move,
    record_recalled,
)
from recsys_assets.release.gate_report import check_gate, report_file
from recsys_assets.release.load import load_release
from recsys_assets.release.manifest import (
    STAMPS,
    Manifest,
    check_identity,
    check_sizes,
    check_sums,
    check_sums_once,
    read_manifest,
)
from recsys_assets.release.promotion_checks import check_lists, check_source, source_of
from recsys_assets.release.recalls import RecallOutcome
from recsys_assets.release.rewritten import Rewritten
from recsys_assets.storage.atomic import remove_folder
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import locked

PUBLISHING: Final = ".publishing.lock"
"""Lock file held while a release is published or deleted."""
MOVING: Final = ".moving.lock"
"""Lock file held while `current` is moved; taken after PUBLISHING where both are needed."""


class ReleaseStore:
    """The folder of releases. Reading takes no lock; moving `current` and deleting do."""

    def __init__(self, root: Path, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Open the folder `root`, which may not exist; `clock` returns the time to log."""
        self.root = root
        self._clock = clock

    def list(self) -> Sequence[Manifest]:
        """Return the manifests of all readable releases, the last published first; their clock does not count."""
        found = [one for one in self._folders().values() if isinstance(one, Manifest)]
        return sorted(found, key=lambda one: (one.sequence, one.created_at, one.release_id), reverse=True)

    def unreadable(self) -> Mapping[str, str]:
        """Return name -> reason of each folder that is no release which this version can read."""
        return {
            name: str(found) for name, found in self._folders().items() if not isinstance(found, Manifest)
        }

    def _folders(self) -> Mapping[str, Manifest | BrokenReleaseError]:
        """Return the manifest of each folder, by its name, or why there is none."""
        found: dict[str, Manifest | BrokenReleaseError] = {}
        for folder in sorted(self.root.iterdir()) if self.root.is_dir() else ():
            if folder.name.startswith(".") or not folder.is_dir():
                continue
            try:
                manifest = read_manifest(folder)
            except BrokenReleaseError as error:  # one broken release must not hide the others
                found[folder.name] = error
                continue
            if manifest.release_id == folder.name:
                found[folder.name] = manifest
            else:
                found[folder.name] = BrokenReleaseError(
                    f"{folder}: holds release {manifest.release_id}; rename or remove the folder"
                )
        return found

    def path(self, release_id: str) -> Path:
        """Return the folder of a release.

        Raises:
            ReleaseError: no release has that id.
        """
        folder = self.root / release_id
        plain = release_id and not release_id.startswith(".") and Path(release_id).name == release_id
        if not plain or "\0" in release_id or not folder.is_dir():
            known = ", ".join(manifest.release_id for manifest in self.list()[:5]) or "none"
            newest = Rewritten.load(self.root).newest(release_id)
            since = "" if newest == release_id else f" (it is {newest} since users were forgotten in it)"
            raise ReleaseError(f"{self.root}: no release {release_id!r}{since}; there are: {known}")
        return folder

    def manifest(self, release_id: str) -> Manifest:
        """Return the manifest of a release; errors as in `path` and `read_manifest`."""
        return read_manifest(self.path(release_id))

    def current_id(self) -> str | None:
        """Return the id that `current` points at, None before the first promotion.

        Raises:
            BrokenReleaseError: `current` holds no id.
        """
        return read_current(self.root)

    def is_current(self, release_id: str) -> bool:
        """Return True where `current` points at this release, False too where it holds no id."""
        try:
            return self.current_id() == release_id
        except BrokenReleaseError:
            return False

    def served_id(self) -> str | None:
        """Return the id that `current` points at; where it is missing or damaged, the end of the last move."""
        try:
            current = self.current_id()
        except BrokenReleaseError:
            current = None
        moves = self.promotions()
        return current or (moves[-1].after if moves else None)

    def promotions(self) -> Sequence[RecordedMove]:
        """Return every move of `current`, oldest first."""
        return read_promotions(self.root)

    def previous_id(self) -> str | None:
        """Return the id that `rollback` would go to, None if no earlier release is left."""
        steps = earlier(self.promotions(), self.served_id())
        return next((release_id for release_id in steps if self.fault(release_id) is None), None)

    def fault(self, release_id: str, *, read: bool = True) -> str | None:
        """Return why a release cannot be served: gone, damaged, edited, recalled or kept back by the gate, else None.

        `read` compares the checksums of files that were never verified or have changed since, else their sizes only.
        """
        try:
            folder, manifest = self.root / release_id, self.manifest(release_id)
            check_identity(folder, manifest)
            (check_sums_once if read else check_sizes)(folder, manifest)
            check_not_recalled(self.root, manifest)
            check_gate(self.root, release_id, served_counts=True)
        except ReleaseError as error:
            return str(error)
        return None

    def verify(self, release_id: str) -> Manifest:
        """Read the whole release, compare its id and every checksum, and return its manifest.

        Raises:
            ReleaseError: no release has that id.
            BrokenReleaseError: names each file that differs, with the checksums expected and found.
        """
        folder = self.path(release_id)
        manifest = read_manifest(folder)
        check_identity(folder, manifest)
        check_sums(folder, manifest)
        return manifest

    def promote(self, release_id: str, *, who: str = "", why: str = "", force: bool = False) -> None:
        """Check a release whole, and point `current` at it; who did it and why is kept on record.

        `force` promotes one that did not pass the gate too; it needs a reason.

        Raises:
            ReleaseError: no release has that id, it did not pass the gate, it was built on recalled days, or from
                another source than the home's.
            BrokenReleaseError: a file is damaged, the manifest was edited, or its lists break their rules.
        """
        if force and not why.strip():
            raise ReleaseError(f"release {release_id}: to force it give a reason, --why TEXT")
        if not force:
            check_gate(self.root, self.path(release_id).name)
        manifest = self.verify(release_id)  # before the lock is taken: a rollback need not wait for it
        check_source(manifest, Home(self.root.parent))
        check_lists(load_release(self.root / release_id, verify=False))
        with locked(self.root / MOVING):
            manifest = self.manifest(release_id)  # it may have been replaced or recalled meanwhile
            check_identity(self.root / release_id, manifest)
            check_sizes(self.root / release_id, manifest)
            check_not_recalled(self.root, manifest)
            self._move("promote", release_id, who=who, why=why)

    def rollback(self, *, who: str = "", why: str = "") -> str:
        """Point `current` at the release that was served before it, and return its id.

        Each call goes one step further back. Releases that are gone, damaged or recalled are skipped. `who` and `why`
        are kept on record.

        Raises:
            ReleaseError: no earlier release is left; the message says why others were skipped.
        """
        with locked(self.root / MOVING):
            target = self.previous_id()
            if target is None:
                current = self.served_id()
                skipped = [self.fault(release_id) for release_id in earlier(self.promotions(), current)]
                nothing = f"{self.root}: nothing to roll back to from {current}; run `recsys build` for a new release"
                raise ReleaseError("\n".join([nothing, *(f"skipped: {fault}" for fault in skipped)]))
            self._move("rollback", target, who=who, why=why)
        return target

    def recall(
        self,
        days: Iterable[date],
        *,
        why: str = "",
        who: str = "",
        at: datetime | None = None,
        landed: Iterable[RecalledDay] = (),
    ) -> RecallOutcome:
        """Record days as bad, in the versions that releases were built on; no release built on them is served.

        A later release built on the same version of such a day is rejected, one built on the corrected day is
        not. If `current` is built on a recalled version, or its manifest does not show that, it moves to the newest
        whole release of the same source that is not; where there is none it stays.

        Args:
            days: UTC days.
            why: the reason, for messages.
            who: login or name of an API key, for the record.
            at: time of the recall, UTC; None for now.
            landed: versions in the lake, which are recorded too though no release was built on them.

        Raises:
            ReleaseError: no release was built on any of the days, and `landed` has none.
        """
        wanted, when = set(days), at or self._clock()
        with locked(self.root / MOVING):
            manifests = self.list()
            built_on = {(day, m.lineage[day]) for m in manifests for day in wanted & m.lineage.keys()}
            bad = {(one.day, one.checksum): one for one in landed}
            for day, checksum in built_on - bad.keys():
                bad[day, checksum] = RecalledDay(day=day, checksum=checksum, at=when, why=why, who=who)
            if not bad:
                named = ", ".join(map(str, sorted(wanted))) or "no day"
                raise ReleaseError(f"{self.root}: no release was built on {named}; nothing to recall")
            record_recalled(self.root, bad.values())
            affected = [m.release_id for m in manifests if not built_on.isdisjoint(m.lineage.items())]
            before = self.served_id()
            if before in affected or (before is not None and self._is_edited(before)):
                target = self._recall_target(manifests, before)
                if target is not None:
                    self._move("recall", target, who=who, why=why)
            current = self.served_id()
        return RecallOutcome(releases=affected, before=before, current=current)

    def _is_edited(self, release_id: str) -> bool:
        """Return True where the manifest cannot be trusted to name the days that the release was built on."""
        try:
            check_identity(self.root / release_id, self.manifest(release_id))
        except ReleaseError:
            return True
        return False

    def _recall_target(self, manifests: Iterable[Manifest], left: str) -> str | None:
        """Return the newest release of the same source that can be served instead of the one left; None for none."""
        sources = {source_of(manifest) for manifest in manifests if manifest.release_id == left}
        for manifest in manifests:
            if manifest.release_id == left or (sources and source_of(manifest) not in sources):
                continue
            if self.fault(manifest.release_id) is not None:
                continue
            try:
                check_lists(load_release(self.root / manifest.release_id, verify=False))
            except ReleaseError:
                continue
            return manifest.release_id
        return None

    def prune(self, *, keep: int, needed: Collection[str] = ()) -> Sequence[str]:
        """Delete all but the `keep` newest releases, and return their ids.

        The current release, the one to roll back to and those `needed` are always kept.
        """
        with locked(self.root / PUBLISHING), locked(self.root / MOVING):
            old = self.superseded(keep=keep, needed=needed)
            for left_over in self.root.glob(".pruned-*"):
                remove_folder(left_over)
            for release_id in old:
                remove_folder(self.root / release_id, hidden=self.root / f".pruned-{release_id}")
                (self.root / STAMPS / f"{release_id}.json").unlink(missing_ok=True)
                report_file(self.root, release_id).unlink(missing_ok=True)
        return old

    def superseded(self, *, keep: int, needed: Collection[str] = ()) -> Sequence[str]:
        """Return the ids of the releases that `prune` would delete."""
        kept = {self.served_id(), self.previous_id(), *needed}
        return [m.release_id for m in self.list()[max(0, keep) :] if m.release_id not in kept]

    def _move(self, move: Move, after: str, *, who: str, why: str) -> None:
        recorded = RecordedMove(
            at=self._clock(), move=move, before=self.served_id(), after=after, who=who, why=why
        )
        record_move(self.root, recorded)
