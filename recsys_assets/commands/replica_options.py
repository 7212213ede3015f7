"""The options of `recsys serve --from`: a replica that follows an object store."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Final

import click

from recsys_assets.commands.shared import REPLICA
from recsys_assets.errors import SettingsError
from recsys_assets.scale_settings import StorageSettings
from recsys_assets.storage.bounds import mistake_in
from recsys_assets.storage.home import Home

_GB: Final = 1_000_000_000
_PATIENCE: Final = 2.0
"""Seconds over which a request to the store is sent again; the next look sends it again anyway."""
_DEFAULT_CACHE: Final = ".recsys-replica"


@dataclass(frozen=True, kw_only=True)
class ReplicaOptions:
    """A replica as the command line describes it."""

    url: str | None
    """The object store, `s3://bucket/prefix`; None for no replica."""
    endpoint: str | None
    """URL of its server, where it is not AWS."""
    region: str | None
    """The bucket's region."""
    cache: Path
    """Folder of the releases that are served."""
    cache_gb: float | None
    """Most gigabytes of releases in it."""

    def serve(self, *, host: str, port: int, workers: int) -> int:
        """Follow the store and serve its current release, and return the exit code.

        Raises:
            SettingsError: the URL, the endpoint or the region is none, or the package for it is missing.
        """
        from recsys_assets.api.serving.replica import serve_replica  # noqa: PLC0415  other commands need no server
        from recsys_assets.storage.open_objects import open_store  # noqa: PLC0415

        place = place_of_store(self, os.environ)
        store = open_store(
            str(place["root"]),
            endpoint=place.get("endpoint"),
            region=place.get("region", "us-east-1"),
            patience=_PATIENCE,
        )
        return serve_replica(
            store,
            Home(self.cache.expanduser().resolve()),
            host=host,
            port=port,
            workers=workers,
            most_bytes=None if self.cache_gb is None else int(self.cache_gb * _GB),
            say=lambda sentence: click.echo(sentence, err=True),
        )


def place_of_store(options: ReplicaOptions, environ: Mapping[str, str]) -> dict[str, str]:
    """Return root, endpoint and region; those that were not given come from `RECSYS_STORAGE__…`.

    Raises:
        SettingsError: one of them cannot be used; the message names its option.
    """
    found = {
        "root": options.url,
        "endpoint": options.endpoint or environ.get("RECSYS_STORAGE__ENDPOINT"),
        "region": options.region or environ.get("RECSYS_STORAGE__REGION"),
    }
    place = {name: value for name, value in found.items() if value}
    mistake = mistake_in(dict(place), StorageSettings)
    if mistake is not None:
        option = {"root": "--from", "endpoint": "--endpoint", "region": "--region"}[str(mistake.path[-1])]
        raise SettingsError(f"{option}: {mistake.text}")
    return place


def replica_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of a replica to a command, which gets them as `replica`."""

    @click.option(
        "--from",
        REPLICA,
        is_eager=True,
        metavar="URL",
        help="Follow an object store's current release, s3://bucket/prefix, as a replica.",
    )
    @click.option(
        "--endpoint",
        metavar="URL",
        help="With --from: the S3 server where it is not AWS; default AWS_ENDPOINT_URL.",
    )
    @click.option("--region", help="With --from: the bucket's region; default us-east-1.")
    @click.option(
        "--cache",
        type=click.Path(path_type=Path, file_okay=False),
        default=_DEFAULT_CACHE,
        show_default=True,
        help="With --from: the folder for two releases.",
    )
    @click.option(
        "--cache-gb",
        type=click.FloatRange(min=0, min_open=True),
        help="With --from: most gigabytes of releases in it.",
    )
    @wraps(command)
    def wrapped(
        replica_url: str | None,
        endpoint: str | None,
        region: str | None,
        cache: Path,
        cache_gb: float | None,
        **others: Any,
    ) -> None:
        replica = ReplicaOptions(
            url=replica_url, endpoint=endpoint, region=region, cache=cache, cache_gb=cache_gb
        )
        command(replica=replica, **others)

    return wrapped
