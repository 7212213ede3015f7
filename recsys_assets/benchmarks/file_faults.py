"""Calls to the file system that fail, one after the other, under every command that writes.

`file_faults.c` is loaded before the system's library in a process of its own, where it lets one call fail as on a full
or broken disk, or without permission. The error must then be one line that names the file, nothing that was there may
be lost, and the next run must end as an undisturbed one.
"""

import ctypes
import errno
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from recsys_assets.benchmarks import fault_scenarios, release_scenarios
from recsys_assets.benchmarks.fault_scenarios import CommandEnd, FaultScenario, HomeState
from recsys_assets.benchmarks.harness import print_result, run_apart
from recsys_assets.errors import InputError

KINDS: Final = {"open": 1, "write": 2, "sync": 4, "rename": 8, "unlink": 16, "mkdir": 32, "any": 63}
_ERRORS: Final = {
    "open": (errno.EACCES, errno.ENOSPC),
    "write": (errno.ENOSPC, errno.EIO),
    "sync": (errno.EIO, errno.ENOSPC),
    "rename": (errno.EIO, errno.EACCES),
    "unlink": (errno.EACCES, errno.EIO),
    "mkdir": (errno.ENOSPC, errno.EACCES),
}
"""The errors that a call of each kind is given."""
SCENARIOS: Final = {
    scenario.name: scenario for scenario in (*fault_scenarios.SCENARIOS, *release_scenarios.SCENARIOS)
}
"""By name."""
_SOURCE: Final = Path(__file__).with_name("file_faults.c")
_SHIM: Final = "RECSYS_FILE_FAULTS"
"""Variable with the path of the compiled shim."""
_VARIES: Final = re.compile(
    r"\d{4}-\d\d-\d\d|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{10,}|\d+"
    r"|(?<=compute_logs/)\w+|(?<=/landing-).+|(?<=/tmp)\w{8}"
)
"""Days, numbers and ids in a path."""
_MEMORY: Final = "-shm"
"""End of the names of SQLite's files that are shared memory: their content is no part of a database."""
_LEFT_OVER: Final = (".staged", ".old", ".pruned-", ".staging")
"""Parts of the names of hidden files and folders that no run may leave behind."""


class WatchedCall(NamedTuple):
    """A call that could fail."""

    kind: str
    """One of `KINDS`."""
    path: str
    """Relative to the root, with a slash in front."""


class FileFault(NamedTuple):
    """The call that fails."""

    kind: str
    """One of `KINDS`."""
    pattern: str
    """Its path relative to the root, where days, numbers and ids are `*`."""
    nth: int
    """From 1, among the calls of this kind on such paths."""
    error: int
    """The error number."""
    on: bool = False
    """The calls after it fail too."""

    def __str__(self) -> str:
        """Return it in words."""
        code = errno.errorcode[self.error]
        return f"{self.kind} {self.nth} of {self.pattern}: {code}{' and all after it' if self.on else ''}"


def inject_all(names: Sequence[str] = tuple(SCENARIOS), *, every: bool = False) -> dict[str, int]:
    """Run each scenario with each of its faults; return `injected_faults`, and the number that were `lost`.

    Lost are the faults after which content was missing, an error named no file, or the next run did not mend it.

    Args:
        names: of `SCENARIOS`.
        every: the first and the last call on each form of path, with each error; else the first with one error.
    """
    with tempfile.TemporaryDirectory() as folder:
        found = inject(names, Path(folder), library=compiled(Path(folder)), every=every)
    return {
        "injected_faults": sum(one["injected"] for one in found.values()),
        "lost": sum(len(one["wrong"]) for one in found.values()),
    }


def inject(
    names: Sequence[str], folder: Path, *, library: Path, every: bool = False, most: int = 1_000
) -> dict[str, Any]:
    """Run scenarios with each of their faults, at most `most` drawn by a seed, all in one process.

    Returns:
        By scenario: `injected`, the number of faults, and `wrong`: fault -> what was wrong after it.
    """
    extent = "every" if every else "each"
    return run_apart(__name__, str(folder), extent, str(most), *names, env=shim_variables(library))


def compiled(folder: Path) -> Path:
    """Compile the shim into `folder`, and return its path.

    Raises:
        InputError: there is no C compiler.
    """
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise InputError("faults of files need a C compiler: install gcc")
    library = folder / "file_faults.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(_SOURCE), "-ldl", "-lpthread"]
    subprocess.run(command, check=True)  # noqa: S603  the compiler
    return library


def shim_variables(library: Path) -> dict[str, str | None]:
    """Return the variables of a process that is to load the shim."""
    return {"LD_PRELOAD": str(library), _SHIM: str(library), "NO_COLOR": "1"}


