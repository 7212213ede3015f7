"""The smoke test of a release: served by a real process on a free port of this machine, and its answers compared.

The process sees a temporary home that holds nothing but the release, so that no event, key or count of the real home is
touched; it ends with the test, and with the process that runs the test.
"""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import quote

import numpy as np

from recsys_assets.api_settings import ApiSettings
from recsys_assets.errors import RecsysError, ReleaseError
from recsys_assets.release.current import CURRENT_FILE
from recsys_assets.release.load import Release, load_release
from recsys_assets.rules.engine.plain import PlainScenario
from recsys_assets.rules.engine.requests import Answer, Request
from recsys_assets.rules.language.expression_tree import columns_of
from recsys_assets.rules.language.reading import read_rules
from recsys_assets.rules.rules_file import load_engine, released_rules
from recsys_assets.storage.home import FEATURE_DATABASE, Home

_HOST: Final = "127.0.0.1"
_STRANGER: Final = "a stranger to the smoke test"
_BY_RULES: Final = 5
"""Users whose list by the default scenario is compared too."""
_SIMILAR: Final = 3
"""Items whose similar ones are compared."""
_LONGEST_ID: Final = 512
"""The API rejects longer ids."""
_POLL_SECONDS: Final = 0.02
_ENDING_SECONDS: Final = 10.0
_TRIES: Final = 3
"""Another process may take the free port before the server does."""
_TAIL: Final = 3
"""Last lines of the server's output in a message."""


@dataclass(frozen=True, kw_only=True)
class SmokeOutcome:
    """The result of a smoke test."""

    answers: int
    """Answers that were compared."""
    wrong: list[str]
    """A line for each answer that was another, or that did not come."""
    seconds: float
    """Time that it took."""

    def in_words(self) -> str:
        """Return one line."""
        took = f"in {self.seconds:.1f} s"
        if not self.wrong:
            return f"a server started and gave {self.answers} answers, each as made in process, {took}"
        return f"{len(self.wrong)} faults in {self.answers} answers {took}; {self.wrong[0]}"


def smoke_test(folder: Path, *, lists_folder: Path, users: int, seconds: float) -> SmokeOutcome:
    """Serve the release in `folder` by a process of its own, and compare answers with those made here.

    Args:
        folder: a release.
        lists_folder: the folder of the files of `[lists]` in its rules, the real home.
        users: users compared; a stranger, similar and popular items are compared too.
        seconds: most time for all.
    """
    started = time.monotonic()
    deadline = started + seconds
    answers, wrong = 0, list[str]()
    try:
        with TemporaryDirectory(prefix="recsys-smoke-") as scratch:
            home, release = _home_of(Path(scratch), folder), load_release(folder, verify=False)
            _link_lists(release, home, lists_folder)
            with ThreadPoolExecutor(1) as beside:  # the server starts meanwhile
                expected = beside.submit(_expected, release, home, lists_folder, users=users)
                with _server(home, deadline) as port:
                    for path, ids in expected.result().items():
                        answers += 1
                        found = _ids_at(port, path, deadline)
                        if found != ids:
                            wrong.append(f"GET {path} answered {_short(found)}, expected {_short(ids)}")
    except (RecsysError, OSError, http.client.HTTPException) as error:
        wrong.append(str(error) or type(error).__name__)
    return SmokeOutcome(answers=answers, wrong=wrong, seconds=time.monotonic() - started)


def _home_of(root: Path, folder: Path) -> Home:
    """Make a home that holds the release and nothing else."""
    home = Home(root)
    home.releases.mkdir()
    (home.releases / folder.name).symlink_to(folder.resolve(), target_is_directory=True)
    (home.releases / CURRENT_FILE).write_text(f"{folder.name}\n", encoding="ascii")
    return home


def _link_lists(release: Release, home: Home, lists_folder: Path) -> None:
    """Link the files of `[lists]` into the home; one outside of its folder is left out, and rejected with the rules.

    Raises:
        RulesError: the release's rules cannot be read.
    """
    columns = columns_of(release.folder / FEATURE_DATABASE)
    for file in read_rules(released_rules(release.folder), columns=columns).lists.values():
        place = (lists_folder / file).resolve()
        if place.is_relative_to(lists_folder.resolve()):
            (home.root / file).parent.mkdir(parents=True, exist_ok=True)
            (home.root / file).symlink_to(place)


