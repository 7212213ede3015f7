"""Parts of `recsys bench scale_out` on an object store: a build there against one in a folder, and raced promotions."""

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from shutil import rmtree
from statistics import median
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from recsys_assets.benchmarks.scale_servers import BUCKET, ObjectServer
from recsys_assets.errors import ObjectChangedError
from recsys_assets.release.current import RecordedMove
from recsys_assets.release.current_object import CurrentObject
from recsys_assets.storage.open_objects import open_store

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

ROUNDS: Final = 3
BUILT_DAYS: Final = 60
RACES: Final = 200
RACERS: Final = 4


def store_variables(server: ObjectServer, prefix: str) -> dict[str, str]:
    """Return the variables with which a command works on `s3://lake/PREFIX` of a server."""
    return {
        **server.environ,
        "RECSYS_STORAGE__ROOT": f"s3://{BUCKET}/{prefix}",
        "RECSYS_STORAGE__ENDPOINT": server.endpoint,
    }


def command(*arguments: str, home: Path, variables: Mapping[str, str] | None = None) -> float:
    """Run a `recsys` command of a home to its end, and return its wall seconds.

    Args:
        arguments: of `recsys`, without `--home`.
        home: the home's folder.
        variables: of the environment, beside this process's own.

    Raises:
        RuntimeError: it failed; with the end of what it printed.
    """
    started = time.monotonic()
    done = subprocess.run(  # noqa: S603  our own command
        [sys.executable, "-W", "ignore", "-m", "recsys_assets", *arguments, "--home", str(home)],
        env={**os.environ, **(variables or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"recsys {' '.join(arguments)}: {(done.stdout + done.stderr)[-2000:]}")
    return time.monotonic() - started


def overhead(
    folder: Path, server: ObjectServer, *, days: int = BUILT_DAYS, rounds: int = ROUNDS
) -> dict[str, Any]:
    """Build the default's first days in a folder and on an object store, in turn, each in a process of its own.

    Args:
        folder: for the homes.
        server: the object store.
        days: number of days.
        rounds: builds of each; medians are compared.

    Returns:
        `ratio`, `local_seconds` and `s3_seconds`, medians, and every `runs`.
    """
    runs: list[dict[str, float]] = []
    for number in range(rounds):
        one: dict[str, float] = {}
        places = {"local_seconds": {}, "s3_seconds": store_variables(server, f"build-{number}")}
        order = list(places) if number % 2 == 0 else list(reversed(places))
        for name in order:
            home = folder / name
            one[name] = command("build", "--days", str(days), home=home, variables=places[name])
            rmtree(home)
        runs.append(one)
    local, s3 = (median(one[name] for one in runs) for name in ("local_seconds", "s3_seconds"))
    return {"ratio": s3 / local, "local_seconds": local, "s3_seconds": s3, "days": days, "runs": runs}


def races(_: Path, server: ObjectServer, *, number: int = RACES, racers: int = RACERS) -> dict[str, Any]:
    """Let processes promote after the same record of `current`, again and again.

    Args:
        server: the object store.
        number: of races.
        racers: processes.

    Returns:
        `won_by_one`, races that exactly one process won and whose record is its; `races` and `racers`.
    """
    spawned = multiprocessing.get_context("spawn")
    current = CurrentObject(
        open_store(f"s3://{BUCKET}/races", endpoint=server.endpoint, environ=server.environ)
    )
    running: list[tuple[Connection, BaseProcess]] = []
    for racer in range(racers):
        ours, theirs = spawned.Pipe()
        process: BaseProcess = spawned.Process(
            target=_race, args=(theirs, server.endpoint, server.environ, racer)
        )
        process.start()
        running.append((ours, process))
    try:
        won = sum(_won_by_one(current, [pipe for pipe, _ in running], race) for race in range(number))
    finally:
        for pipe, process in running:
            pipe.close()
            process.join(30)
    return {"won_by_one": won, "races": number, "racers": racers}


class _Outcome(NamedTuple):
    """The end of one racer's try."""

    won: bool
    release: str


def _won_by_one(current: CurrentObject, pipes: list[Connection], race: int) -> bool:
    """Run one race: all have read the same record before any of them may swap."""
    for step in ("read", "swap"):
        for pipe in pipes:
            pipe.send((step, race))
        answers = [pipe.recv() for pipe in pipes]
    winners = [answer.release for answer in answers if answer.won]
    found = current.read()
    return len(winners) == 1 and found is not None and found.record.release == winners[0]


def _race(pipe: Connection, endpoint: str, environ: Mapping[str, str], racer: int) -> None:
    """Do what the other end says, until it closes."""
    current = CurrentObject(open_store(f"s3://{BUCKET}/races", endpoint=endpoint, environ=environ))
    seen = None
    while True:
        try:
            step, race = pipe.recv()
        except EOFError:
            return
        release = f"race-{race}-{racer}"
        if step == "read":
            seen = current.read()
            pipe.send(_Outcome(won=False, release=release))
            continue
        before = None if seen is None else seen.record.release
        move = RecordedMove(at=datetime.now(UTC), move="promote", before=before, after=release)
        try:
            current.swap(move, seen=seen)
        except ObjectChangedError:
            pipe.send(_Outcome(won=False, release=release))
        else:
            pipe.send(_Outcome(won=True, release=release))