class FileShim:
    """The shim of this process, which was started with `shim_variables`."""

    def __init__(self, root: Path) -> None:
        """Watch the files under `root`, while a block says so."""
        self._root = str(root.resolve()).encode()
        self._library = ctypes.CDLL(os.environ[_SHIM])
        os.environ.pop("LD_PRELOAD", None)  # the processes started from here are not watched

    @contextmanager
    def listing(self, log: Path) -> Iterator[list[WatchedCall]]:
        """Yield a list that holds, at the end of the block, the calls that could have failed in it."""
        found: list[WatchedCall] = []
        with self._watching():
            self._library.faults_list(str(log).encode())
            try:
                yield found
            finally:
                self._library.faults_list(None)
        names = {number: name for name, number in KINDS.items()}
        for line in log.read_text(encoding="utf-8").splitlines():
            number, _, path = line.partition(" ")
            found.append(WatchedCall(names[int(number)], path))
        log.unlink()

    @contextmanager
    def failing(self, fault: FileFault) -> Iterator[None]:
        """Let one call in the block fail."""
        pattern = fault.pattern.encode()
        with self._watching():
            self._library.faults_fail(KINDS[fault.kind], pattern, fault.nth, fault.error, int(fault.on))
            yield

    def fired(self) -> int:
        """Return the number of calls that failed since the last `failing` began."""
        return int(self._library.faults_fired())

    @contextmanager
    def recording(self, log: Path) -> Iterator[None]:
        """Append every change and every sync in the block to `log`."""
        with self._watching():
            self._library.faults_record(str(log).encode())
            try:
                yield
            finally:
                self._library.faults_record(None)

    @contextmanager
    def _watching(self) -> Iterator[None]:
        self._library.faults_watch(self._root)
        try:
            yield
        finally:
            self._library.faults_watch(b"")


def faults_of(calls: Sequence[WatchedCall], *, every: bool) -> list[FileFault]:
    """Return a fault for each kind of call and form of path; `every` as in `inject_all`."""
    counts: dict[tuple[str, str], int] = {}
    for call in calls:
        if not call.path.endswith(_MEMORY):
            form = call.kind, _VARIES.sub("*", call.path)
            counts[form] = counts.get(form, 0) + 1
    found: list[FileFault] = []
    for (kind, pattern), count in counts.items():
        errors = _ERRORS[kind]
        if every:
            found += [FileFault(kind, pattern, n, error) for n in sorted({1, count}) for error in errors]
        else:
            found.append(FileFault(kind, pattern, 1, errors[len(found) % len(errors)]))
    return found


class FaultInjector:
    """A scenario, and its state before and after an undisturbed run."""

    def __init__(self, scenario: FaultScenario, folder: Path) -> None:
        """Prepare the scenario in `folder`, and run it once without a fault."""
        self._scenario, self.place, self._kept = scenario, folder / "place", folder / "kept"
        self.place.mkdir()
        scenario.prepare(self.place)
        shutil.copytree(self.place, self._kept, symlinks=True)
        self.shim = FileShim(self.place)
        self.before = scenario.state(self.place)
        with self.shim.listing(folder / "calls") as self.calls:
            end = scenario.run(self.place)
        if end.failed:
            raise RuntimeError(f"{scenario.name} fails without a fault: {end.text}{end.traceback}")
        self.after = scenario.state(self.place)

    def reset(self) -> None:
        """Put the place back as it was before the scenario."""
        shutil.rmtree(self.place)
        shutil.copytree(self._kept, self.place, symlinks=True)

    def wrong_with(self, fault: FileFault) -> Iterator[str]:
        """Run with a fault and again without it; yield everything that is wrong."""
        self.reset()
        with self.shim.failing(fault):
            end = self._scenario.run(self.place)
            fired = self.shim.fired()
        if not fired:
            return
        yield from _wrong_error(end, self.place)
        yield from self.wrong_state(reported=not end.failed)
        yield from self.wrong_next_run()

    def wrong_state(self, *, reported: bool) -> Iterator[str]:
        """Yield what is lost; where the run `reported` that it is done, all of its content must be there."""
        state = self._state()
        if isinstance(state, str):
            yield state
        elif reported and state != self.after:
            yield f"reported as done, but {_difference(state, self.after)}"
        elif any(state.get(key) not in (value, self.after.get(key)) for key, value in self.before.items()):
            yield f"lost: {_difference(state, self.before)}"

    def wrong_next_run(self) -> Iterator[str]:
        """Run again without a fault, and yield what differs from an undisturbed run."""
        end = self._scenario.run(self.place)
        state = self._state()
        if end.failed:
            yield f"the next run does not mend it: {end.text}{end.traceback}"
        elif isinstance(state, str) or state != self.after:
            yield f"after the next run {state if isinstance(state, str) else _difference(state, self.after)}"
        left = [str(path) for path in self.place.rglob(".*") if any(part in path.name for part in _LEFT_OVER)]
        if left and not end.failed:
            yield f"left behind: {', '.join(left)}"

    def _state(self) -> HomeState | str:
        try:
            return self._scenario.state(self.place)
        except Exception as error:  # noqa: BLE001  whatever it is, it is the finding
            return f"the state cannot be read: {type(error).__name__}: {error}"


def _wrong_error(end: CommandEnd, place: Path) -> Iterator[str]:
    if end.traceback:
        yield f"a traceback: {end.traceback}"
    elif end.failed and len(end.text.strip().splitlines()) != 1:
        yield f"not one line: {end.text!r}"
    elif end.failed and str(place) not in end.text:
        yield f"no file is named: {end.text!r}"


def _difference(found: HomeState, expected: HomeState) -> str:
    keys = [key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key)]
    return "; ".join(
        f"{key}: {found.get(key)!r}, not {expected.get(key)!r}"[:300] for key in sorted(keys)[:5]
    )


def _main(folder: str, extent: str, most: str, *names: str) -> None:
    found = {}
    for name in names:
        place = Path(folder, name)
        place.mkdir()
        injector = FaultInjector(SCENARIOS[name], place)
        faults = faults_of(injector.calls, every=extent == "every")
        faults = random.Random(name).sample(faults, min(int(most), len(faults)))  # noqa: S311  no secret
        wrong = {str(fault): problems for fault in faults if (problems := list(injector.wrong_with(fault)))}
        found[name] = {"injected": len(faults), "wrong": wrong}
    print_result(found)


if __name__ == "__main__":
    _main(*sys.argv[1:])
