"""A local HTTP server that ends answers early, changes its files and is busy, as a test wants."""

import gzip
import random
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

CONTENT = gzip.compress(random.Random(0).randbytes(2_000_000))


@dataclass
class Server:
    """The files that it serves, the faults that it shows, and the requests that it got."""

    files: dict[str, bytes]
    breaks: int = 0
    """Number of answers that end after a third of their body."""
    ranges: bool = True
    """It understands `Range`."""
    length: bool = True
    """It states the length of the file."""
    statuses: list[int] = field(default_factory=list)
    """Statuses to answer first, instead of the file."""
    etag: str = '"v1"'
    requests: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.requests.append({name.lower(): value for name, value in request.headers.items()})
        if self.statuses:
            request.send_response(self.statuses.pop(0))
            request.send_header("Content-Length", "0")
            request.send_header("Retry-After", "7")
            request.end_headers()
            return
        content = self.files.get(request.path)
        if content is None:
            request.send_error(404)
            return
        start = self._start(request, content)
        if start is None:
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{len(content)}")
            request.end_headers()
            return
        body = content[start:]
        request.send_response(206 if start else 200)
        request.send_header("ETag", self.etag)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if self.length:
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if self.breaks:
            self.breaks -= 1
            body = body[: len(body) // 3]
        request.wfile.write(body)

    def _start(self, request: BaseHTTPRequestHandler, content: bytes) -> int | None:
        requests = request.headers.get("Range")
        if not requests or not self.ranges or request.headers.get("If-Range") not in {None, self.etag}:
            return 0
        start = int(requests.removeprefix("bytes=").removesuffix("-"))
        return start if start < len(content) else None
