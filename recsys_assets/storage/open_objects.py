"""Open the object store that a URL or a folder names; callers do not know which form it has."""

import os
from collections.abc import Mapping
from pathlib import Path

from recsys_assets.storage.local_objects import LocalObjects
from recsys_assets.storage.object_store import ObjectStore
from recsys_assets.storage.s3_objects import S3Objects

S3: str = "s3://"


def open_store(
    root: str | Path,
    *,
    endpoint: str | None = None,
    region: str = "us-east-1",
    environ: Mapping[str, str] = os.environ,
) -> ObjectStore:
    """Return the store at `root`; no request is sent yet.

    Args:
        root: `s3://bucket/prefix`, or a folder, which may not exist.
        endpoint: URL of the S3 server where it is not AWS; left out, `AWS_ENDPOINT_URL` of the environment.
        region: the bucket's region.
        environ: variables that name the credentials; the process's own.

    Raises:
        SettingsError: the package `obstore` is missing, or the credentials' file cannot be used.
    """
    if isinstance(root, str) and root.startswith(S3):
        return S3Objects(root, endpoint=endpoint, region=region, environ=environ)
    return LocalObjects(Path(root))
