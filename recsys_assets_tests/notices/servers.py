"""An HTTP server and a mail server that receive notices, and answer as a test says."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec


@dataclass
class HttpReceiver:
    """An HTTP server of a test: the answers to give, and what came."""

    port: int = 0
    answers: list[int | str] = field(default_factory=list)
    """Status of each answer, 200 when used up; `hang` answers when `release` is set, a URL redirects there."""
    bodies: list[dict] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook/T0KEN"


@contextmanager
def http_receiver(port: int = 0) -> Iterator[HttpReceiver]:
    """Run a server until the block ends; `port` 0 is any free one."""
    receiver = HttpReceiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = receiver.answers.pop(0) if receiver.answers else 200
            receiver.paths.append(self.path)
            receiver.headers.append(dict(self.headers.items()))
            receiver.bodies.append(msgspec.json.decode(body))
            if answer == "hang":
                receiver.release.wait(30)
                return
            self.send_response(302 if isinstance(answer, str) else answer)
            if isinstance(answer, str):
                self.send_header("Location", answer)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        receiver.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield receiver
        finally:
            receiver.release.set()
            server.shutdown()


@dataclass
class MailReceiver:
    """A mail server of a test."""

    port: int = 0
    answers: list[str] = field(default_factory=list)
    """Answers to `DATA`'s end, `250 ok` when used up."""
    mails: list[EmailMessage] = field(default_factory=list)
    receivers: list[list[str]] = field(default_factory=list)


@contextmanager
def mail_receiver() -> Iterator[MailReceiver]:
    """Run a mail server without encryption until the block ends."""
    receiver = MailReceiver()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 test ESMTP")
            to: list[str] = []
            for line in self.rfile:
                command = line.decode().strip().upper()
                if command.startswith("RCPT"):
                    to.append(line.decode().strip()[len("RCPT TO:") :])
                if command == "DATA":
                    self._say("354 go on")
                    content = b"".join(iter(self._content_line, b".\r\n"))
                    receiver.mails.append(message_from_bytes(content, policy=policy.default))
                    receiver.receivers.append(to)
                    self._say(receiver.answers.pop(0) if receiver.answers else "250 ok")
                else:
                    self._say("221 bye" if command == "QUIT" else "250 ok")

        def _content_line(self) -> bytes:
            return self.rfile.readline()

        def _say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        receiver.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield receiver
        finally:
            server.shutdown()
