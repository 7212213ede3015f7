"""Load on an HTTP server, and the two applications that the product's recommendations are compared with.

The load comes from `wrk` where that is installed, else from a small generator in Python. One application sends a
prepared answer from the product's own server, the other is the plain FastAPI and numpy version.
"""

import asyncio
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from litestar import Litestar, get
from litestar.types import ASGIApp

from recsys_assets.api.app import build_app
from recsys_assets.api.http.bodies import PRIVATE, Reply
from recsys_assets.errors import RecsysError
from recsys_assets.storage.string_table import StringTable, Vocabulary

if TYPE_CHECKING:
    from fastapi import FastAPI

CONNECTIONS = 16
_READY_WITHIN_SECONDS = 60
PREPARED_VARIABLE = "RECSYS_PREPARED_ANSWER"
"""Environment variable: file with the bytes of the prepared answer, read at its first request."""
PREPARED_PATH = "/prepared"

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
class LoadRequest:
    """One request to repeat."""

    path: str
    """With the query."""
    body: bytes = b""
    """JSON of a POST; empty for a GET."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """Results of one run."""

    rps: float
    """Requests answered a second."""
    p50_ms: float
    """Median response time, ms."""
    p99_ms: float
    """99th percentile of the response time, ms."""
    errors: int
    """Requests without an answer of status 2xx or 3xx."""


def drive(port: int, requests: Sequence[LoadRequest], *, seconds: float, cpu: int | None = None) -> Load:
    """Send random requests over 16 connections.

    Args:
        port: on 127.0.0.1.
        requests: to choose from, at least one.
        seconds: duration.
        cpu: core to run on, where that can be chosen.
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
    """Return the prefix that makes a command run on one core; nothing where that can't be chosen."""
    taskset = shutil.which("taskset")
    return [] if cpu is None or taskset is None else [taskset, "-c", str(cpu)]


@contextmanager
def running(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    stdout: int | None = None,
    stderr: int | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command while the block runs; its process is ended by SIGTERM, else killed. Streams as for `Popen`."""
    with subprocess.Popen(command, env=environment, stdout=stdout, stderr=stderr) as process:  # noqa: S603  our own command
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()  # else the end of `Popen`'s block waits for ever
                raise


def wait_until_answered(port: int, path: str, process: subprocess.Popen[bytes]) -> float:
    """Return the seconds until a server answers.

    Raises:
        RecsysError: it ended, or did not answer within a minute.
    """
    started = time.perf_counter()
    while process.poll() is None and time.perf_counter() - started < _READY_WITHIN_SECONDS:
        try:
            get_body(port, path)
        except OSError:
            time.sleep(0.01)
        else:
            return time.perf_counter() - started
    raise RecsysError(f"the server on port {port} does not answer {path}; its own output above says why")


def get_body(port: int, path: str) -> bytes:
    """Return the body of an answer of status 200; OSError for any other."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        body: bytes = answer.read()
    return body


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


async def _drive_in_python(port: int, requests: Sequence[LoadRequest], seconds: float) -> Load:
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


def _encode(request: LoadRequest) -> bytes:
    method = "POST" if request.body else "GET"
    head = f"{method} {request.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    if request.body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(request.body)}\r\n"
    return head.encode() + b"\r\n" + request.body


def build_with_prepared() -> Litestar:
    """Build the product's application with `GET /prepared`, which sends the same bytes every time."""
    app = build_app()

    @cache
    def body() -> bytes:
        return Path(os.environ[PREPARED_VARIABLE]).read_bytes()

    @get(PREPARED_PATH, sync_to_thread=False, include_in_schema=False)
    def prepared() -> ASGIApp:
        return Reply(body(), release=((b"x-release-id", b"prepared"),), etag="prepared", cache=PRIVATE)

    app.register(prepared)
    return app


def naive_app(folder: Path) -> "FastAPI":
    """Build the application that a competent engineer writes in an hour, on the same embeddings.

    FastAPI, exact scoring in numpy, a set for the seen items.
    """
    from fastapi import FastAPI, HTTPException  # noqa: PLC0415  only in its own process

    release_id = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["release_id"]
    item_ids = list(StringTable.load(folder, "items"))
    titles = list(StringTable.load(folder, "titles"))
    categories = list(StringTable.load(folder, "categories"))
    users = {user_id: num for num, user_id in enumerate(Vocabulary.load(folder, "users"))}
    user_embeddings = np.load(folder / "user_embeddings.npy")
    item_embeddings = np.load(folder / "item_embeddings.npy")
    indptr = np.load(folder / "seen_indptr.npy")
    seen_items = np.load(folder / "seen_items.npy")
    app = FastAPI()

    @app.get("/v1/users/{user_id}/recommendations")  # type: ignore[untyped-decorator, unused-ignore]
    def recommend(user_id: str, k: int = 10) -> dict[str, Any]:
        """Return the k best items that the user does not have."""
        if user_id not in users:
            raise HTTPException(404, "unknown user")
        num = users[user_id]
        seen = set(seen_items[indptr[num] : indptr[num + 1]].tolist())
        scores = item_embeddings @ user_embeddings[num]
        reach = min(k + len(seen), len(scores))
        candidates = np.argpartition(-scores, reach - 1)[:reach]
        ranked = candidates[np.argsort(-scores[candidates])]
        items = [
            {
                "item_id": item_ids[item],
                "title": titles[item],
                "category": categories[item],
                "score": float(scores[item]),
            }
            for item in ranked.tolist()
            if item not in seen
        ][:k]
        return {"release": release_id, "user_id": user_id, "items": items}

    return app


def serve_naive(folder: Path, port: int) -> None:
    """Serve the naive application by uvicorn, until the process is ended."""
    import uvicorn  # noqa: PLC0415  only in its own process

    uvicorn.run(naive_app(folder), host="127.0.0.1", port=port, log_level="error", access_log=False)


if __name__ == "__main__":
    serve_naive(Path(sys.argv[1]), int(sys.argv[2]))
