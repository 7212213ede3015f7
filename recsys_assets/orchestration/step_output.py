"""Output of a step: into the file that Dagster's pages show, and on to where it went before.

Dagster starts four processes for each step of a build to copy these files to the terminal, a `tail` and a watcher for
each of two streams, and loses what is printed at the end. A thread does it here.
"""

import io
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from dagster._core.execution.compute_logs import redirect_to_file
from dagster._core.storage import local_compute_log_manager
from dagster._utils import ensure_file

_EVERY: Final = 0.1
"""Seconds between looks at a file."""
_PIECE: Final = 65_536


def copy_output_in_a_thread() -> None:
    """In this process, let a thread copy the output of steps."""
    local_compute_log_manager.mirror_stream_to_file = mirrored  # type: ignore[attr-defined, assignment]


@contextmanager
def mirrored(stream: Any, path: str) -> Iterator[None]:
    """Let what is written to a stream's descriptor be added to a file, and copy it to where it went before.

    Args:
        stream: `sys.stdout` or `sys.stderr`; one without a descriptor, as a test's, stays as it is.
        path: the file, made where missing.
    """
    ensure_file(path)
    try:
        before = os.dup(stream.fileno())
    except (AttributeError, io.UnsupportedOperation):
        yield
        return
    with os.fdopen(before, "wb", buffering=0) as target, open(path, "rb", buffering=0) as added:  # noqa: PTH123  as Dagster names it
        added.seek(0, os.SEEK_END)
        ended = threading.Event()
        copier = threading.Thread(target=_copy, args=(added, target, ended), daemon=True)
        copier.start()
        try:
            with redirect_to_file(stream, path):
                yield
        finally:
            ended.set()
            copier.join()


def _copy(added: io.FileIO, target: io.FileIO, ended: threading.Event) -> None:
    """Copy what comes into a file until the step has ended, then the rest of it."""
    is_last = False
    while True:
        while piece := added.read(_PIECE):
            if not _write(target, piece):
                return
        if is_last:
            return
        is_last = ended.wait(_EVERY)


def _write(target: io.FileIO, piece: bytes) -> bool:
    """Write all of a piece; return False where nobody reads it any more, as in `recsys build | head`."""
    try:
        while piece:
            piece = piece[target.write(piece) or 0 :]
    except OSError:
        return False
    return True