def _expected(release: Release, home: Home, lists_folder: Path, *, users: int) -> dict[str, list[str]]:
    """Return path -> ids of the items that the answer has to list, in order."""
    plain = PlainScenario(release)
    engine = load_engine(release, home=home, plain=plain, lists_folder=lists_folder)
    rng = np.random.default_rng(0)
    nums = np.sort(rng.choice(len(release.users), min(users, len(release.users)), replace=False)).tolist()
    known = [(num, id_) for num in nums if len(id_ := release.users[num]) <= _LONGEST_ID]
    by_rules = engine.scenario()
    name = quote(by_rules.scenario.name, safe="")
    found: dict[str, Answer] = {}
    for num, user in known:
        found[f"{_user(user)}?k=10"] = plain.recommend(Request(user_id=user, user_num=num))
    for num, user in known[:_BY_RULES]:
        answer = by_rules.recommend(Request(user_id=user, user_num=num))
        found[f"{_user(user)}?k=10&scenario={name}"] = answer
    found[f"{_user(_STRANGER)}?k=10"] = plain.recommend(Request(user_id=_STRANGER))
    found["/v1/popular?k=10"] = plain.popular(Request())
    popular = (num for num in release.popular_items.tolist() if len(release.items[num]) <= _LONGEST_ID)
    for num in islice(popular, _SIMILAR):
        found[f"/v1/items/{quote(release.items[num], safe='')}/similar?k=10"] = plain.similar(num, Request())
    return {path: [release.items[num] for num in answer.nums] for path, answer in found.items()}


def _user(user_id: str) -> str:
    return f"/v1/users/{quote(user_id, safe='')}/recommendations"


@contextmanager
def _server(home: Home, deadline: float) -> Iterator[int]:
    """Yield the port of a server that is ready; it is ended with the block.

    Raises:
        ReleaseError: it ended early, or was not ready in time.
    """
    log = home.root / "server.log"
    for left in reversed(range(_TRIES)):
        port = _free_port()
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603  our own code
                [sys.executable, "-m", __name__, str(home.root), str(port), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            if _is_ready(process, port, deadline, log, last=not left):
                yield port
                return
        finally:
            _end(process)


def _is_ready(
    process: "subprocess.Popen[bytes]", port: int, deadline: float, log: Path, *, last: bool
) -> bool:
    """Wait until the server answers; return False where it lost its port and another try is left."""
    while time.monotonic() < deadline:
        if process.poll() is not None:
            said = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL:]
            if not last and any("in use" in line for line in said):
                return False
            raise ReleaseError(f"the server ended with code {process.returncode}: {' '.join(said)}")
        try:
            status, _ = _get(port, "/health/ready", deadline)
        except (OSError, http.client.HTTPException):
            status = 0
        if status == http.client.OK:
            return True
        time.sleep(_POLL_SECONDS)
    raise ReleaseError(
        "the server was not ready in time; raise [gate] smoke_seconds where the machine is slow"
    )


def _ids_at(port: int, path: str, deadline: float) -> list[str]:
    """Return the ids that the server lists.

    Raises:
        ReleaseError: another status, or the time is up.
    """
    if time.monotonic() > deadline:
        raise ReleaseError("the answers took too long; raise [gate] smoke_seconds where the machine is slow")
    status, body = _get(port, path, deadline)
    if status != http.client.OK:
        raise ReleaseError(f"GET {path} answered {status}: {body[:200]!r}")
    found: dict[str, Any] = json.loads(body)
    return [item["item_id"] for item in found["items"]]


def _get(port: int, path: str, deadline: float) -> tuple[int, bytes]:
    left = max(0.1, deadline - time.monotonic())
    connection = http.client.HTTPConnection(_HOST, port, timeout=left)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the server and its workers."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(_ENDING_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # it leads a group of its own
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _short(ids: list[str]) -> str:
    return f"{', '.join(ids[:3])}{', …' if len(ids) > 3 else ''}" or "nothing"  # noqa: PLR2004  three are enough


def _serve(home: str, port: str, parent: str) -> None:
    """Serve until the parent ends this process, or ends itself."""
    from recsys_assets.api.serving.server import end_with, serve  # noqa: PLC0415  the tested side needs no web server

    end_with(int(parent), signal.SIGKILL)
    serve(Home(Path(home)), host=_HOST, port=int(port), settings=ApiSettings())


if __name__ == "__main__":
    _serve(*sys.argv[1:])
