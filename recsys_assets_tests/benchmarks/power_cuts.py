"""Cuts the power under a scenario: after its end, and at places within, in each way that `Cut` names.

Started with the shim as a process of its own, with the scenario's name, a folder and the number of places. Prints one
JSON object: the number of cuts, and each one after which something is wrong.
"""

import sys
from copy import deepcopy
from pathlib import Path

from recsys_assets.benchmarks.file_faults import SCENARIOS, FaultInjector
from recsys_assets.benchmarks.harness import print_result
from recsys_assets_tests.benchmarks.lost_writes import Cut, LostDisk, Record, read_records


def places_in(records: list[Record], count: int) -> list[int]:
    """Return at most `count` places, just before a sync or a rename where there are enough of them."""
    steps = [n for n, record in enumerate(records) if record.what in {"sync", "syncdir", "rename", "unlink"}]
    return sorted({steps[n * len(steps) // count] for n in range(count)}) if steps else []


def cut(name: str, folder: Path, count: int) -> dict[str, object]:
    """Cut the power in each way at the end of a scenario, and at `count` places in one of them."""
    folder.mkdir()
    injector = FaultInjector(SCENARIOS[name], folder)
    injector.reset()
    before = LostDisk(injector.place)
    with injector.shim.recording(folder / "record"):
        SCENARIOS[name].run(injector.place)
    records = list(read_records(folder / "record"))
    disk = deepcopy(before)
    disk.apply(*records)
    wrong: dict[str, object] = {}
    if unseen := disk.unlike(injector.place):
        wrong["writes that were not seen"] = unseen
    ways = list(Cut)
    cuts = [(len(records), way) for way in ways]
    cuts += [(place, ways[n % len(ways)]) for n, place in enumerate(places_in(records, count))]
    for number, (place, way) in enumerate(cuts):
        disk = deepcopy(before)
        disk.apply(*records[:place])
        disk.leave(way, seed=number)
        found = list(injector.wrong_state(reported=place == len(records)))
        # a staged file may lie there until its next write
        found += [one for one in injector.wrong_next_run() if not one.startswith("left behind")]
        if found:
            last = records[place - 1]
            wrong[f"{place} of {len(records)}, after {last.what} {last.path}, {way.name}"] = found
    return {"cuts": len(cuts), "wrong": wrong}


def main(folder: str, count: str, *names: str) -> None:
    print_result({name: cut(name, Path(folder, name), int(count)) for name in names})


if __name__ == "__main__":
    main(*sys.argv[1:])
