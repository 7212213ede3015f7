"""The record of an artifact: the fingerprint that it was made from, and size, time and checksum of each of its files.

It is a small `.inputs` file beside the artifact, written when that is finished. An artifact that differs from its
record is damaged, and so it is built again.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import copyfile, rmtree
from typing import Any, Final

import msgspec

from recsys_assets.release.manifest import sha256
from recsys_assets.storage.atomic import remove_file, replace_file, replaced_file

RECORD_SUFFIX: Final = ".inputs"
_FORMER_NOTE: Final = re.compile(rb"[0-9a-f]{20}")
"""The record of an artifact in an earlier version: the fingerprint alone."""


class _MadeFile(msgspec.Struct, frozen=True, array_like=True):
    bytes: int
    mtime_ns: int
    sha256: str


class _Made(msgspec.Struct, frozen=True):
    """An artifact as it was made."""

    inputs: str
    files: dict[str, _MadeFile] = {}
    """Path in the artifact -> its file; `.` where the artifact is a file itself."""
    parts: dict[str, Any] = {}
    """All that `inputs` covers, by name; empty in an earlier version of the record."""


def written_inputs(artifact: Path) -> str:
    """Return the fingerprint that `artifact` was made from; empty where it was never finished, or is damaged."""
    made = _made(artifact)
    return "" if made is None or any(_differing(artifact, made)) else made.inputs


def written_parts(artifact: Path) -> dict[str, Any]:
    """Return all that `artifact` was made from, by name; empty where it is not known."""
    made = _made(artifact)
    return {} if made is None else made.parts


def damaged_files(artifact: Path) -> Iterator[tuple[Path, str]]:
    """Yield each file of `artifact` that is not as it was made, and the fault found."""
    note, made = record_of(artifact), _made(artifact)
    if made is not None:
        yield from _differing(artifact, made)
    elif note.exists():
        yield note, "no record of an artifact"
    elif artifact.exists():
        yield note, f"missing, so {artifact.name} may be unfinished"


@contextmanager
def making(artifact: Path, *, inputs: str, parts: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Run the block that replaces `artifact`, and record `inputs`, its parts and its files only when it has ended well.

    The block leaves the artifact on the disk, so that no record outlives it in a power cut.
    """
    note = record_of(artifact)
    remove_file(note)
    yield
    files = sorted(file for file in artifact.rglob("*") if file.is_file()) or [artifact]
    made = {file.relative_to(artifact).as_posix(): _made_file(file) for file in files}
    record = _Made(inputs=inputs, files=made, parts=dict(parts or {}))
    replace_file(note, msgspec.json.encode(record))


def forget_inputs(artifact: Path) -> None:
    """Remove the record of `artifact`, before the artifact itself is removed."""
    remove_file(record_of(artifact))


def take_from(folders: Iterable[Path], artifact: Path, file: Path) -> str:
    """Replace a damaged file of `artifact` by the one in a folder that is as it was made; return that in words.

    Empty where no folder has it: releases hold the files of artifacts, and a copy takes less time than training.
    """
    copy = _whole_copy(folders, artifact, file)
    if copy is None:
        return ""
    if file.is_dir():
        rmtree(file)
    with replaced_file(file) as staged:
        copyfile(copy, staged)
    return f"it was taken from release {copy.parents[len(file.relative_to(artifact).parts) - 1].name}"


def mended_inputs(artifact: Path, folders: Iterable[Path]) -> str:
    """Return what `written_inputs` will return once `take_from` has mended each file that it can."""
    made, known = _made(artifact), list(folders)
    if made is None:
        return ""
    damaged = [file for file, _ in _differing(artifact, made)]
    return made.inputs if all(_whole_copy(known, artifact, file) for file in damaged) else ""


def _whole_copy(folders: Iterable[Path], artifact: Path, file: Path) -> Path | None:
    made = _made(artifact)
    known = made.files.get(file.relative_to(artifact).as_posix()) if made and file != artifact else None
    for folder in folders if known is not None else ():
        copy = folder / file.relative_to(artifact)
        with suppress(OSError):
            if known and copy.stat().st_size == known.bytes and sha256(copy) == known.sha256:
                return copy
    return None


def _made(artifact: Path) -> _Made | None:
    """Return the record of an artifact; None where there is none. One of an earlier version names no files."""
    note = record_of(artifact)
    if not note.is_file():
        return None
    try:
        written = note.read_bytes()
        if _FORMER_NOTE.fullmatch(written):
            return _Made(inputs=written.decode(), files={}) if artifact.exists() else None
        return msgspec.json.decode(written, type=_Made)
    except (FileNotFoundError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _differing(artifact: Path, made: _Made) -> Iterator[tuple[Path, str]]:
    """Yield each file that differs. Only a file whose time is another is read: a copied home has other times."""
    touched = {}
    for name, known in made.files.items():
        file = artifact / name
        try:
            status = file.stat()
        except (FileNotFoundError, NotADirectoryError):
            yield file, f"missing, expected {known.bytes:,} bytes"
            continue
        if status.st_size != known.bytes:
            yield file, f"{status.st_size:,} bytes, expected {known.bytes:,}"
        elif status.st_mtime_ns != known.mtime_ns:
            now = _made_file(file)
            if now.sha256 != known.sha256:
                yield file, "not the content that it was made with"
            touched[name] = now
    if touched and all(touched[name].sha256 == made.files[name].sha256 for name in touched):
        with suppress(OSError):  # a home that may only be read is compared each time
            again = msgspec.structs.replace(made, files=made.files | touched)
            replace_file(record_of(artifact), msgspec.json.encode(again))


def _made_file(file: Path) -> _MadeFile:
    status = file.stat()  # before it is read: a change meanwhile makes the record stale
    return _MadeFile(status.st_size, status.st_mtime_ns, sha256(file))


def record_of(artifact: Path) -> Path:
    """Return the path of an artifact's record."""
    return artifact.with_name(f".{artifact.name}{RECORD_SUFFIX}")
