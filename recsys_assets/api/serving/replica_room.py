"""The disk of a replica's cache: the current release and the one before, and no more bytes than it may have."""

import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Final

from recsys_assets.errors import ReleaseError
from recsys_assets.release.current import earlier
from recsys_assets.release.current_object import CurrentRecord, read_current_or_none
from recsys_assets.release.manifest import Manifest
from recsys_assets.storage.atomic import remove_folder

_SERVED_SECONDS: Final = 30.0
"""Time for which workers may still open files of a release that was replaced."""


class ReplicaRoom:
    """The releases of one cache."""

    def __init__(
        self, releases: Path, most_bytes: int | None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Take the folder of releases, and the most bytes of all of them; None for no bound."""
        self._releases, self._most_bytes, self._clock = releases, most_bytes, clock
        self._moved_at = -float("inf")

    def moved(self) -> None:
        """Note that `current` has just moved: the release before is still served for a while."""
        self._moved_at = self._clock()

    def make(self, manifest: Manifest, *, needed: Collection[str] = ()) -> None:
        """Remove releases where the next one needs their room; those `needed` stay.

        Raises:
            ReleaseError: the next release and those that are still served have more bytes than the cache may have.
        """
        if self._most_bytes is None:
            return
        wanted = sum(entry.bytes for entry in manifest.files.values())
        current = read_current_or_none(self._releases)
        if self._is_settled() and self._bytes(but=manifest.release_id) + wanted > self._most_bytes:
            self._remove(keep=[current, manifest.release_id, *needed])
        have = self._bytes(but=manifest.release_id)
        if have + wanted > self._most_bytes:
            raise ReleaseError(
                f"it has {wanted:,} bytes beside {have:,} of others, and --cache-gb allows {self._most_bytes:,};"
                " allow more"
            )

    def tidy(self, record: CurrentRecord, *, needed: Collection[str] = ()) -> None:
        """Remove all but the current release, those `needed`, and the one before, where there is room for it."""
        if not self._is_settled():
            return
        steps = earlier(record.moves, record.release)
        before = [step for step in steps if (self._releases / step).is_dir()][:1]
        self._remove(keep=[record.release, *before, *needed])
        if self._most_bytes is not None and self._bytes(but="") > self._most_bytes:
            self._remove(keep=[record.release, *needed])

    def _is_settled(self) -> bool:
        return self._clock() - self._moved_at >= _SERVED_SECONDS

    def _folders(self) -> Sequence[Path]:
        if not self._releases.is_dir():
            return []
        found = self._releases.iterdir()
        return [folder for folder in found if folder.is_dir() and not folder.name.startswith(".")]

    def _bytes(self, *, but: str) -> int:
        folders = (folder for folder in self._folders() if folder.name != but)
        return sum(file.stat().st_size for folder in folders for file in folder.rglob("*") if file.is_file())

    def _remove(self, *, keep: Sequence[str | None]) -> None:
        for folder in self._folders():
            if folder.name not in keep:
                remove_folder(folder, hidden=folder.with_name(f".pruned-{folder.name}"))
