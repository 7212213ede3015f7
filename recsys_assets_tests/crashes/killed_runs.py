"""Runs a command as a process group of its own, kills the group, starts it again, and reads what is there then."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from recsys_assets.errors import RecsysError
from recsys_assets.orchestration.repair.damage import find_damage
from recsys_assets.quality.quarantine import rejected_days
from recsys_assets.release.current import read_current, read_recalled
from recsys_assets.release.manifest import check_sizes, read_manifest
from recsys_assets.release.recalls import read_recalls
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.settings import load_settings
from recsys_assets.storage.home import Home
from recsys_assets_tests.conftest import environment
from recsys_assets_tests.crashes.crash_scenarios import (
    LAST,
    NOTIFY,
    SETTINGS,
    Begins,
    CrashScenario,
    add,
    days_until,
    lines,
    source_of,
)
from recsys_assets_tests.notices.servers import HttpReceiver

_IN_A_ROW = 4
"""Most kills before a command may end."""
_LOOKS_SECONDS = 0.02
_DATABASES = ("*.sqlite", "*.db")


@dataclass
class KilledRuns:
    """The result of one scenario's kills."""

    killed: int = 0
    wrong: list[str] = field(default_factory=list)
    """Each thing that is not as after an undisturbed run, with the seed and the moments of the kills."""


class CrashGround:
    """A place where commands are killed: always the same path, with the same beginning."""

    def __init__(self, folder: Path, receiver: HttpReceiver) -> None:
        self.place, self._kept, self._receiver = folder / "place", folder / "kept", receiver
        self.home = Home(self.place / "home")
        self._undisturbed: dict[str, tuple[float, dict[str, Any]]] = {}

    def begin(self, scenario: CrashScenario) -> None:
        """Put the beginning of a scenario in place."""
        self._restore(scenario.begins)
        scenario.change(self.place)
        self._first(scenario)
        self._receiver.bodies.clear()
        self._receiver.answers[:] = [503]  # the first attempt fails, and is made again

    def _first(self, scenario: CrashScenario) -> None:
        if scenario.first:
            self.must(scenario.first, codes=(0, 2))

    def undisturbed(self, scenario: CrashScenario) -> tuple[float, dict[str, Any]]:
        """Return the seconds of an undisturbed run and the content after it."""
        if scenario.name not in self._undisturbed:
            self.begin(scenario)
            started = time.monotonic()
            self.must(scenario.arguments(self.home))
            seconds = time.monotonic() - started
            self._undisturbed[scenario.name] = (seconds, {**content(self.home), "notices": self.notices()})
            assert faults(self.home) == []
        return self._undisturbed[scenario.name]

    def kill(self, scenario: CrashScenario, kills: int, *, seed: int = 0) -> KilledRuns:
        """Kill a scenario's command `kills` times, some of them in a row, and end it after each row."""
        seconds, expected = self.undisturbed(scenario)
        found, rng = KilledRuns(), random.Random(f"{seed} {scenario.name}")
        while found.killed < kills:
            self.begin(scenario)
            moments = [
                rng.random() * seconds for _ in range(min(rng.randint(1, _IN_A_ROW), kills - found.killed))
            ]
            wrong = self._row(scenario, moments, found)
            wrong += faults(self.home)
            wrong += differences(expected, {**content(self.home), "notices": self.notices()})
            found.wrong += [f"seed {seed}, killed after {moments}: {one}" for one in wrong]
        return found

    def _row(self, scenario: CrashScenario, moments: Sequence[float], found: KilledRuns) -> list[str]:
        """Kill a command at these moments of its runs, then let it end; return what was wrong meanwhile."""
        arguments, before = scenario.arguments(self.home), read_current(self.home.releases)
        with watched(self.home) as wrong:
            for moment in moments:
                if not self._killed(arguments, moment, wrong):
                    return wrong  # it ended earlier than it was to be killed
                found.killed += 1
                if scenario.once and read_current(self.home.releases) != before:
                    return wrong
                if not self.home.plan.exists():  # else the command goes on with its plan
                    with suppress_failure(wrong):
                        self._first(scenario)
            with suppress_failure(wrong):
                self.must(arguments)
        return wrong

    def _killed(self, arguments: Sequence[str], moment: float, wrong: list[str]) -> bool:
        """Run a command and kill its group after some seconds; return False where it has ended by then."""
        with started(self.home, arguments) as process:
            try:
                output, _ = process.communicate(timeout=moment)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                _wait_until_gone(process.pid)
                return True
            if process.returncode:
                wrong.append(f"it failed: {output}")
            return False

    def must(self, arguments: Sequence[str], *, codes: Sequence[int] = (0,)) -> None:
        """Run a command to its end, which is a good one."""
        with started(self.home, arguments) as process:
            output, _ = process.communicate(timeout=900)
            assert process.returncode in codes, f"recsys {' '.join(arguments)}: {output}"

    def notices(self) -> list[str]:
        """Send what waits, and return the notices that have arrived since the beginning, each once."""
        if self.home.notices_db.exists():
            self.must(["notices", "send"])
        return sorted({f"{body['kind']}: {body['subject']}" for body in self._receiver.bodies})

    def _restore(self, begins: Begins) -> None:
        if not (self._kept / begins).exists():
            self._make(begins)
            self._kept.mkdir(exist_ok=True)
            shutil.copytree(self.place, self._kept / begins, symlinks=True)
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.copytree(self._kept / begins, self.place, symlinks=True)

    def _make(self, begins: Begins) -> None:
        if begins == "new":
            shutil.rmtree(self.place, ignore_errors=True)
            self.place.mkdir(parents=True)
            source_of(self.place).write_text("user_id,item_id,timestamp\n")
            add(self.place, lines(days_until(LAST)[:-1]))
            self.must(["init", "--source", f"tabular:{source_of(self.place)}"])
            with self.home.settings_file.open("a") as settings:
                settings.write(SETTINGS + NOTIFY.format(url=self._receiver.url))
            return
        self._restore("new")
        self.must(["build"])
        add(self.place, lines([LAST]))
        self.must(["build"])


