"""Sources at URLs, over a local HTTP server that answers parts of its files, as object stores do."""

import gzip
import io
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import polars as pl
import pytest

from recsys_assets.errors import InputError
from recsys_assets.lake.files.query_tables import open_query
from recsys_assets.lake.files.rows_aside import RowsAside
from recsys_assets.source_settings import ReadingSettings

ROWS = pl.DataFrame(
    {
        "user": ["007", "8"] * 500,
        "item": range(1000),
        "at": range(1_700_000_000, 1_700_001_000),
        "note": "x" * 50,
    }
)


@dataclass
class Files:
    """The files of a server by path, and the bytes that it sent of them."""

    content: dict[str, bytes]
    url: str = ""
    etag: str | None = '"v1"'
    sent: int = 0
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def files() -> Iterator[Files]:
    found = Files({})

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self):
            self.answer(body=False)

        def do_GET(self):
            self.answer(body=True)

        def answer(self, *, body: bool):
            found.asked.append(self.path)
            content = found.content.get(self.path.partition("?")[0])
            if content is None:
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            whole, wanted = len(content), self.headers.get("Range")
            start, stop = 0, whole
            if wanted:
                first, _, last = wanted.removeprefix("bytes=").partition("-")
                start = int(first) if first else max(0, whole - int(last))
                stop = min(whole, int(last) + 1) if first and last else whole
            self.send_response(206 if wanted else 200)
            if wanted:
                self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{whole}")
            self.send_header("Content-Length", str(stop - start))
            if found.etag:
                self.send_header("ETag", found.etag)
            self.end_headers()
            if body:
                found.sent += stop - start
                self.wfile.write(content[start:stop])

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    found.url = f"http://127.0.0.1:{server.server_port}"
    yield found
    server.shutdown()
    server.server_close()


def read(spec: str, *columns: str) -> pl.DataFrame:
    table = open_query(spec, ReadingSettings())
    wanted = columns or table.column_names()
    return pl.concat([chunk.frame.select(wanted) for chunk in table.chunks(wanted, RowsAside())])


def parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def test_a_parquet_file_is_scanned_in_place_in_its_types(files):
    files.content["/shop/events.parquet"] = parquet(ROWS)
    assert read(f"{files.url}/shop/events.parquet").equals(ROWS)
    assert read(f"{files.url}/shop/events.parquet", "item", "user").equals(ROWS.select("item", "user"))


@pytest.mark.parametrize("name", ["events.csv", "events.csv.gz", "events"])
def test_a_text_file_is_copied_and_read_as_a_local_one(files, name):
    content = ROWS.write_csv(separator=";").encode()
    files.content[f"/{name}"] = gzip.compress(content) if name.endswith(".gz") else content
    found = read(f"{files.url}/{name}?token=secret" if "." not in name else f"{files.url}/{name}")
    assert found["user"].to_list() == ROWS["user"].to_list()
    assert found["item"].to_list() == [str(item) for item in ROWS["item"]]


def test_another_version_has_another_fingerprint(files):
    files.content["/events.csv"] = b"user_id,item_id,timestamp\na,b,2024-01-01\n"
    table = open_query(f"{files.url}/events.csv", ReadingSettings())
    before = table.fingerprint()
    assert table.fingerprint() == before
    files.etag = '"v2"'
    assert table.fingerprint() != before
    assert files.sent == 0


def test_a_url_that_cannot_be_read_is_one_line(files):
    for name in ("none.parquet", "none.csv"):
        with pytest.raises(InputError, match=name) as raised:
            read(f"{files.url}/{name}?signature=secret")
        assert "\n" not in str(raised.value)
        assert "secret" not in str(raised.value)
    with pytest.raises(InputError, match="404"):
        open_query(f"{files.url}/none.csv", ReadingSettings()).fingerprint()
    with pytest.raises(InputError, match="https://"):
        open_query("http://example.com/events.csv", ReadingSettings())
