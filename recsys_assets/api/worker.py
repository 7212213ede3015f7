"""What runs in a worker process: the application, by the options that the server left in the environment."""

import gc
import os
from pathlib import Path

import msgspec
from litestar import Litestar
from threadpoolctl import threadpool_limits

from recsys_assets.api.app import create_app
from recsys_assets.api.logs import configure_logs
from recsys_assets.api.options import OPTIONS_VARIABLE, ServeOptions
from recsys_assets.storage.home import Home


def build_app() -> Litestar:
    """The application of one worker."""
    options = msgspec.json.decode(os.environ[OPTIONS_VARIABLE], type=ServeOptions)
    configure_logs()
    # Requests are answered one after another on the event loop, with products too small to share out: more BLAS
    # threads only compete with it. The parent has loaded numpy by now, so no environment variable can say so.
    threadpool_limits(1, user_api="blas")
    app = create_app(
        Home(Path(options.home)),
        settings=options.api,
        verify=options.fallback_previous,
        fallback_previous=options.fallback_previous,
        shared_events=options.workers > 1,
        shared_limits=None if options.shared is None else Path(options.shared, "limits"),
    )
    # What is loaded by now stays: no collection need walk through it again in the middle of a request.
    gc.freeze()
    return app
