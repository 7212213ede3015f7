"""Downloads from a real server on this machine that behaves as badly as servers do."""

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from recsys_assets.errors import DownloadError, InputError
from recsys_assets.lake.download import fetch
from recsys_assets.lake.initialise import fetch_category, initialise
from recsys_assets.settings import load_settings
from recsys_assets.storage.home import Home
from recsys_assets_tests.lake.faulty_server import CONTENT, Server


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server(files={"/file.gz": CONTENT})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            found.answer(self)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        found.url = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield found
        http.shutdown()
        thread.join()


@pytest.fixture
def target(tmp_path) -> Path:
    return tmp_path / "downloads" / "file.gz"


def download(server: Server, target: Path, waits: list[float] | None = None, **options: object) -> bytes:
    waited = [] if waits is None else waits
    return fetch(f"{server.url}/file.gz", target, wait=waited.append, **options).read_bytes()


def only_target_in(folder: Path) -> bool:
    return [path.name for path in folder.iterdir()] == ["file.gz"]


def test_a_file_arrives_whole_and_leaves_nothing_beside_it(server, target):
    assert download(server, target) == CONTENT
    assert only_target_in(target.parent)


def test_a_file_that_exists_is_not_requested(server, target):
    target.parent.mkdir()
    target.write_bytes(b"here")

    assert download(server, target) == b"here"
    assert server.requests == []


def test_a_broken_connection_is_resumed_where_it_broke(server, target):
    server.breaks = 3

    assert download(server, target) == CONTENT
    starts = [int(request.get("range", "bytes=0-")[6:-1]) for request in server.requests]
    assert starts == sorted(set(starts))
    assert len(starts) == 4
    assert all(request["if-range"] == '"v1"' for request in server.requests[1:])


