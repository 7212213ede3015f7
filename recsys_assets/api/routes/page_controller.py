"""The explorer page and its files: a fixed set, so that no path from a URL reaches the file system."""

import gzip
import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from html import escape
from importlib.resources import files
from importlib.resources.abc import Traversable

from litestar import get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.types import ASGIApp, Scope

from recsys_assets.api.http.bodies import PUBLIC, Reply
from recsys_assets.api.serving.service import ServiceController

_PAGE = "index.html"
_TYPES = {
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".svg": b"image/svg+xml",
}


class PageController(ServiceController):
    """The explorer page, its icon, and the scripts and styles of all pages."""

    include_in_schema = False

    @get("/", sync_to_thread=False)
    def explorer(self) -> ASGIApp:
        return static_file(_PAGE, self.service.settings.dagster_url)

    @get("/favicon.ico", sync_to_thread=False)
    def icon(self) -> ASGIApp:
        return static_file("icon.svg", self.service.settings.dagster_url)

    @get("/static/{name:path}")
    async def file(self, scope: Scope, name: FromPath[str]) -> ASGIApp:
        """Send a file; it is compressed once for each encoding, the largest ones in 0.2 s."""
        found = static_file(name.lstrip("/"), self.service.settings.dagster_url)
        accepted = dict(scope["headers"]).get(b"accept-encoding")
        if found.is_packed(accepted):
            return found
        return await self.service.slowly(scope, "files", lambda: found)


@cache
def static_file(name: str, dagster_url: str) -> Reply:
    """Return a file of the package's `api/static` folder.

    Args:
        name: path below the folder; a file that is stored as `NAME.gz` is served unpacked as NAME.
        dagster_url: the Dagster UI that the explorer page links to.

    Raises:
        NotFoundException: there is no such file.
    """
    entry = _static_files().get(name)
    if entry is None:
        raise NotFoundException("there is no such file here")
    body = gzip.decompress(entry.read_bytes()) if entry.name.endswith(".gz") else entry.read_bytes()
    if name == _PAGE:
        body = body.replace(b"{{dagster}}", escape(dagster_url).encode())
    tag = hashlib.blake2b(body, digest_size=8).hexdigest()
    return Reply(body, etag=tag, cache=PUBLIC, content_type=_TYPES[name[name.rfind(".") :]])


@cache
def _static_files() -> Mapping[str, Traversable]:
    return dict(_walk(files("recsys_assets.api") / "static", ""))


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
            continue
        name = entry.name.removesuffix(".gz")
        if name[name.rfind(".") :] in _TYPES:
            yield prefix + name, entry
