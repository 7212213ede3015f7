"""Earlier versions of the days of a table, and the time at which each version landed: what was known when.

A file's own time is lost when a home is copied, so landings are lines of a journal. An earlier version's file is named
by the times at which it landed and was replaced and by its checksum, in a folder a day, so that one day's versions can
be removed or rewritten by themselves.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from shutil import copyfile
from typing import Final

import msgspec

from recsys_assets.errors import VersionGoneError
from recsys_assets.storage.atomic import (
    make_folder,
    named,
    put_in_place,
    remove_file,
    remove_folder,
    replace_file,
    staging_path,
    sync,
)
from recsys_assets.storage.day_folders import day_folder, days_under
from recsys_assets.storage.day_journal import DayFile
from recsys_assets.storage.line_log import read_records

LANDINGS: Final = "landings.jsonl"
"""One line a landing, in the order in which they happened; the order counts where a clock was set back."""
_TIME: Final = "%Y%m%dT%H%M%S%fZ"
_SUFFIX: Final = ".parquet"


class _Landing(msgspec.Struct, frozen=True, array_like=True):
    """A day's file came, or was taken away: the checksum is empty then."""

    day: date
    at: datetime
    checksum: str


@dataclass(frozen=True, kw_only=True)
class DayVersion:
    """An earlier version of a day."""

    day: date
    """The partition."""
    landed_at: datetime
    """UTC."""
    replaced_at: datetime
    """UTC."""
    checksum: str
    """SHA-256 of the file, hexadecimal."""
    path: Path
    """The file."""


