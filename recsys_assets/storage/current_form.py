"""`releases/current` in an object store: one object with the release and all moves, where a home has two files.

The object is `{"release": id, "number": moves, "moves": [...]}`, so that release and history are swapped as one.
"""

from pathlib import Path
from typing import Any, Final

import msgspec

from recsys_assets.errors import ObjectChangedError, ObjectExistsError, ObjectStoreError
from recsys_assets.storage.atomic import read_file, remove_file, replace_file
from recsys_assets.storage.object_store import ObjectStore

CURRENT_KEY: Final = "releases/current"
LOCAL_FORMS: Final = (CURRENT_KEY, "releases/promotions.jsonl")
"""The two files of a home that the object holds."""


class _Current(msgspec.Struct, frozen=True):
    release: str
    number: int
    moves: list[dict[str, Any]]


def current_content(root: Path) -> bytes:
    """Return the object that the home `root` has as two files.

    Raises:
        FileNotFoundError: no release is current.
    """
    current, promotions = (root / form for form in LOCAL_FORMS)
    release = read_file(current).decode("ascii", errors="replace").strip()
    moves = []
    for line in read_file(promotions).splitlines() if promotions.is_file() else ():
        try:
            moves.append(msgspec.json.decode(line, type=dict[str, Any]))
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue  # half a line, from a crash while it was written
    return msgspec.json.encode(_Current(release, len(moves), moves))


def write_current(root: Path, content: bytes, *, origin: str) -> None:
    """Replace the two files of the home `root` by what the object of the store `origin` holds; the moves first.

    Raises:
        ObjectStoreError: the object is damaged; the files stay as they are.
    """
    try:
        found = msgspec.json.decode(content, type=_Current)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ObjectStoreError(
            f"{origin}/{CURRENT_KEY}: cannot be read ({error}); put an earlier version of the object back, or remove"
            " it and run `recsys build` in the home that moved it last"
        ) from error
    current, promotions = (root / form for form in LOCAL_FORMS)
    if found.moves:
        replace_file(promotions, b"".join(msgspec.json.encode(move) + b"\n" for move in found.moves))
    else:
        remove_file(promotions)
    replace_file(current, f"{found.release}\n".encode())


def swap_current(objects: ObjectStore, content: bytes, *, seen: str | None) -> str:
    """Replace the object that the caller saw, by its tag, or make the first one; return the new tag.

    Of several writers exactly one does.

    Raises:
        ObjectChangedError: another move was made meanwhile.
    """
    if seen is not None:
        return objects.swap(CURRENT_KEY, content, tag=seen)
    try:
        return objects.create(CURRENT_KEY, content)
    except ObjectExistsError as error:
        raise ObjectChangedError(
            f"{objects.url}/{CURRENT_KEY}: another writer made a move meanwhile; run it again"
        ) from error
