"""A served home that is a copy of an object store follows it: releases, moves of `current`, rules, and other documents.

A process of its own looks once a second, since the server forks its workers, and a client of an object store does not
survive a fork. While a command of this machine changes the home, that one keeps it as new as the store.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from recsys_assets.api.http.logs import configure_logs
from recsys_assets.api.serving.follower import Follower
from recsys_assets.api.serving.server import end_with
from recsys_assets.errors import ObjectMissingError
from recsys_assets.storage.copy_index import CopyIndex, read_index
from recsys_assets.storage.current_form import CURRENT_KEY
from recsys_assets.storage.home import Home
from recsys_assets.storage.object_store import ObjectStore
from recsys_assets.storage.open_copy import working_copy
from recsys_assets.storage.store_head import HEAD
from recsys_assets.storage.store_place import place_of
from recsys_assets.storage.store_writing import refresh

_LOOK_SECONDS: Final = 1.0
_GRACE_SECONDS: Final = 5.0


def take_up(home: Home) -> bool:
    """Bring the home to the state of its store where that has another one; return whether it had.

    Two small requests find out, which send nothing where nothing changed.

    Raises:
        ObjectStoreError: the store does not answer, or an object of it is damaged; the home stays as it is.
    """
    if place_of(home.root) is None:  # it left the store
        return False
    store, index = working_copy(home.root).store, read_index(home.root)
    known = index.files.get(CURRENT_KEY)
    moved = _has_changed(store, CURRENT_KEY, None if known is None else known.tag)
    if not moved and not _has_changed(store, HEAD, index.head or None):
        return False
    refresh(home.root)
    return _differs(index, read_index(home.root))


def _has_changed(store: ObjectStore, key: str, tag: str | None) -> bool:
    try:
        return store.get_changed(key, tag=tag) is not None
    except ObjectMissingError:  # nothing was pushed yet
        return False


def _differs(before: CopyIndex, after: CopyIndex) -> bool:
    return before.head != after.head or before.files.get(CURRENT_KEY) != after.files.get(CURRENT_KEY)


@contextmanager
def following(home: Home) -> Iterator[None]:
    """Follow the store of a home in another process while the block runs; a home without one follows nothing."""
    if place_of(home.root) is None:
        yield
        return
    module = "recsys_assets.api.serving.store_follower"
    command = [sys.executable, "-m", module, str(home.root), str(os.getpid())]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True) as process:  # noqa: S603  our own
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def main(root: str, supervisor: int) -> None:
    """Follow the store of a home until SIGTERM.

    Args:
        root: the home's folder.
        supervisor: the process that started this one, which it does not outlive.
    """
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    end_with(supervisor, signal.SIGTERM)
    configure_logs()
    home = Home(Path(root))
    thread = Follower("object store", lambda: take_up(home), seconds=_LOOK_SECONDS).follow(stopped)
    stopped.wait()
    thread.join()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
