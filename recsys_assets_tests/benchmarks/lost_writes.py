"""The trees that a power cut can leave behind, built from a record of `file_faults.c`.

A file has the writes that the system took, and those of them that were on the disk when a sync of it returned. A
folder has names, and those that were there when a sync of it returned. A cut at any place of the record keeps what was
synced; what was not is lost, or there in part, as `Cut` says.
"""

import random
import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import NamedTuple

_HEADER = struct.Struct("8sQQIII4x")
_PAGE = 512
"""Bytes that a disk writes whole or not at all."""


class Cut(Enum):
    """The ways in which a power cut loses whatever was not synced."""

    DROPPED = "nothing of it is there"
    NAMED = "the names are there, the files are empty or as they were"
    ZEROS = "the names and lengths are there, what was written is zeros"
    HALF = "the names are there, and the first half of the writes, the last of them torn"
    SOME = "some names and some writes are there"


class Record(NamedTuple):
    """One change or sync that succeeded."""

    what: str
    inode: int
    offset: int
    path: str
    other: str
    data: bytes


def read_records(log: Path) -> Iterator[Record]:
    """Yield what `FileShim.recording` wrote."""
    content, at = log.read_bytes(), 0
    while at < len(content):
        what, inode, offset, path, other, data = _HEADER.unpack_from(content, at)
        at += _HEADER.size
        parts = []
        for length in (path, other, data):
            parts.append(content[at : at + length])
            at += length
        yield Record(
            what.rstrip(b"\0").decode(), inode, offset, parts[0].decode(), parts[1].decode(), parts[2]
        )


@dataclass(eq=False)
class LostFile:
    """The content of a file: on the disk, and the changes since."""

    kept: bytes = b""
    changes: list[Record] = field(default_factory=list)

    def synced(self) -> None:
        self.kept = self.content(len(self.changes))
        self.changes.clear()

    def content(self, count: int, *, zeros: bool = False, torn: bool = False) -> bytes:
        """Return the content with the first changes; the last of them only in part where `torn`."""
        return _changed(self.kept, self.changes[:count], zeros=zeros, torn=torn)

    def after(self, cut: Cut, chance: random.Random) -> bytes:
        match cut:
            case Cut.DROPPED | Cut.NAMED:
                return self.kept
            case Cut.ZEROS:
                return self.content(len(self.changes), zeros=True)
            case Cut.HALF:
                return self.content((len(self.changes) + 1) // 2, torn=True)
            case Cut.SOME:
                return _changed(self.kept, [change for change in self.changes if chance.random() < 0.5])


def _changed(content: bytes, changes: list[Record], *, zeros: bool = False, torn: bool = False) -> bytes:
    found = bytearray(content)
    for place, change in enumerate(changes):
        if change.what == "content":
            found[:] = bytes(len(change.data)) if zeros else change.data
            continue
        end = change.offset + len(change.data)
        if len(found) < end or change.what == "size":
            found[end:] = b""
            found.extend(bytes(end - len(found)))
        if change.what == "write" and not zeros:
            data = change.data
            if torn and place == len(changes) - 1:
                data = data[: len(data) // 2 // _PAGE * _PAGE]
            found[change.offset : change.offset + len(data)] = data
    return bytes(found)


@dataclass(eq=False)
class LostFolder:
    """The names in a folder: now, and on the disk."""

    now: dict[str, "Node"] = field(default_factory=dict)
    kept: dict[str, "Node"] = field(default_factory=dict)


class LostLink(NamedTuple):
    """A symbolic link."""

    target: str


Node = LostFile | LostFolder | LostLink


class LostDisk:
    """A tree as the system sees it, and as a power cut would leave it."""

    def __init__(self, root: Path) -> None:
        """Take the tree under `root`; all of it is on the disk."""
        self._root = root.resolve()
        self._files: dict[int, LostFile] = {}
        self._top = self._taken(self._root)

    def apply(self, *records: Record) -> None:
        """Take records, in their order."""
        for record in records:
            self._apply(record)

    def unlike(self, place: Path) -> list[str]:
        """Return the files of a real tree whose content is not as the records say."""
        found = {str(path.relative_to(place)): path for path in place.rglob("*") if path.is_file()}
        known = dict(self._contents(self._top, ""))
        names = {name for name in found.keys() | known.keys() if not name.endswith("-shm")}
        return sorted(
            name
            for name in names
            if name not in found or name not in known or found[name].read_bytes() != known[name]
        )

    def _contents(self, folder: LostFolder, prefix: str) -> Iterator[tuple[str, bytes]]:
        for name, node in folder.now.items():
            if isinstance(node, LostFolder):
                yield from self._contents(node, f"{prefix}{name}/")
            elif isinstance(node, LostFile):
                yield f"{prefix}{name}", node.content(len(node.changes))

    def _apply(self, record: Record) -> None:
        match record.what:
            case "create":
                self._files[record.inode] = LostFile()
                self._put(record.path, self._files[record.inode])
            case "write" | "size" | "content":
                self._file(record.inode).changes.append(record)
            case "sync":
                self._file(record.inode).synced()
            case "syncdir":
                folder = self._find(record.path)
                folder.kept = dict(folder.now)
            case "mkdir":
                self._put(record.path, LostFolder())
            case "symlink":
                self._put(record.path, LostLink(record.other))
            case "link":
                self._put(record.path, self._find(record.other))
            case "unlink":
                folder, name = self._parent(record.path)
                del folder.now[name]
            case "rename":
                folder, name = self._parent(record.path)
                self._put(record.other, folder.now.pop(name))

    def leave(self, cut: Cut, *, seed: int = 0) -> None:
        """Replace the tree under the root by that after a power cut."""
        chance = random.Random(seed)
        for child in self._root.iterdir():
            shutil.rmtree(child) if child.is_dir() and not child.is_symlink() else child.unlink()
        self._write(self._top, self._root, cut, chance)

    def _write(self, folder: LostFolder, place: Path, cut: Cut, chance: random.Random) -> None:
        names = dict(folder.kept if cut in {Cut.DROPPED, Cut.SOME} else folder.now)
        if cut is Cut.SOME:
            for name in sorted(folder.kept.keys() | folder.now.keys()):
                node = chance.choice((folder.kept.get(name), folder.now.get(name)))
                names.pop(name, None)
                if node is not None:
                    names[name] = node
        for name, node in names.items():
            path = place / name
            match node:
                case LostFolder():
                    path.mkdir()
                    self._write(node, path, cut, chance)
                case LostLink():
                    path.symlink_to(node.target)
                case _:
                    path.write_bytes(node.after(cut, chance))

    def _taken(self, place: Path) -> LostFolder:
        folder = LostFolder()
        for child in place.iterdir():
            if child.is_symlink():
                folder.now[child.name] = LostLink(str(child.readlink()))
            elif child.is_dir():
                folder.now[child.name] = self._taken(child)
            else:
                inode = child.stat().st_ino
                folder.now[child.name] = self._files.setdefault(inode, LostFile(child.read_bytes()))
        folder.kept = dict(folder.now)
        return folder

    def _file(self, inode: int) -> LostFile:
        return self._files.setdefault(inode, LostFile())

    def _find(self, path: str) -> Node:
        node: Node = self._top
        for name in Path(path).relative_to(self._root).parts:
            node = node.now[name]
        return node

    def _parent(self, path: str) -> tuple[LostFolder, str]:
        found = Path(path)
        return self._find(str(found.parent)), found.name

    def _put(self, path: str, node: Node) -> None:
        folder, name = self._parent(path)
        folder.now[name] = node
