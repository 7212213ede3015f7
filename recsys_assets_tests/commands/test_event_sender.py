"""Events sent by `recsys stream` to an API: in batches, with a key, again while it is full, and errors of one line."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from click.testing import CliRunner

from recsys_assets.cli import main
from recsys_assets.commands.event_sender import by_http
from recsys_assets.errors import SendingError
from recsys_assets_tests.lake.sent_events import event, on


@pytest.fixture
def api():
    """A server that takes events, after it has given the answers of `api.answers`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.requests.append((self.path, self.headers.get("X-API-Key"), body["events"]))
            status = server.answers.pop(0) if server.answers else 202
            said = {"accepted": len(body["events"])} if status == 202 else {"title": "No,\nnot now"}
            content = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.requests, server.answers = [], []
        server.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


def test_events_are_sent_in_batches_of_a_thousand_with_the_key(api):
    rows = [event(n, on(1)) for n in range(2_500)]
    assert by_http(f"{api.url}/", "k3y")(rows) == 2_500
    assert [(path, key, len(sent)) for path, key, sent in api.requests] == [
        ("/v1/events", "k3y", 1_000),
        ("/v1/events", "k3y", 1_000),
        ("/v1/events", "k3y", 500),
    ]


def test_an_event_says_what_it_has_and_no_more(api):
    by_http(api.url, None)([event(7, on(1, 10, 7, 31), kind="purchase")])
    ((_, key, sent),) = api.requests
    assert key is None
    assert sent == [
        {
            "event_id": "e7",
            "user_id": "u1",
            "item_id": "i1",
            "kind": "purchase",
            "timestamp": "2024-01-01T10:07:31+00:00",
        }
    ]


def test_a_full_intake_is_tried_again(api):
    api.answers.append(429)
    assert by_http(api.url, None)([event(1, on(1))]) == 1
    assert len(api.requests) == 2


def test_another_answer_is_an_error_of_one_line(api):
    api.answers.append(401)
    with pytest.raises(SendingError, match="answered 401: .*not now") as raised:
        by_http(api.url, None)([event(1, on(1))])
    assert "\n" not in str(raised.value)


def test_an_api_that_is_not_there_is_an_error_that_says_what_to_do():
    with pytest.raises(SendingError, match="recsys serve"):
        by_http("http://127.0.0.1:9", None)([event(1, on(1))])


def test_an_address_without_http_is_rejected():
    with pytest.raises(SendingError, match="is no address"):
        by_http("127.0.0.1:8000", None)


@pytest.mark.parametrize(
    "options",
    [
        ["--through", "2024-01-01"],
        ["--events", "--next", "1"],
        ["--from", "2024-01-01", "--events"],
        ["--next", "1", "--through", "2024-01-01"],
        [],
    ],
)
def test_land_takes_one_way_to_name_its_days(tmp_path, options):
    found = CliRunner().invoke(main, ["land", "--home", str(tmp_path), *options])
    assert found.exit_code == 2
    assert "--events [--through DATE]" in found.output
