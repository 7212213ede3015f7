"""The explorer page and its files: a fixed set, so that no path from a URL reaches the file system."""

import gzip
import hashlib
from collections.abc import Iterator
from functools import cache
from html import escape
from importlib.resources import files
from importlib.resources.abc import Traversable

from litestar import get
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from recsys_assets.api.http.bodies import PUBLIC, Reply
from recsys_assets.settings import ApiSettings

_PAGE = "index.html"
_TYPES = {
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".svg": b"image/svg+xml",
}


def page_routes(settings: ApiSettings) -> list[HTTPRouteHandler]:
    """The routes. The files are the package's own; the page links to Dagster where the settings say it is."""
    known = dict(_walk(files("recsys_assets.api") / "static", ""))

    @cache
    def read(name: str) -> Reply:
        entry = known[name]
        body = gzip.decompress(entry.read_bytes()) if entry.name.endswith(".gz") else entry.read_bytes()
        if name == _PAGE:
            body = body.replace(b"{{dagster}}", escape(settings.dagster_url).encode())
        tag = hashlib.blake2b(body, digest_size=8).hexdigest()
        return Reply(body, etag=tag, cache=PUBLIC, content_type=_TYPES[name[name.rfind(".") :]])

    @get("/", include_in_schema=False, sync_to_thread=False)
    def explorer() -> ASGIApp:
        return read(_PAGE)

    @get("/favicon.ico", include_in_schema=False, sync_to_thread=False)
    def icon() -> ASGIApp:
        return read("icon.svg")

    @get("/static/{name:path}", include_in_schema=False, sync_to_thread=False)
    def file(name: str) -> ASGIApp:
        wanted = name.lstrip("/")
        if wanted not in known:
            raise NotFoundException("there is no such file here")
        return read(wanted)

    return [explorer, icon, file]


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
            continue
        name = entry.name.removesuffix(".gz")
        if name[name.rfind(".") :] in _TYPES:
            yield prefix + name, entry
