"""`recsys serve --from`: a stateless replica. This process follows the object store; a child of it serves the cache.

They are two processes, since the server forks its workers, and a client of an object store does not survive a fork.
"""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from recsys_assets.api.http.logs import configure_logs
from recsys_assets.api.serving.follower import Follower
from recsys_assets.api.serving.replica_mirror import ReplicaMirror
from recsys_assets.api.serving.replica_note import replica_file
from recsys_assets.api.serving.server import claimed_port, end_with, serve
from recsys_assets.errors import RecsysError, SettingsError, StoreUnavailableError
from recsys_assets.intake.states_of_home import followed_states_of
from recsys_assets.storage.atomic import make_folder
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import locked
from recsys_assets.storage.object_store import ObjectStore

log = logging.getLogger("recsys.api")

_LOOK_SECONDS: Final = 0.5
"""Time between two looks at `current`, and at the states of items."""
_POLL_SECONDS: Final = 0.2
_GRACE_SECONDS: Final = 20.0
"""Time for the server to answer what is under way at the end."""
_SAID_SECONDS: Final = 5.0
"""Time between two sentences about what is waited for."""


class ReplicaServer(msgspec.Struct, frozen=True, kw_only=True):
    """The server of one cache."""

    home: str
    """The cache, absolute."""
    host: str
    """Address to listen on."""
    port: int
    """Port to listen on."""
    workers: int
    """Server processes."""
    supervisor: int
    """The process that follows the store, which the server does not outlive."""


def serve_replica(
    store: ObjectStore,
    home: Home,
    *,
    host: str,
    port: int,
    workers: int,
    most_bytes: int | None,
    say: Callable[[str], object],
) -> int:
    """Follow a store and serve its current release from a cache, until SIGINT or SIGTERM; return the exit code.

    It waits for a first release, and for a store that does not answer; a cache from before is served meanwhile.

    Args:
        store: the object store.
        home: the cache: a folder that is missing, empty, or of an earlier replica of this store.
        host: address to listen on.
        port: port to listen on.
        workers: server processes.
        most_bytes: of the releases in the cache; None for no bound but two releases.
        say: called with a sentence about what is waited for.

    Raises:
        SettingsError: the folder is a home, or another replica uses it.
        PortInUseError: something listens there already.
    """
    with claimed_port(host, port, option="--port"):
        pass  # the server claims it again
    with _own_cache(home):
        configure_logs()
        stopped = threading.Event()
        previous = {number: signal.signal(number, lambda *_: stopped.set()) for number in _ENDING}

        def check() -> None:
            if stopped.is_set():
                raise StoreUnavailableError("this replica ends")

        shared = followed_states_of(home, store)
        states = Follower("item states", lambda: shared.exchange(datetime.now(UTC)), seconds=_LOOK_SECONDS)
        mirror = ReplicaMirror(store, home, most_bytes=most_bytes, check=check, beside=lambda: states.problem)
        try:
            if not _has_release(mirror, store.url, say, stopped):
                return 0
            follower = threading.Thread(
                target=_follow, args=(mirror, stopped), name="recsys-replica", daemon=True
            )
            options = ReplicaServer(
                home=str(home.root), host=host, port=port, workers=workers, supervisor=os.getpid()
            )
            states.look()  # what was hidden is so from the first answer on
            states.follow(stopped)
            server = _started(options)
            follower.start()
            return _wait(server, stopped)
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


_ENDING: Final = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def _own_cache(home: Home) -> Iterator[None]:
    """Hold the cache for this replica alone."""
    if home.settings_file.exists() and not replica_file(home).exists():
        raise SettingsError(f"{home.root}: is a home of its own; take an empty folder, --cache FOLDER")
    make_folder(home.root)
    try:
        with locked(home.lock("replica"), wait=False):
            yield
    except BlockingIOError as error:
        raise SettingsError(
            f"{home.root}: another replica uses it; take another folder, --cache FOLDER"
        ) from error


def _has_release(
    mirror: ReplicaMirror, url: str, say: Callable[[str], object], stopped: threading.Event
) -> bool:
    """Wait until the cache has a whole release, from the store or from before; return False where this should end."""
    begun, said = time.monotonic(), -_SAID_SECONDS
    while not stopped.is_set():
        mirror.look()
        served = mirror.served()
        if served is not None:
            if mirror.problem is not None:
                say(f"{mirror.problem}; release {served} is served from the cache")
            return True
        seconds = time.monotonic() - begun
        if seconds - said >= _SAID_SECONDS:
            said = seconds
            say(
                f"{mirror.problem or f'{url}: no release is current there yet'}; waiting, for {seconds:.0f} s now"
            )
        stopped.wait(_LOOK_SECONDS)
    return False


def _follow(mirror: ReplicaMirror, stopped: threading.Event) -> None:
    while not stopped.wait(_LOOK_SECONDS):
        try:
            mirror.look()
        except Exception:
            log.exception("a look at the object store failed")  # whatever it is, the next look may go well


def _started(options: ReplicaServer) -> "subprocess.Popen[bytes]":
    command = [
        sys.executable,
        "-m",
        "recsys_assets.api.serving.replica",
        msgspec.json.encode(options).decode(),
    ]
    return subprocess.Popen(command, start_new_session=True)  # noqa: S603  our own command


def _wait(server: "subprocess.Popen[bytes]", stopped: threading.Event) -> int:
    """Wait until the server ends or this process should; return the exit code."""
    while not stopped.wait(_POLL_SECONDS):
        code = server.poll()
        if code is not None:
            stopped.set()
            return code or 1
    server.send_signal(signal.SIGINT)
    try:
        server.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
    return 0


def main(options: str) -> int:
    """Serve a cache in the child process, and return the exit code."""
    wanted = msgspec.json.decode(options, type=ReplicaServer)
    end_with(wanted.supervisor, signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background commands ignore it
    try:
        serve(
            Home(Path(wanted.home)),
            host=wanted.host,
            port=wanted.port,
            workers=wanted.workers,
            fallback_previous=True,
        )
    except RecsysError as error:
        sys.stderr.write(f"recsys: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
