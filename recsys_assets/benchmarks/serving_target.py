"""The application that `recsys bench serve` loads: the product's own, and one prepared answer beside it."""

import os
from functools import cache
from pathlib import Path

from litestar import Litestar, get
from litestar.types import ASGIApp

from recsys_assets.api.replies import PRIVATE, Reply
from recsys_assets.api.worker import build_app

PREPARED_VARIABLE = "RECSYS_PREPARED_ANSWER"
"""File with the bytes of the prepared answer, read when that is first asked for."""
PREPARED_PATH = "/prepared"


def build_with_prepared() -> Litestar:
    """The product's application and `GET /prepared`, which sends the same bytes every time."""
    app = build_app()

    @cache
    def body() -> bytes:
        return Path(os.environ[PREPARED_VARIABLE]).read_bytes()

    @get(PREPARED_PATH, sync_to_thread=False, include_in_schema=False)
    def prepared() -> ASGIApp:
        return Reply(body(), release=b"prepared", etag="prepared", cache=PRIVATE)

    app.register(prepared)
    return app
