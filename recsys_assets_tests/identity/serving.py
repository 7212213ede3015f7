"""The section `api`: servers of one home, and what they answer."""

import gzip
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import brotli

from recsys_assets_tests.identity import contents, normalise, requests, writes
from recsys_assets_tests.identity.homes import copied, release_of
from recsys_assets_tests.identity.requests import Ask
from recsys_assets_tests.identity.running import Product

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_IGNORED_HEADERS: Final = frozenset({"connection", "date", "server", "x-request-id"})
_LARGE: Final = 60_000
"""Bodies of more characters are kept as a checksum."""
_COUNTED: Final = ("recsys_candidates_total", "recsys_fallbacks_total", "recsys_seen_filter_hits_total")
_DECODERS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "br": brotli.decompress,
    "gzip": gzip.decompress,
    "zstd": zstd.decompress,
}
_READY_SECONDS: Final = 60
_FOLLOWED_SECONDS: Final = 15
_GUARDED: Final = '\n[api]\nrequire_key_for_reads = true\ncors_origins = ["https://shop.example"]\n'
_LIMITED: Final = {"RECSYS_API__REQUESTS_PER_SECOND": "0.0001", "RECSYS_API__BURST": "2"}
_EDITED: Final = """
version = 1
default = "short"

[scenarios.short]
description = "Five at most."

[[scenarios.short.candidates]]
source = "popular"
quota = 50

[scenarios.short.limits]
at_most = 5
"""


