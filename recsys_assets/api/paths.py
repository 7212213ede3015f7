"""Ids in paths that hold `/` or NUL, percent-encoded: ASGI's `path` is decoded, so routing would split them.

The edge decodes such a path segment by segment and writes the two characters as pairs, which routing leaves alone;
handlers turn an id back into what was sent.
"""

from typing import Final
from urllib.parse import unquote_to_bytes

_SLASH: Final = "\x001"
_NUL: Final = "\x000"


def routable(raw_path: bytes) -> str | None:
    """The path to route by; None where ASGI's own will do, which is nearly always."""
    if b"%" not in raw_path or not (b"%2f" in raw_path.lower() or b"%00" in raw_path):
        return None
    decoded = (
        unquote_to_bytes(part).decode("utf-8", "replace") for part in raw_path.partition(b"?")[0].split(b"/")
    )
    return "/".join(part.replace("\0", _NUL).replace("/", _SLASH) for part in decoded)


def as_sent(path_id: str) -> str:
    """An id from a path, as the client meant it."""
    return path_id.replace(_SLASH, "/").replace(_NUL, "\0") if "\0" in path_id else path_id
