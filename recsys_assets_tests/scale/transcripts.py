"""All that a build leaves and a server answers, in one home and on servers: `python -m … FORM DAYS FOLDER`, as JSON.

A process of its own for each form, since the one with a Ray cluster runs inside of the cluster's network namespace, and
starts its other servers there.
"""

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from recsys_assets.benchmarks.ray_nodes import ADDRESS
from recsys_assets.benchmarks.scale_servers import BUCKET, postgres, seaweed
from recsys_assets.benchmarks.serving_load import get_body, running, wait_until_answered
from recsys_assets.benchmarks.store_timings import store_variables
from recsys_assets.launching.launcher import free_port
from recsys_assets.orchestration.fingerprints import Inputs
from recsys_assets.quality.open_ledger import open_ledger
from recsys_assets.quality.pending_writes import TABLES
from recsys_assets.release.current import read_current
from recsys_assets.release.manifest import MANIFEST_FILE
from recsys_assets.settings import load_settings
from recsys_assets.storage.home import Home
from recsys_assets.storage.store_binding import bind
from recsys_assets_tests.identity.contents import content
from recsys_assets_tests.identity.normalise import json_value
from recsys_assets_tests.ray_clusters import workers_beside

FORMS = ("local", "s3", "cluster", "killed")
"""`killed` is `cluster`, one of whose workers is killed while it lands days."""
QUICK = {"RECSYS_TRAINING__MODEL": "ials", "RECSYS_REPORT__DAYS": "0"}
"""For a few days."""
USERS = 50
STRETCH_DAYS = 5
LANDING = "ray::land_stret"
"""Name of a process that lands a stretch, as far as the kernel keeps it."""


def transcript(home: Home, *, follows: bool) -> dict[str, Any]:
    """Release, days, artifacts, ledger, and answers of a server.

    Args:
        home: a built home.
        follows: serve by a replica of the object store.
    """
    release, places = read_current(home.releases), {str(home.root): "HOME"}
    inputs = Inputs(home, load_settings(home))
    days = {
        f"{name} {day}": file.checksum
        for name, store in (("raw", inputs.raw_store), ("interactions", inputs.interaction_store))
        for day, file in store.files().items()
    }
    made = {
        str(file.relative_to(home.root)): fingerprint(file, places)
        for folder in (home.artifacts, home.releases / str(release))
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not file.name.startswith(".")
    }
    return {
        "release": release,
        "days": days,
        "files": made,
        "ledger": ledger_rows(home),
        "answers": answers(home, follows=follows),
    }


def fingerprint(file: Path, places: dict[str, str]) -> Any:
    """The SHA-256 of a file; the content of one that holds clocks too, without them."""
    if file.suffix == ".json" and file.name != MANIFEST_FILE:
        return json.loads(json.dumps(content(file, places)))
    if file.name == MANIFEST_FILE:
        return sorted(json.loads(file.read_text())["files"])  # its id is of their content
    return hashlib.sha256(file.read_bytes()).hexdigest()


def ledger_rows(home: Home) -> dict[str, list[str]]:
    """Every row of the ledger, without the times."""
    copy, found = home.root.with_name("ledger.sqlite"), {}
    with open_ledger(home) as ledger:
        ledger.copy_to(copy)
    with closing(sqlite3.connect(copy)) as connection:
        for table, names in TABLES.items():
            shown = ", ".join(name for name in names if name != "checked_at")
            rows = connection.execute(f"SELECT {shown} FROM {table} ORDER BY 1, 2")
            found[table] = [repr(row) for row in rows]
    return found


def answers(home: Home, *, follows: bool) -> dict[str, Any]:
    """Lists of 50 users, and what else a page shows of the release."""
    with served(home, follows=follows) as port:
        paths = [f"/v1/users/{user}/recommendations?k=10" for user in range(1, USERS + 1)]
        found = {path: reply(port, path) for path in paths}
    assert sum("items" in one for one in found.values()) > USERS / 2
    return found


def reply(port: int, path: str) -> Any:
    try:
        return json_value(json.loads(get_body(port, path)), {})
    except OSError as error:  # a user that these days do not have
        return str(error)


@contextmanager
def served(home: Home, *, follows: bool) -> Iterator[int]:
    """A server of the home, or a replica of its store with an empty cache."""
    port, log = free_port(), home.root.with_name("serve.log")
    command = [sys.executable, "-m", "recsys_assets", "serve", "--port", str(port)]
    if follows:
        command += [
            "--from",
            os.environ["RECSYS_STORAGE__ROOT"],
            "--cache",
            str(home.root.with_name("cache")),
        ]
    else:
        command += ["--home", str(home.root)]
    with (
        log.open("wb") as file,
        running(command, os.environ, stdout=file, stderr=file) as process,
    ):
        wait_until_answered(port, "/health/ready", process)
        yield port


def variables(form: str, folder: Path, stack: ExitStack) -> dict[str, str]:
    """Start the servers of a form, and return the variables with which commands use them."""
    found: dict[str, str] = {}
    if form != "local":
        found |= store_variables(stack.enter_context(seaweed(folder / "objects")), "home")
        assert BUCKET in found["RECSYS_STORAGE__ROOT"]
    if form in {"cluster", "killed"}:
        url = stack.enter_context(postgres()).url
        found |= {
            "RECSYS_DAGSTER__POSTGRES": url,
            "RECSYS_LEDGER__POSTGRES": url,
            "RECSYS_LAUNCHER__KIND": "ray",
            "RECSYS_LAUNCHER__ADDRESS": ADDRESS,
            "RECSYS_LAUNCHER__STRETCH_DAYS": str(STRETCH_DAYS),
            "RECSYS_LAUNCHER__SHARDS": "1",
        }
    return found


def kill_a_worker(build: "subprocess.Popen[bytes]") -> None:
    """Kill the first process of this network namespace that lands a stretch of days."""
    while build.poll() is None:
        for process in workers_beside(LANDING):
            with suppress(psutil.NoSuchProcess):
                process.kill()
                return
        time.sleep(0.02)
    raise SystemExit("no worker landed days")


def main(form: str, days: int, folder: Path) -> dict[str, Any]:
    """Build the default's first days in one form, and return its transcript."""
    home, log = Home(folder / "home"), folder / "build.log"
    command = [sys.executable, "-m", "recsys_assets", "build", "--days", str(days), "--home", str(home.root)]
    with ExitStack() as stack:
        os.environ.update(variables(form, folder, stack))
        with log.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=file) as build:
            if form == "killed":
                kill_a_worker(build)
        if build.returncode:
            raise SystemExit(f"{form}: {log.read_text()[-3000:]}")
        bind(home, os.environ)
        return transcript(home, follows=form != "local")


if __name__ == "__main__":
    made = main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
    Path(sys.argv[3], "transcript.json").write_text(json.dumps(made))