@dataclass(frozen=True, kw_only=True)
class DayVersions:
    """The versions of the days of one table: `<root>/date=YYYY-MM-DD/<landed>-<replaced>-<checksum>.parquet`."""

    root: Path
    """Folder of the versions; created with the first landing."""
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    """The clock."""

    def keep(self, day: date, file: Path, known: DayFile) -> None:
        """Keep a day's file, which is about to be replaced or removed; a broken one is not worth it.

        Args:
            day: the partition.
            file: its file.
            known: the entry of the file in the table's journal.
        """
        if known.rows is None:
            return
        landed_at = self._noted.get((day, known.checksum)) or _written_at(known)
        name = f"{landed_at:{_TIME}}-{self.now().astimezone(UTC):{_TIME}}-{known.checksum}{_SUFFIX}"
        target = day_folder(self.root, day) / name
        make_folder(target.parent)
        try:
            os.link(file, target)
        except FileExistsError:
            return
        except OSError:  # a file system without links
            copyfile(file, staging_path(target))
            put_in_place(staging_path(target), target)
            return
        sync(target.parent)

    def landed(self, day: date, checksum: str) -> None:
        """Note that a day's file is another one now; `settle` makes it durable.

        Args:
            day: the partition.
            checksum: SHA-256 of the file; empty where it was taken away.
        """
        make_folder(self.root)
        landing = _Landing(day, self.now().astimezone(UTC), checksum)
        journal = self.root / LANDINGS
        with named(journal), journal.open("ab", buffering=0) as file:
            file.write(b"\n" + msgspec.json.encode(landing))  # the line before may be unfinished
        self._noted[day, checksum] = landing.at

    def settle(self) -> None:
        """Wait until the landings noted are on the disk."""
        if (self.root / LANDINGS).exists():
            sync(self.root / LANDINGS)

    def of_day(self, day: date) -> list[DayVersion]:
        """Return the earlier versions of a day that are kept, in the order of their landing."""
        folder = day_folder(self.root, day)
        files = sorted(folder.glob(f"[0-9]*{_SUFFIX}")) if folder.is_dir() else []
        return [_version(day, file) for file in files]

    def every(self) -> list[DayVersion]:
        """Return all versions that are kept, by day."""
        return [version for day in days_under(self.root) for version in self.of_day(day)]

    def remove(self, version: DayVersion) -> None:
        """Delete a version; the folder of a day goes with its last one."""
        version.path.unlink(missing_ok=True)
        sync(version.path.parent)
        if not any(version.path.parent.iterdir()):
            remove_folder(version.path.parent)

    def rewrite(self, version: DayVersion, content: bytes) -> None:
        """Replace a version's file by one with other bytes, which landed and was replaced when it was."""
        name = version.path.name.replace(version.checksum, hashlib.sha256(content).hexdigest())
        replace_file(version.path.with_name(name), content)
        remove_file(version.path)

    def rename(self, checksums: Mapping[tuple[date, str], str]) -> None:
        """Note that files were rewritten: landings name the new checksums from now on.

        Args:
            checksums: day and checksum before -> checksum now.
        """
        journal = self.root / LANDINGS
        landings = self._landings()
        if not any((one.day, one.checksum) in checksums for one in landings):
            return
        now = (
            _Landing(one.day, one.at, checksums.get((one.day, one.checksum), one.checksum))
            for one in landings
        )
        replace_file(journal, b"".join(msgspec.json.encode(one) + b"\n" for one in now))
        vars(self).pop("_noted", None)

    def known_at(
        self, at: datetime, files: dict[date, DayFile], place: Callable[[date], Path]
    ) -> dict[date, Path]:
        """Return day -> the file that had landed by a time, of each day that the table had then.

        Args:
            at: the time, UTC.
            files: the table's files now.
            place: returns the path of a day's file now.

        Raises:
            VersionGoneError: the version of a day is not kept any more.
        """
        landings: dict[date, list[_Landing]] = {}
        for landing in self._landings():
            landings.setdefault(landing.day, []).append(landing)
        found = {}
        for day in sorted({*files, *landings, *days_under(self.root)}):
            now, kept = files.get(day), {one.checksum: one for one in self.of_day(day)}
            order = _in_order(landings.get(day, []), list(kept.values()), now)
            then = next((one.checksum for one in reversed(order) if one.at <= at), "")
            if not then:
                continue
            if now is not None and then == now.checksum:
                found[day] = place(day)
            elif then in kept:
                found[day] = kept[then].path
            else:
                raise VersionGoneError(
                    f"{self.root}: the rows of {day} that were known at {at:%Y-%m-%d %H:%M:%S} are not kept any "
                    "more; give a later time, and raise [retention] version_days to keep such versions longer"
                )
        return found

    @cached_property
    def _noted(self) -> dict[tuple[date, str], datetime]:
        """Day and checksum -> when it landed last; read once, since a range of days is replaced day by day."""
        return {(one.day, one.checksum): one.at for one in self._landings()}

    def _landings(self) -> list[_Landing]:
        return read_records(self.root / LANDINGS, _Landing)


def _in_order(landings: list[_Landing], kept: list[DayVersion], now: DayFile | None) -> list[_Landing]:
    """Return the landings of a day, oldest first; those before there was a journal by the files' own times."""
    noted = {landing.checksum for landing in landings}
    older = [_Landing(one.day, one.landed_at, one.checksum) for one in kept if one.checksum not in noted]
    if now is None or now.checksum in noted:
        return [*older, *landings]
    # written by a process that ended before it noted it, or by an earlier version of this package
    own = _Landing(now.day, _written_at(now), now.checksum)
    return [*older, *landings, own] if landings else [*older, own]


def _written_at(file: DayFile) -> datetime:
    return datetime.fromtimestamp(file.state[1] / 1e9, UTC)


def _version(day: date, file: Path) -> DayVersion:
    landed, replaced, checksum = file.name.removesuffix(_SUFFIX).split("-")
    landed_at, replaced_at = (
        datetime.strptime(text, _TIME).replace(tzinfo=UTC) for text in (landed, replaced)
    )
    return DayVersion(day=day, landed_at=landed_at, replaced_at=replaced_at, checksum=checksum, path=file)
