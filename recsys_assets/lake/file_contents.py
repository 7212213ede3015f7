"""The contents of a source's files, whatever their names: a renamed file is no change of what is made from them."""

import hashlib
from collections.abc import Mapping

import msgspec

from recsys_assets.lake.files.compressed_files import member_state
from recsys_assets.lake.sources.source import Source


class FileContent(msgspec.Struct, frozen=True, array_like=True):
    """The content of a file, whatever its name."""

    state: str
    """Size and time of the last change, for which `sha256` holds."""
    sha256: str
    """SHA-256 of all bytes, hexadecimal; of a member of an archive its size and checksum there."""


def contents_of(source: Source, before: Mapping[str, FileContent]) -> dict[str, FileContent]:
    """Return path and content of each file of a source, in its order; empty where one is no file.

    Args:
        source: the source as it is now.
        before: its contents when it was counted last: a file of the same size and time is not read again.
    """
    found = {}
    try:
        for path in source.files():
            member = member_state(path)
            if member is not None:
                found[str(path)] = FileContent(member, member)
                continue
            status = path.stat()
            state, known = f"{status.st_size} {status.st_mtime_ns}", before.get(str(path))
            if known is None or known.state != state:
                with path.open("rb") as opened:
                    known = FileContent(state, hashlib.file_digest(opened, "sha256").hexdigest())
            found[str(path)] = known
    except OSError:  # a query, an address, or a file that goes while it is read
        return {}
    return found
