"""Load on an HTTP server: by `wrk` where it is installed, else by a small generator in Python."""

import asyncio
import json
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from litestar import Litestar, get
from litestar.types import ASGIApp

from recsys_assets.api.app import build_app
from recsys_assets.api.http.bodies import PRIVATE, Reply

CONNECTIONS = 16

_LUA = """
local prepared = {}
function init(args)
  math.randomseed(os.time())
  for line in io.lines(args[1]) do
    local path, body = line:match("^(%S+)%s?(.*)$")
    if body == "" then
      prepared[#prepared + 1] = wrk.format("GET", path)
    else
      prepared[#prepared + 1] = wrk.format("POST", path, {["Content-Type"] = "application/json"}, body)
    end
  end
end
function request() return prepared[math.random(#prepared)] end
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('\\n{"requests": %d, "seconds": %f, "p50_us": %f, "p99_us": %f, "errors": %d}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request to repeat."""

    path: str
    """With the query."""
    body: bytes = b""
    """JSON; a POST where there is one."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What one run found."""

    rps: float
    """Requests answered a second."""
    p50_ms: float
    """Half were answered within, ms."""
    p99_ms: float
    """99 of 100 were answered within, ms."""
    errors: int
    """Requests without an answer of status 2xx or 3xx."""


def drive(port: int, requests: Sequence[Request], *, seconds: float, cpu: int | None = None) -> Load:
    """Ask random ones of the requests over 16 connections for so long.

    Args:
        port: on 127.0.0.1.
        requests: at least one.
        seconds: how long.
        cpu: the core to run on, where that can be chosen.
    """
    wrk = shutil.which("wrk")
    if wrk is None:
        return asyncio.run(_drive_in_python(port, requests, seconds))
    with tempfile.TemporaryDirectory() as folder:
        script, listed = Path(folder, "load.lua"), Path(folder, "requests.txt")
        script.write_text(_LUA)
        listed.write_bytes(b"\n".join(request.path.encode() + b" " + request.body for request in requests))
        command = [*pinned(cpu), wrk, "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", "--latency"]
        command += ["-s", str(script), f"http://127.0.0.1:{port}", "--", str(listed)]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return Load(
        rps=found["requests"] / found["seconds"],
        p50_ms=found["p50_us"] / 1000,
        p99_ms=found["p99_us"] / 1000,
        errors=found["errors"],
    )


def pinned(cpu: int | None) -> list[str]:
    """What to put before a command so that it runs on one core; nothing where that can't be chosen."""
    taskset = shutil.which("taskset")
    return [] if cpu is None or taskset is None else [taskset, "-c", str(cpu)]


async def _drive_in_python(port: int, requests: Sequence[Request], seconds: float) -> Load:
    encoded = [_encode(request) for request in requests]
    ends = time.perf_counter() + seconds
    times: list[float] = []
    errors = 0

    async def one_connection(rng: random.Random) -> None:
        nonlocal errors
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (started := time.perf_counter()) < ends:
            writer.write(rng.choice(encoded))
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
            )
            await reader.readexactly(length)
            errors += head[9:10] not in {b"2", b"3"}
            times.append(time.perf_counter() - started)
        writer.close()

    await asyncio.gather(*(one_connection(random.Random(seed)) for seed in range(CONNECTIONS)))  # noqa: S311
    p50, p99 = np.percentile(times, [50, 99])
    return Load(rps=len(times) / seconds, p50_ms=float(p50) * 1000, p99_ms=float(p99) * 1000, errors=errors)


def _encode(request: Request) -> bytes:
    method = "POST" if request.body else "GET"
    head = f"{method} {request.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    if request.body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(request.body)}\r\n"
    return head.encode() + b"\r\n" + request.body


PREPARED_VARIABLE = "RECSYS_PREPARED_ANSWER"
"""File with the bytes of the prepared answer, read when that is first asked for."""
PREPARED_PATH = "/prepared"


def build_with_prepared() -> Litestar:
    """The product's application and `GET /prepared`, which sends the same bytes every time."""
    app = build_app()

    @cache
    def body() -> bytes:
        return Path(os.environ[PREPARED_VARIABLE]).read_bytes()

    @get(PREPARED_PATH, sync_to_thread=False, include_in_schema=False)
    def prepared() -> ASGIApp:
        return Reply(body(), release=b"prepared", etag="prepared", cache=PRIVATE)

    app.register(prepared)
    return app