class Client:
    """Asks one server, and writes down what it answered."""

    def __init__(self, product: Product, port: int, fills: Mapping[str, str]) -> None:
        """`fills`: what stands in a request -> what is sent in its place."""
        self._product = product
        self._port = port
        self._fills = fills
        key_ids = {secret.split("_")[1]: name for name, secret in fills.items() if secret.startswith("rk_")}
        self._places = {**product.places, **key_ids, f"127.0.0.1:{port}": "<address>"}
        self._sent = 0

    def record(self, asked: Iterable[Ask]) -> dict[str, Any]:
        """Every request's name -> the answer."""
        return {ask.name: self.answer(ask) for ask in asked}

    def answer(self, ask: Ask) -> dict[str, Any]:
        """Send one request, on a connection of its own."""
        self._sent += 1
        headers = {"X-Request-Id": f"r{self._sent}", **ask.headers}
        headers = {name: self._filled(value, ask) for name, value in headers.items()}
        body = None if ask.body is None else self._filled(ask.body.decode(), ask).encode()
        status, found, raw = self._send(ask.method, ask.target, body, headers)
        kept = {name: value for name, value in sorted(found) if name not in _IGNORED_HEADERS}
        if kept.get("content-length") == str(len(raw)):
            kept["content-length"] = "the body's"  # which holds durations, or is compressed
        if "allow" in kept:
            kept["allow"] = ", ".join(sorted(kept["allow"].split(", ")))
        if "content-encoding" in kept:
            raw = _DECODERS[kept["content-encoding"]](raw)
        shown = self._body(raw, kept.get("content-type", ""))
        return {
            "status": status,
            "headers": {name: normalise.text(value, self._places) for name, value in kept.items()},
            "body": shown,
        }

    def get_json(self, path: str) -> Any:
        """A body as it was sent."""
        return json.loads(self._send("GET", path, None, {})[2])

    def _filled(self, value: str, ask: Ask) -> str:
        if value == "{etag}":
            return dict(self._send("GET", ask.target, None, {})[1])["etag"]
        for name, secret in self._fills.items():
            value = value.replace(name, secret)
        return value

    def _send(
        self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            connection.request(method, target, body, dict(headers))
            answer = connection.getresponse()
            raw = answer.read()
            return answer.status, [(name.lower(), value) for name, value in answer.getheaders()], raw
        finally:
            connection.close()

    def _body(self, raw: bytes, content_type: str) -> Any:
        if "json" in content_type and raw:
            return normalise.json_value(json.loads(raw), self._places)
        if content_type.startswith("text/plain"):
            return [normalise.text(line, self._places) for line in _series(raw.decode())]
        if len(raw) > _LARGE:
            return f"{len(raw)} bytes {contents.digest([raw])}"
        return normalise.text(raw.decode("utf-8", "replace"), self._places).splitlines()


def transcript(product: Product, built: Path) -> dict[str, Any]:
    """Everything that servers of a copy of `built` answer."""
    home = copied(built, product.scratch / "api-home")
    fills = {"{release}": release_of(home)}
    for scope in ("read", "write", "admin"):
        fills[writes.KEY % scope] = _new_key(product, home, scope)
    found = {}
    with server(product, home) as port:
        client = Client(product, port, fills)
        found["reads"] = client.record(requests.reads())
        found["events"] = client.record(writes.events())
        found["promotions"] = client.record(writes.promotions())
        found["metrics"] = client.answer(requests.get("/metrics"))
        found["edited rules"] = _edited_rules(client, home)
    with server(product, home, more=_LIMITED) as port:
        found["limited"] = Client(product, port, fills).record(writes.limited())
    with server(product, home, "--workers", "2") as port:
        found["two workers"] = Client(product, port, fills).record(writes.workers())
    settings = home / "recsys.toml"
    settings.write_text(settings.read_text(encoding="utf-8") + _GUARDED, encoding="utf-8")
    with server(product, home) as port:
        found["guarded"] = Client(product, port, fills).record(writes.guarded())
    return found


@contextmanager
def server(
    product: Product, home: Path, *options: str, more: Mapping[str, str] | None = None
) -> Iterator[int]:
    """The port of a server that is ready; it is ended when the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["-m", "recsys_assets", "serve", "--home", str(home), "--port", str(port), *options]
    log = product.scratch / "server.log"
    with (
        log.open("w", encoding="utf-8") as stream,
        subprocess.Popen(
            [sys.executable, *command],
            cwd=product.scratch,
            env=product.environment(more),
            stdout=stream,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            _wait(process, port, log)
            yield port
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    def ready() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended before it was ready: {log.read_text(encoding='utf-8')}")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == http.HTTPStatus.OK
        except OSError:
            return False
        finally:
            connection.close()

    _until(ready, _READY_SECONDS)


def _until(happened: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if happened():
            return True
        time.sleep(0.1)
    return False


def _edited_rules(client: Client, home: Path) -> dict[str, Any]:
    """A running server takes an edited file up, and keeps the last good one beside a broken one."""
    file, before = home / "rules.toml", client.get_json("/v1/scenarios")["rules"]
    file.write_text(_EDITED, encoding="utf-8")
    taken = _until(lambda: client.get_json("/v1/scenarios")["rules"] != before, _FOLLOWED_SECONDS)
    asked = [
        requests.get("/v1/scenarios", tag="edited"),
        requests.for_user("1", tag="edited", scenario="short", explain="true"),
        requests.for_user("1", tag="edited", scenario="home"),
    ]
    found = {"taken up": taken, **client.record(asked)}
    file.write_text(_EDITED.replace("quota = 50", "quota = -1"), encoding="utf-8")
    refused = _until(lambda: client.get_json("/v1/scenarios")["problem"] is not None, _FOLLOWED_SECONDS)
    asked = [requests.get(path, tag="broken") for path in ("/v1/scenarios", "/health/ready")]
    found |= {"refused": refused, **client.record(asked)}
    file.unlink()
    return found


def _new_key(product: Product, home: Path, scope: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "recsys_assets", "keys", "add", scope, "--scope", scope, "--home", str(home)],
        cwd=product.scratch,
        env=product.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def _series(exposition: str) -> list[str]:
    """Prometheus samples by name and labels; the values only where they count no time and no polling."""
    found = set()
    for line in exposition.splitlines():
        name = line.rpartition(" ")[0]
        if line.startswith(("#", *_COUNTED)):
            found.add(line)
        elif "_created" not in name:
            found.add(re.sub(r',?le="[^"]*"', "", name))
    return sorted(found)