@contextmanager
def started(home: Home, arguments: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """A command in a process group of its own."""
    with subprocess.Popen(
        [sys.executable, "-m", "recsys_assets", *arguments],
        env=environment(home.root), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def suppress_failure(wrong: list[str]) -> Iterator[None]:
    """Note a run that did not end well, and go on."""
    try:
        yield
    except AssertionError as error:
        wrong.append(str(error))


@contextmanager
def watched(home: Home) -> Iterator[list[str]]:
    """Look again and again while the block runs whether `current` names a complete release."""
    wrong: list[str] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(_LOOKS_SECONDS):
            try:
                current = read_current(home.releases)
                if current is not None:
                    folder = home.releases / current
                    check_sizes(folder, read_manifest(folder))
            except RecsysError as error:
                wrong.append(f"current was not complete: {error}")

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield wrong
    finally:
        ended.set()
        watcher.join()


def content(home: Home) -> dict[str, Any]:
    """Read all that people use: the files of the lake, rejected days, releases, `current` and recalls."""
    store = ReleaseStore(home.releases)
    found: dict[str, Any] = {"current": store.current_id()}
    for table in (home.raw, home.interactions, home.event_days):
        for file in sorted(table.rglob("*.parquet")):
            found[str(file.relative_to(home.root))] = sha256(file.read_bytes()).hexdigest()
    for manifest in store.list():
        found[f"release {manifest.release_id}"] = sorted(manifest.files)  # the id is of their content
        found[f"features of {manifest.release_id}"] = manifest.files["features.sqlite"].sha256
    for day in read_recalled(home.releases):
        found[f"recalled {day.day} {day.checksum}"] = day.why
    for number, recall in enumerate(read_recalls(home)):
        found[f"recall {number}"] = (recall.days, recall.releases, recall.before, recall.current, recall.why)
    for rejected in rejected_days(home.quarantine):
        found[f"quarantine {rejected.table} {rejected.day}"] = rejected.fingerprint
    return found


def differences(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    names = sorted(expected.keys() | found.keys())
    return [
        f"{name}: {found.get(name)} instead of {expected.get(name)}"
        for name in names
        if found.get(name) != expected.get(name)
    ]


def faults(home: Home) -> list[str]:
    """List what `recsys doctor` calls damaged, databases that are not whole, and releases unlike their manifests."""
    found = [f"damaged: {damage}" for damage in find_damage(home, load_settings(home))]
    for pattern in _DATABASES:
        for file in sorted(home.root.rglob(pattern)):
            with closing(sqlite3.connect(file)) as connection:
                answer = connection.execute("PRAGMA integrity_check").fetchall()
            found += [] if answer == [("ok",)] else [f"{file}: {answer}"]
    store = ReleaseStore(home.releases)
    found += [f"{name}: {why}" for name, why in store.unreadable().items()]
    for manifest in store.list():
        try:
            store.verify(manifest.release_id)
        except RecsysError as error:
            found.append(str(error))
    return found


def _wait_until_gone(group: int, *, seconds: float = 30) -> None:
    """Wait until no process of a killed group is left."""
    deadline = time.monotonic() + seconds
    with suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.killpg(group, 0)
            time.sleep(0.01)
        raise AssertionError(f"group {group} outlives SIGKILL")
