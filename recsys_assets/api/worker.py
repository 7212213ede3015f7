"""What runs in a worker process: the application, by the options that the server left in the environment."""

import os
from pathlib import Path

import msgspec
from litestar import Litestar

from recsys_assets.api.app import create_app
from recsys_assets.api.logs import configure_logs
from recsys_assets.api.options import OPTIONS_VARIABLE, ServeOptions
from recsys_assets.settings import Home


def build_app() -> Litestar:
    """The application of one worker."""
    options = msgspec.json.decode(os.environ[OPTIONS_VARIABLE], type=ServeOptions)
    configure_logs()
    return create_app(
        Home(Path(options.home)),
        settings=options.api,
        verify=options.fallback_previous,
        fallback_previous=options.fallback_previous,
        shared_events=options.workers > 1,
    )
