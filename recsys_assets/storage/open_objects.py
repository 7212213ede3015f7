"""Open the object store that a URL or a folder names; callers do not know which form it has."""

import os
from collections.abc import Mapping
from pathlib import Path

from recsys_assets.storage.local_objects import LocalObjects
from recsys_assets.storage.object_store import ObjectStore
from recsys_assets.storage.s3_credentials import s3_credentials
from recsys_assets.storage.s3_objects import S3Objects, server_of

_S3, _FILE = "s3://", "file://"


def open_store(
    root: str | Path,
    *,
    endpoint: str | None = None,
    region: str = "us-east-1",
    environ: Mapping[str, str] = os.environ,
    patience: float = 8.0,
) -> ObjectStore:
    """Return the store at `root`; no request is sent yet.

    Args:
        root: `s3://bucket/prefix`, `file:///folder` or a folder, which may not exist.
        endpoint: URL of the S3 server where it is not AWS; left out, `AWS_ENDPOINT_URL` of the environment.
        region: the bucket's region.
        environ: variables that name the credentials; the process's own.
        patience: seconds over which a request is sent again where the server does not answer.

    Raises:
        SettingsError: the package `obstore` is missing, or the credentials' file cannot be used.
    """
    if isinstance(root, str) and root.startswith(_S3):
        return S3Objects(root, endpoint=endpoint, region=region, environ=environ, patience=patience)
    return LocalObjects(Path(root.removeprefix(_FILE)) if isinstance(root, str) else root)


def polars_options(
    *, endpoint: str | None = None, region: str = "us-east-1", environ: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Return the `storage_options` with which polars scans `s3://` addresses; errors as `open_store`."""
    options = {"aws_region": region, **s3_credentials(environ)}
    server = server_of(endpoint, environ)
    if server is not None:
        options |= {"aws_endpoint_url": server, "aws_allow_http": "true"}
    return options
