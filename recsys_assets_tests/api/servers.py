"""Real server processes, and a client that says exactly what it wants on the wire."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import httpx

from recsys_assets.api_settings import ApiSettings
from recsys_assets.storage.home import Home

_CODE = """
import sys
from pathlib import Path
import msgspec
from recsys_assets.api.serving.server import serve
from recsys_assets.api_settings import ApiSettings
from recsys_assets.storage.home import Home
home, port, workers, fallback, settings = sys.argv[1:]
serve(Home(Path(home)), port=int(port), workers=int(workers), fallback_previous=fallback == "True",
      settings=msgspec.json.decode(settings, type=ApiSettings))
"""


class Server(NamedTuple):
    """A running server."""

    process: subprocess.Popen[str]
    port: int
    url: str


class Answer(NamedTuple):
    """One HTTP/1.1 answer."""

    status: int
    headers: dict[str, str]
    body: bytes


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def command(
    home: Home,
    port: int,
    *,
    workers: int = 1,
    fallback_previous: bool = False,
    settings: ApiSettings = ApiSettings(),  # noqa: B008  immutable
) -> list[str]:
    import msgspec

    encoded = msgspec.json.encode(settings).decode()
    return [
        sys.executable,
        "-c",
        _CODE,
        str(home.root),
        str(port),
        str(workers),
        str(fallback_previous),
        encoded,
    ]


@contextmanager
def running(
    home: Home,
    *,
    workers: int = 1,
    fallback_previous: bool = False,
    settings: ApiSettings = ApiSettings(),  # noqa: B008  immutable
) -> Iterator[Server]:
    """A server that is ready; ended when the block ends."""
    port = free_port()
    arguments = command(home, port, workers=workers, fallback_previous=fallback_previous, settings=settings)
    with subprocess.Popen(
        arguments, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    ) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            wait_until_ready(process, url)
            yield Server(process, port, url)
        finally:
            process.terminate()
            process.communicate(timeout=60)


def wait_until_ready(process: subprocess.Popen[str], url: str, *, seconds: float = 60) -> None:
    """Ask until the server is ready, has ended, or the time is up."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server ended before it was ready"
        try:
            if httpx.get(f"{url}/health/ready", timeout=10).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"{url} was not ready within {seconds} s")


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> Answer:
    """Send bytes, read one answer."""
    writer.write(request)
    await writer.drain()
    return await read_answer(reader)


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {}
    for line in head[1:]:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Answer(int(head[0].split()[1]), headers, body)


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
