"""Runs every command where nothing can be written: in a read-only home, and on a full disk.

Started with the shim as a process of its own. Prints one JSON object: command -> what is wrong with its end.
"""

import errno
import sys
from pathlib import Path

from recsys_assets.benchmarks import fault_scenarios, release_scenarios
from recsys_assets.benchmarks.fault_scenarios import home_of, recsys
from recsys_assets.benchmarks.file_faults import FileFault, FileShim
from recsys_assets.benchmarks.harness import print_result

COMMANDS = {
    "init": ("--force", "--source", "tabular:PLACE/events.csv"),
    "recommend": ("u0000001",),
    "doctor": (),
    "build": (),
    "land": ("--from", "2024-05-01"),
    "plan": ("--no-sample",),
    "replay": ("2024-05-01",),
    "stream": ("--from", "2024-05-01"),
    "tune": ("--minutes", "0"),
    "export": ("--to", "PLACE/new.csv"),
    "releases list": (),
    "releases history": (),
    "releases diff": ("OTHER", "current"),
    "releases promote": ("OTHER",),
    "releases rollback": (),
    "releases recall": ("2024-05-01", "--why", "prices"),
    "releases verify": (),
    "releases prune": ("--keep", "1"),
    "items state": ("i1", "--hide"),
    "items states": (),
    "items log": (),
    "rules check": (),
    "rules test": (),
    "rules diff": ("PLACE/home/rules.toml", "PLACE/home/rules.toml"),
    "experiments list": (),
    "experiments show": ("taste",),
    "experiments stop": ("taste", "--why", "it is so"),
    "quarantine list": (),
    "quarantine show": ("2024-05-01",),
    "quarantine accept": ("2024-05-01", "--why", "it is so"),
    "quarantine drop": ("2024-05-01",),
    "report": ("2024-05-02",),
    "features": ("--to", "PLACE/then"),
    "lineage": ("2024-05-01",),
    "online": (),
    "notices list": (),
    "notices send": (),
    "prune": (),
    "forget": ("u0000001", "--yes"),
    "keys add": ("shop",),
    "keys list": (),
    "keys revoke": ("0",),
    "store show": (),
    "store leave": (),
}
NOT_RUN = {"up", "serve", "sources", "bench", "deploy compose", "deploy k8s", "deploy systemd"}
"""Commands that serve until they are stopped, or that have no home."""
READS = {
    "recommend",
    "doctor",
    "releases list",
    "releases history",
    "releases diff",
    "releases verify",
    "items states",
    "items log",
    "rules check",
    "experiments list",
    "quarantine list",
    "lineage",
    "online",
    "notices list",
    "keys list",
    "store show",
    "store leave",
}
"""Commands that work all the same."""
REASONS = ("Read-only file system", "No space left", "disk is full", "readonly database", "disk I/O error")
UNWRITABLE = {
    "read-only": FileFault("any", "/home*", 1, errno.EROFS, on=True),
    "full disk": FileFault("write", "*", 1, errno.ENOSPC, on=True),
}


def main(folder: str) -> None:
    place = Path(folder).resolve()
    release_scenarios.prepare_releases(place)
    fault_scenarios.prepare_rejected(place)
    other = release_scenarios.newest_release(place)
    shim, found = FileShim(place), {}
    for why, fault in UNWRITABLE.items():
        for command, arguments in COMMANDS.items():
            given = [one.replace("PLACE", str(place)).replace("OTHER", other) for one in arguments]
            with shim.failing(fault):
                end = recsys(*command.split(), "--home", str(home_of(place).root), *given)
            wrong = [end.traceback] if end.traceback else []
            if len(end.text.strip().splitlines()) > 1:
                wrong.append(f"not one line: {end.text}")
            if any(reason in end.text for reason in REASONS) and str(place) not in end.text:
                wrong.append(f"names no file: {end.text}")
            if end.failed and command in READS:
                wrong.append(f"it only reads, but fails: {end.text}")
            found[f"{command}, {why}"] = wrong
    print_result({"ends": len(found), "wrong": {name: wrong for name, wrong in found.items() if wrong}})


if __name__ == "__main__":
    main(*sys.argv[1:])
