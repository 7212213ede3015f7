"""`recsys bench export`: plain lists of a million users into each kind of file, and a scenario's lists.

The release is synthetic; every user has the row of candidates of one of the first users, as a build of that size
leaves them. Each export runs in a process of its own, whose peak memory is taken, mapped pages included.
"""

import os
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from recsys_assets.benchmarks.harness import machine, peak_rss_mb, print_result, run_apart
from recsys_assets.exports.export_lists import ExportRequest, export_lists
from recsys_assets.storage.home import Home

K: Final = 10
FORMATS: Final = ("lists.parquet", "lists.csv.gz", "lists.jsonl.gz", "sqlite:lists.db")
SCENARIO: Final = "home"
_MODULE: Final = "recsys_assets.benchmarks.bench_export"


def run(
    *, users: int = 1_000_000, items: int = 50_000, ruled_users: int = 20_000, home: Path | None = None
) -> dict[str, Any]:
    """Export the plain lists of all users to each kind of target, and a scenario's lists of some of them.

    Args:
        users: of the synthetic release.
        items: of it.
        ruled_users: users whose lists the scenario makes.
        home: folder of the release; None takes a temporary one.

    Returns:
        `plain`, by target: `seconds`, `rows`, `megabytes`, `peak_rss_mb`; `delta`, the same for a second Parquet export
        with nothing changed; `scenario`, with `users_per_second`; and the machine.
    """
    from recsys_assets.benchmarks.serving_worlds import (  # noqa: PLC0415  it loads torch, which an export does not
        publish_synthetic,
    )

    with tempfile.TemporaryDirectory(prefix="recsys-export-") as scratch:
        place = home or Path(scratch) / "home"
        if not (place / "releases").exists():
            publish_synthetic(Home(place), users=users, items=items, fill=True)
        some = Path(scratch) / "some.txt"
        some.write_text("\n".join(f"u{num:07d}" for num in range(ruled_users)), encoding="utf-8")
        plain = {}
        for name in FORMATS:
            kind, _, file = name.rpartition(":")
            to = f"{kind}:{scratch}/{file}" if kind else f"{scratch}/{file}"
            plain[name] = run_apart(_MODULE, str(place), to)
            if name != FORMATS[0]:
                Path(scratch, file).unlink()
        delta = run_apart(_MODULE, str(place), f"{scratch}/{FORMATS[0]}", "--delta")
        ruled = run_apart(_MODULE, str(place), f"{scratch}/ruled.parquet", SCENARIO, str(some))
        return {
            "seconds": plain[FORMATS[0]]["seconds"],
            "peak_rss_mb": max(one["peak_rss_mb"] for one in plain.values()),
            "users": users,
            "items": items,
            "k": K,
            "plain": plain,
            "delta": delta,
            "scenario": {**ruled, "name": SCENARIO, "users_per_second": ruled_users / ruled["seconds"]},
            "cores": len(os.sched_getaffinity(0)),
            "machine": machine("polars", "pyarrow"),
        }


def main(home: str, to: str, scenario: str = "", users: str = "all") -> None:
    """Export once in this process, and print the time, the rows and the most memory."""
    delta = scenario == "--delta"
    request = ExportRequest(
        to=to, k=K, users=users, delta=delta, scenario=scenario if not delta and scenario else None
    )
    started = perf_counter()
    outcome = export_lists(Home(Path(home)), request)
    seconds = perf_counter() - started
    file = Path(to.removeprefix("sqlite:"))
    found = {
        "seconds": seconds,
        "rows": outcome.manifest.rows,
        "megabytes": file.stat().st_size / 1e6,
        "peak_rss_mb": peak_rss_mb(),
    }
    print_result(found)


if __name__ == "__main__":
    main(*sys.argv[1:])
