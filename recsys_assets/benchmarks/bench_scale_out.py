"""`recsys bench scale_out`: the product on an object store, Ray and Postgres, through its own commands.

Each part starts the servers that it needs on loopback. A part whose server is not installed is reported as null, with a
line on stderr.
"""

import sys
import tempfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Final

from recsys_assets.benchmarks.followed_promotions import follow
from recsys_assets.benchmarks.harness import machine
from recsys_assets.benchmarks.ray_nodes import missing_ray
from recsys_assets.benchmarks.ray_timings import cluster_days, cluster_training, killed_worker
from recsys_assets.benchmarks.scale_servers import missing_postgres, missing_seaweed, postgres, seaweed
from recsys_assets.benchmarks.store_timings import overhead, races
from recsys_assets.errors import InputError
from recsys_assets.orchestration.measured_events import postgres_ms_per_event

PARTS: Final = ("days", "kill", "train", "s3", "races", "replica", "postgres")
"""Names for `--only`, in their order."""


def run(*, only: Collection[str] = PARTS) -> dict[str, Any]:
    """Land, train, build, promote and record on an object store, Ray and Postgres on this machine.

    Args:
        only: names of `PARTS`.

    Returns:
        `days_per_second` of landing 180 days: `in_process`, `one_node` and `two_nodes` of Ray, with `cores`;
        `worker_kill_recovered_seconds` until another worker has the stretch of a killed one, and `lost_days` after it;
        `train_equal`, the largest difference between embeddings of two nodes and of one process;
        `memory_per_node_share` of two nodes; `s3_overhead`, the time of a build of 60 days on S3 divided by that on a
        folder; `swap_races_won` of 200 by exactly one of 4 processes; `replica_follow_seconds` until both replicas
        answer by a promoted release, the longest; `replica_damaged_refused`; `postgres_ms_per_event`; the details of
        each part, and the machine. What was not measured is None.

    Raises:
        InputError: there is no part of a name.
    """
    unknown = sorted({*only} - {*PARTS})
    if unknown:
        raise InputError(f"no part {', '.join(unknown)} of scale_out; there are: {', '.join(PARTS)}")
    details: dict[str, Any] = {}
    for name, (missing, measure) in _parts().items():
        if name not in only:
            continue
        why = missing()
        if why is not None:
            _say(f"{name}: not measured: {why}")
            continue
        _say(f"{name}: …")
        with tempfile.TemporaryDirectory(prefix="recsys-bench-scale-out-") as folder:
            details[name] = measure(Path(folder))
    return {**_figures(details), "details": details, "machine": machine("dagster", "polars", "litestar")}


def _parts() -> dict[str, tuple[Callable[[], str | None], Callable[[Path], dict[str, Any]]]]:
    """Return each part's check for its server, and its measurement in a folder of its own."""
    return {
        "days": (missing_ray, cluster_days),
        "kill": (missing_ray, killed_worker),
        "train": (missing_ray, cluster_training),
        "s3": (missing_seaweed, _on_store(overhead)),
        "races": (missing_seaweed, _on_store(races)),
        "replica": (missing_seaweed, _on_store(follow)),
        "postgres": (missing_postgres, _on_postgres),
    }


def _on_store(measure: Callable[..., dict[str, Any]]) -> Callable[[Path], dict[str, Any]]:
    """Return a measurement that gets an object store of its own."""

    def measured(folder: Path) -> dict[str, Any]:
        with seaweed(folder / "objects") as server:
            return measure(folder, server)

    return measured


def _on_postgres(_: Path) -> dict[str, Any]:
    with postgres() as server:
        found = postgres_ms_per_event(server.url)
    return {"events": found.events, "ms_per_event": found.ms_per_event}


def _figures(details: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures in their fixed names; None where their part was not measured."""

    def of(part: str, name: str) -> Any:
        return details[part][name] if part in details else None

    return {
        "days_per_second": of("days", "days_per_second"),
        "train_equal": of("train", "max_difference"),
        "worker_kill_recovered_seconds": of("kill", "recovered_seconds"),
        "lost_days": of("kill", "lost_days"),
        "s3_overhead": of("s3", "ratio"),
        "replica_follow_seconds": of("replica", "follow_seconds"),
        "replica_damaged_refused": of("replica", "damaged_refused"),
        "swap_races_won": of("races", "won_by_one"),
        "postgres_ms_per_event": of("postgres", "ms_per_event"),
        "memory_per_node_share": of("train", "memory_per_node_share"),
    }


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
