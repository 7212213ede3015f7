"""The releases of one installation: which there are, which is current, and moving between them.

`current` is a text file that holds one id, replaced atomically. `promotions.jsonl` says when it was moved,
where from, where to and why; a line is written before `current` moves, so the log may hold a move that a
crash prevented, and `current` always wins. `recalled.json` holds what was recalled.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final, Literal

import msgspec

from recsys_assets.errors import BrokenReleaseError, ReleaseError
from recsys_assets.release.manifest import MANIFEST_FILE, Manifest, check_sums, read_manifest

CURRENT_FILE: Final = "current"
PROMOTIONS_FILE: Final = "promotions.jsonl"
RECALLED_FILE: Final = "recalled.json"

Move = Literal["promote", "rollback", "recall"]


class Promotion(msgspec.Struct, frozen=True, kw_only=True):
    """One move of `current`."""

    at: datetime
    """When, UTC."""
    move: Move
    """What moved it."""
    before: str | None
    """The id it pointed at, None for the first."""
    after: str
    """The id it points at since."""


class RecalledDay(msgspec.Struct, frozen=True, kw_only=True):
    """A partition that turned out to be bad, in the version that releases were built on."""

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

    releases: list[str]
    """The releases built on the recalled days, newest first."""
    before: str | None
    """What `current` pointed at."""
    current: str | None
    """What it points at now."""


class ReleaseStore:
    """The folder of releases. Readers need no lock; writers are the operator's commands and the build."""

    def __init__(self, root: Path, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """`clock` tells what the log writes as the time."""
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
        if (
            not release_id
            or Path(release_id).name != release_id
            or release_id.startswith(".")
            or not folder.is_dir()
        ):
            known = ", ".join(manifest.release_id for manifest in self.list()[:5]) or "none"
            raise ReleaseError(f"{self.root}: no release {release_id!r}; there are: {known}")
        return folder

    def manifest(self, release_id: str) -> Manifest:
        """The manifest of one release."""
        return read_manifest(self.path(release_id))

    def current_id(self) -> str | None:
        """The id that `current` points at, None before the first promotion."""
        try:
            return (self.root / CURRENT_FILE).read_text(encoding="ascii").strip() or None
        except FileNotFoundError:
            return None

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
        self.refuse_recalled(self.manifest(release_id))
        self._move("promote", release_id)

    def rollback(self) -> str:
        """Point `current` at the release promoted before it; again goes one further back. Returns the id.

        Releases that are gone, broken or recalled are passed over.

        Raises:
            ReleaseError: no earlier release is left.
        """
        target = self._previous()
        if target is None:
            raise ReleaseError(
                f"{self.root}: nothing to roll back to; {self.current_id()} is the only one promoted"
            )
        self._move("rollback", target)
        return target

    def recall(self, days: Iterable[date], *, why: str = "") -> RecallOutcome:
        """Mark days bad, in the versions that releases were built on, and leave every release built on them.

        A release built later on the same version of such a day is refused; the day mended is not. Where
        `current` is one of the releases left, it moves to the one promoted before that is not, else to the
        newest that is not.

        Raises:
            ReleaseError: no release holds any of the days; or none is left to move to (the days are marked
                nevertheless, and `current` stays until there is a better one).
        """
        wanted = set(days)
        manifests = self.list()
        bad = {(day, m.lineage[day]) for m in manifests for day in wanted & m.lineage.keys()}
        if not bad:
            raise ReleaseError(
                f"{self.root}: no release was built on "
                f"{', '.join(map(str, sorted(wanted))) or 'no day'}; nothing to recall"
            )
        now = self._clock()
        known = {(entry.day, entry.checksum): entry for entry in self.recalled_days()}
        for day, checksum in bad:
            known.setdefault((day, checksum), RecalledDay(day=day, checksum=checksum, at=now, why=why))
        _replace(self.root / RECALLED_FILE, msgspec.json.encode([known[key] for key in sorted(known)]))
        left = [m.release_id for m in manifests if not bad.isdisjoint(m.lineage.items())]
        before = self.current_id()
        if before in left:
            good = [m.release_id for m in manifests if not self._is_recalled(m)]
            target = self._previous() or next(iter(good), None)
            if target is None:
                raise ReleaseError(
                    f"{self.root}: {before} was built on recalled days and no other release is left; it stays"
                    " current. Mend the days, replay them and run `recsys build`"
                )
            self._move("recall", target)
        return RecallOutcome(releases=left, before=before, current=self.current_id())

    def recalled_days(self) -> Sequence[RecalledDay]:
        """Everything ever recalled, by day."""
        try:
            return msgspec.json.decode((self.root / RECALLED_FILE).read_bytes(), type=tuple[RecalledDay, ...])
        except FileNotFoundError:
            return ()

    def refuse_recalled(self, manifest: Manifest) -> None:
        """Raise ReleaseError where a release was built on a recalled version of a day."""
        for entry in self.recalled_days():
            if manifest.lineage.get(entry.day) == entry.checksum:
                raise ReleaseError(
                    f"release {manifest.release_id}: built on {entry.day}, recalled {entry.at:%Y-%m-%d %H:%M}"
                    f" UTC ({entry.why or 'no reason given'}); mend that day, replay it and build again"
                )

    def promotions(self) -> Sequence[Promotion]:
        """Every move of `current`, oldest first."""
        try:
            lines = (self.root / PROMOTIONS_FILE).read_bytes().splitlines()
        except FileNotFoundError:
            return []
        found = []
        for line in lines:
            try:
                found.append(msgspec.json.decode(line, type=Promotion))
            except msgspec.DecodeError:
                continue  # half a line, from a crash while it was written: that move did not happen
        return found

    def prune(self, *, keep: int) -> Sequence[str]:
        """Delete all but the `keep` newest releases, never the current nor the one before; return the ids."""
        spared = {self.current_id(), self._previous()}
        old = [m.release_id for m in self.list()[max(0, keep) :] if m.release_id not in spared]
        for release_id in old:
            gone = self.root / f".pruned-{release_id}"
            (self.root / release_id).rename(gone)
            shutil.rmtree(gone)
        return old

    def _previous(self) -> str | None:
        """The release promoted before `current`, of those that can be served."""
        stack: list[str] = []
        for promotion in self.promotions():
            if promotion.move == "promote":
                stack.append(promotion.after)
            else:
                while stack and stack[-1] != promotion.after:
                    stack.pop()
                if not stack:
                    stack.append(promotion.after)
        current = self.current_id()
        while current in stack and stack.pop() != current:
            pass
        servable = {m.release_id for m in self.list() if not self._is_recalled(m)} - {current}
        return next((release_id for release_id in reversed(stack) if release_id in servable), None)

    def _is_recalled(self, manifest: Manifest) -> bool:
        return any(manifest.lineage.get(entry.day) == entry.checksum for entry in self.recalled_days())

    def _move(self, move: Move, after: str) -> None:
        promotion = Promotion(at=self._clock(), move=move, before=self.current_id(), after=after)
        log = self.root / PROMOTIONS_FILE
        unended = log.is_file() and not log.read_bytes().endswith(b"\n") and log.stat().st_size > 0
        with log.open("ab") as file:
            file.write(b"\n" * unended + msgspec.json.encode(promotion) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        _replace(self.root / CURRENT_FILE, after.encode("ascii") + b"\n")


def _replace(path: Path, content: bytes) -> None:
    """Put `content` into `path`: a reader sees the old or the new, also after a power cut."""
    staged = path.with_name(f".{path.name}.staged")
    with staged.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    staged.replace(path)
