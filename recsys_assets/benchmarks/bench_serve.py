"""`recsys bench serve`: real servers, each with one worker, driven over HTTP with random real users.

All runs alternate and medians are reported, so that a busy machine slows every figure alike. Every answer is
computed for its request; none is cached. `recommend` starts from the candidates that the release holds for each
user; `live` is the same request with `include_seen=true`, which searches the index for every answer.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil

from recsys_assets.benchmarks.harness import machine
from recsys_assets.benchmarks.serving_load import (
    CONNECTIONS,
    PREPARED_PATH,
    PREPARED_VARIABLE,
    Load,
    LoadRequest,
    drive,
    free_port,
    get_body,
    pinned,
    running,
    wait_until_answered,
)
from recsys_assets.benchmarks.serving_worlds import USERS_WITH_CANDIDATES, publish_default, publish_synthetic
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.storage.home import Home
from recsys_assets.storage.string_table import Vocabulary

LIBRARIES = ("litestar", "granian", "msgspec", "numpy", "usearch", "fastapi", "uvicorn")
_REQUESTS = 5_000
_SESSION_ITEMS = 5
_POPULAR = 5_000


def run(
    *, seconds: float = 3.0, rounds: int = 3, million: int = 1_000_000, home: Home | None = None
) -> dict[str, Any]:
    """Drive the server over HTTP: answers a second and response times, against a prepared answer and a naive API.

    The limit of anonymous callers counts as by default, but allows more than the load, so that its cost is measured.

    Args:
        seconds: duration of each run.
        rounds: runs a figure, alternating with those of the other figures.
        million: users and items of the synthetic release; 0 leaves it out.
        home: an installation to measure; None builds the embedded default in a temporary folder.

    Returns:
        `static_rps`, then `recommend_rps`, `recommend_p50_ms`, `recommend_p99_ms` and the same for `live`,
        `home` (the default scenario of the rules), `cold_user`, `session` and `similar`; `naive_rps`; ratios
        of these, as the median of the rounds; `ready_seconds`; `rss_mb` of all processes of the server after
        `requests` answers, and `pss_mb`, which counts pages that they share once; `errors`; under `million`
        the same keys; and the machine.
    """
    with tempfile.TemporaryDirectory(prefix="recsys-bench-serve-") as folder:
        if home is None:
            home = Home(Path(folder, "default"))
            publish_default(home)
        found = _measure(home, seconds=seconds, rounds=rounds)
        if million:
            large = Home(Path(folder, "million"))
            publish_synthetic(large, users=million, items=million)
            found["million"] = {
                "users": million,
                "items": million,
                **_measure(
                    large, seconds=seconds, rounds=rounds, naive=False, users_requested=USERS_WITH_CANDIDATES
                ),
            }
    return {**found, "connections": CONNECTIONS, "machine": machine(*LIBRARIES)}


def _measure(
    home: Home, *, seconds: float, rounds: int, naive: bool = True, users_requested: int | None = None
) -> dict[str, Any]:
    current = ReleaseStore(home.releases).current_id()
    release = home.releases / str(current)
    requests = _requests(release, users_requested)
    server_core, load_core = (0, 1) if (os.cpu_count() or 1) > 1 else (None, None)
    with tempfile.TemporaryDirectory() as scratch, _product(home, Path(scratch), server_core) as product:
        port = product.port
        product.prepare(requests["recommend"][0])
        requests = {"static": [LoadRequest(path=PREPARED_PATH)], **requests}
        runs: dict[str, list[Load]] = {name: [] for name in requests}
        naive_runs: list[Load] = []
        with _naive(release, server_core, wanted=naive) as naive_port:
            for _ in range(rounds):
                for name, wanted in requests.items():
                    runs[name].append(drive(port, wanted, seconds=seconds, cpu=load_core))
                if naive_port is not None:
                    wanted = requests["recommend"]
                    naive_runs.append(drive(naive_port, wanted, seconds=seconds, cpu=load_core))
        answered = sum(round(load.rps * seconds) for loads in runs.values() for load in loads)
        rss_mb, pss_mb = _memory_mb(product.process)
    figures: dict[str, Any] = {}
    for name, loads in runs.items():
        figures[f"{name}_rps"] = median(load.rps for load in loads)
        figures[f"{name}_p50_ms"] = median(load.p50_ms for load in loads)
        figures[f"{name}_p99_ms"] = median(load.p99_ms for load in loads)
    for name in runs.keys() - {"static"}:
        figures[f"{name}_to_static"] = _ratio(runs[name], runs["static"])
    if naive_runs:
        figures["naive_rps"] = median(load.rps for load in naive_runs)
        figures["recommend_to_naive"] = _ratio(runs["recommend"], naive_runs)
    return {
        **figures,
        "ready_seconds": product.ready_seconds,
        "rss_mb": rss_mb,
        "pss_mb": pss_mb,
        "requests": answered,
        "errors": sum(load.errors for loads in [*runs.values(), naive_runs] for load in loads),
    }


def _ratio(ours: Sequence[Load], theirs: Sequence[Load]) -> float:
    return median(one.rps / other.rps for one, other in zip(ours, theirs, strict=True))


def _requests(release: Path, users_requested: int | None) -> Mapping[str, list[LoadRequest]]:
    rng = np.random.default_rng(0)
    users, items = Vocabulary.load(release, "users"), Vocabulary.load(release, "items")
    popular = np.load(release / "popular_items.npy", mmap_mode="r")[:_POPULAR]
    chosen = [users[int(num)] for num in rng.integers(0, users_requested or len(users), _REQUESTS)]
    wanted = [[items[int(num)] for num in rng.choice(popular, _SESSION_ITEMS)] for _ in range(_REQUESTS)]
    return {
        "recommend": [LoadRequest(path=f"/v1/users/{user}/recommendations?k=10") for user in chosen],
        "live": [
            LoadRequest(path=f"/v1/users/{user}/recommendations?k=10&include_seen=true") for user in chosen
        ],
        "home": [LoadRequest(path=f"/v1/users/{user}/recommendations?k=10&scenario=home") for user in chosen],
        "cold_user": [
            LoadRequest(path=f"/v1/users/stranger-{place}/recommendations?k=10") for place in range(_REQUESTS)
        ],
        "session": [
            LoadRequest(path="/v1/recommendations", body=json.dumps({"item_ids": ids, "k": 10}).encode())
            for ids in wanted
        ],
        "similar": [LoadRequest(path=f"/v1/items/{ids[0]}/similar?k=10") for ids in wanted],
    }


@dataclass(frozen=True, kw_only=True)
class _Product:
    """A running server of the product."""

    process: subprocess.Popen[bytes]
    port: int
    ready_seconds: float
    prepared: Path

    def prepare(self, request: LoadRequest) -> None:
        """Store the answer to a request as the prepared one."""
        self.prepared.write_bytes(get_body(self.port, request.path))


@contextmanager
def _product(home: Home, scratch: Path, core: int | None) -> Iterator[_Product]:
    port, prepared = free_port(), scratch / "prepared.json"
    code = (
        "import sys, pathlib; from recsys_assets.api.serving.server import serve;"
        " from recsys_assets.api_settings import ApiSettings; from recsys_assets.storage.home import Home;"
        " serve(Home(pathlib.Path(sys.argv[1])), port=int(sys.argv[2]),"
        " settings=ApiSettings(anonymous_requests_per_second=1e6, anonymous_burst=1e6),"
        " target='recsys_assets.benchmarks.serving_load:build_with_prepared')"
    )
    command = [*pinned(core), sys.executable, "-c", code, str(home.root), str(port)]
    environment = {**os.environ, PREPARED_VARIABLE: str(prepared)}
    with running(command, environment) as process:
        ready = wait_until_answered(port, "/health/ready", process)
        yield _Product(process=process, port=port, ready_seconds=ready, prepared=prepared)


@contextmanager
def _naive(release: Path, core: int | None, *, wanted: bool) -> Iterator[int | None]:
    if not wanted:
        yield None
        return
    port, module = free_port(), "recsys_assets.benchmarks.serving_load"
    command = [*pinned(core), sys.executable, "-m", module, str(release), str(port)]
    with running(command, os.environ) as process:
        wait_until_answered(port, "/openapi.json", process)
        yield port


def _memory_mb(process: subprocess.Popen[bytes]) -> tuple[float, float]:
    """Return RSS summed over the server's processes, and PSS, which counts shared pages once, MiB."""
    root = psutil.Process(process.pid)
    everyone = [root, *root.children(recursive=True)]
    found = [one.memory_full_info() for one in everyone]
    return float(sum(one.rss for one in found)) / 2**20, float(sum(one.pss for one in found)) / 2**20