def test_a_later_call_resumes_an_earlier_one(server, target):
    server.breaks = 1

    def give_up(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(f"{server.url}/file.gz", target, wait=give_up)
    assert not target.exists()

    assert download(server, target) == CONTENT
    assert server.requests[-1]["range"] == f"bytes={len(CONTENT) // 3}-"


def test_a_file_that_changed_in_between_starts_again(server, target):
    server.breaks = 1

    def change(_: float) -> None:
        server.etag = '"v2"'
        server.files["/file.gz"] = gzip.compress(b"new")

    fetch(f"{server.url}/file.gz", target, wait=change)

    assert gzip.decompress(target.read_bytes()) == b"new"


def test_a_shorter_file_of_the_same_version_starts_again(server, target):
    server.breaks = 1

    def shrink(_: float) -> None:
        server.files["/file.gz"] = gzip.compress(b"new")

    fetch(f"{server.url}/file.gz", target, wait=shrink)

    assert gzip.decompress(target.read_bytes()) == b"new"


def test_a_server_that_ignores_range_sends_all_of_it_again(server, target):
    server.ranges = False
    server.breaks = 2

    assert download(server, target) == CONTENT


def test_a_file_that_was_complete_before_a_kill_is_not_sent_again(server, target):
    server.breaks = 1
    with pytest.raises(KeyboardInterrupt):
        fetch(f"{server.url}/file.gz", target, wait=lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    part = target.with_name(".file.gz.part")
    part.write_bytes(CONTENT)

    assert download(server, target) == CONTENT


def test_bytes_from_another_address_are_not_continued(server, target):
    server.files["/other.gz"] = gzip.compress(b"other")
    server.breaks = 1
    with pytest.raises(KeyboardInterrupt):
        fetch(f"{server.url}/file.gz", target, wait=lambda _: (_ for _ in ()).throw(KeyboardInterrupt))

    fetch(f"{server.url}/other.gz", target)

    assert gzip.decompress(target.read_bytes()) == b"other"


def test_without_a_length_the_gzip_itself_says_whether_it_is_whole(server, target):
    server.length = False
    assert download(server, target) == CONTENT

    target.unlink()
    server.breaks = 1
    with pytest.raises(DownloadError, match="damaged"):
        download(server, target)
    assert not any(target.parent.iterdir())


def test_a_damaged_gzip_is_rejected_and_deleted(server, target):
    damaged = bytearray(CONTENT)
    damaged[1_000_000] ^= 0xFF
    server.files["/file.gz"] = bytes(damaged)

    with pytest.raises(DownloadError, match=r"file\.gz: what arrived is damaged and was deleted"):
        download(server, target)
    assert not any(target.parent.iterdir())


def test_a_busy_server_gets_another_request_after_the_time_it_states(server, target):
    server.statuses = [503, 429]
    waits = []

    assert download(server, target, waits) == CONTENT
    assert waits == [7.0, 7.0]


def test_raises_at_once_when_there_is_no_such_file(server, target):
    server.files = {}

    with pytest.raises(DownloadError, match=rf"{server.url}/file\.gz: the server answered 404"):
        download(server, target)
    assert len(server.requests) == 1
    assert not any(target.parent.iterdir())


def test_raises_when_attempts_bring_nothing_new_and_keeps_what_is_there(server, target):
    server.ranges = False
    server.breaks = 99
    waits = []

    with pytest.raises(DownloadError, match=r"5 attempts in a row brought nothing new .* bytes are kept"):
        download(server, target, waits)
    assert not target.exists()
    assert waits == sorted(waits)


def test_raises_when_no_server_listens(target):
    with pytest.raises(DownloadError, match="brought nothing new"):
        fetch("http://127.0.0.1:9/file.gz", target, wait=lambda _: None)


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://example.org/x", "mcauleylab.ucsd.edu"])
def test_raises_when_the_address_is_no_http(target, url):
    with pytest.raises(DownloadError, match="not an http or https address"):
        fetch(url, target)


def test_progress_is_reported_up_to_the_last_byte(server, target):
    server.breaks = 1
    told = []

    download(server, target, progress=lambda *news: told.append(news))

    assert told[-1] == ("file.gz", len(CONTENT), len(CONTENT))
    assert [here for _, here, _ in told] == sorted(here for _, here, _ in told)


REVIEW = b'{"rating": 5.0, "asin": "B1", "parent_asin": "B0", "user_id": "U", "timestamp": 1602133857705}\n'
PRODUCT = b'{"parent_asin": "B0", "title": "A box"}\n'


@pytest.fixture
def mirror(server) -> Server:
    server.files = {
        "/amazon/raw/review_categories/Gift_Cards.jsonl.gz": gzip.compress(REVIEW),
        "/amazon/raw/meta_categories/meta_Gift_Cards.jsonl.gz": gzip.compress(PRODUCT),
    }
    return server


def test_a_category_is_its_reviews_and_its_products(mirror, tmp_path):
    reviews, products = fetch_category("Gift_Cards", tmp_path, base_url=f"{mirror.url}/amazon/")

    assert gzip.decompress(reviews.read_bytes()) == REVIEW
    assert gzip.decompress(products.read_bytes()) == PRODUCT


@pytest.mark.parametrize(
    ("category", "hint"), [("Gift_Card", "did you mean Gift_Cards"), ("../x", "one of All_Beauty")]
)
def test_raises_with_a_hint_when_there_is_no_such_category(tmp_path, category, hint):
    with pytest.raises(InputError, match=hint):
        fetch_category(category, tmp_path, base_url="http://127.0.0.1:9")


def test_init_downloads_a_category_and_remembers_from_where(mirror, tmp_path):
    home = Home(tmp_path / "home")
    mirror.breaks = 1

    initialise(home, "amazon-2023:Gift_Cards", amazon_url=f"{mirror.url}/amazon")

    source = load_settings(home).source
    folder = home.root / "downloads"
    assert source.spec == f"amazon:{folder}/Gift_Cards.jsonl.gz,meta={folder}/meta_Gift_Cards.jsonl.gz"
    assert source.amazon_url == f"{mirror.url}/amazon"


def test_init_takes_the_address_from_a_variable(mirror, tmp_path, monkeypatch):
    monkeypatch.setenv("RECSYS_SOURCE__AMAZON_URL", f"{mirror.url}/amazon")

    initialise(Home(tmp_path / "home"), "amazon-2023:Gift_Cards")

    assert len(mirror.requests) == 2


def test_init_writes_no_settings_when_the_download_fails(mirror, tmp_path):
    home = Home(tmp_path / "home")
    mirror.files = {}

    with pytest.raises(DownloadError):
        initialise(home, "amazon-2023:Gift_Cards", amazon_url=f"{mirror.url}/amazon")
    assert not home.settings_file.exists()
