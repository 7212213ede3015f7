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
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

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

FORMS = ("local", "s3", "cluster")
QUICK = {"RECSYS_TRAINING__MODEL": "ials", "RECSYS_REPORT__DAYS": "0"}
"""For a few days."""
USERS = 50
STRETCH_DAYS = 5


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
    if form == "cluster":
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


def main(form: str, days: int, folder: Path) -> dict[str, Any]:
    """Build the default's first days in one form, and return its transcript."""
    home = Home(folder / "home")
    with ExitStack() as stack:
        os.environ.update(variables(form, folder, stack))
        command = [sys.executable, "-m", "recsys_assets", "build", "--days", str(days)]
        done = subprocess.run(
            [*command, "--home", str(home.root)], capture_output=True, text=True, check=False
        )
        (folder / "build.log").write_text(done.stdout + done.stderr)
        if done.returncode:
            raise SystemExit(f"{form}: {(done.stdout + done.stderr)[-3000:]}")
        bind(home, os.environ)
        return transcript(home, follows=form != "local")


if __name__ == "__main__":
    made = main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
    Path(sys.argv[3], "transcript.json").write_text(json.dumps(made))
