"""Settings of more than one machine: where the data lie, who works on them, and which servers keep the records.

All of it is optional, and needs `pip install 'recsys-assets[scale]'`. Passwords and keys are never in `recsys.toml`
for the object store: they come from the environment, or from the usual files of its clients.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from recsys_assets.storage.bounds import Line

PostgresUrl = Annotated[
    str,
    Meta(pattern=r"^postgres(ql)?://[^\s/]", description="a URL, postgresql://user:password@host/database"),
]
StoreUrl = Annotated[
    str,
    Meta(
        pattern=r"^(s3://[a-z0-9][a-z0-9.-]+(/[^\s?#]*)?|file:///\S+)$",
        description="a URL, s3://bucket/prefix",
    ),
]
Endpoint = Annotated[str, Meta(pattern=r"^https?://[^\s/]+/?$", description="a URL, http://127.0.0.1:8333")]


class StorageSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The object store of lake, quarantine, reports, artifacts and releases; the home is a working copy of it."""

    root: StoreUrl | None = None
    """Left out, everything is in the home alone; `file:///folder` is one of a shared disk. S3 needs the extra `scale`;
    its keys are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or those of `~/.aws`."""
    endpoint: Endpoint | None = None
    """The server, where it is not AWS."""
    region: Line = "us-east-1"
    """The bucket's region."""
    lease_seconds: Annotated[float, Meta(ge=2, le=3_600)] = 30.0
    """A writer that was killed holds the store for N seconds more."""


class LauncherSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The processes that land days, train, and compute lists ahead of serving. `ray` needs the extra `scale`."""

    kind: Literal["in_process", "torchrun", "ray"] = "in_process"
    """`torchrun` trains in processes of this machine or of several; `ray` lands days and trains on a cluster."""
    address: Line = "http://127.0.0.1:8265"
    """The cluster's dashboard, where jobs are sent."""
    stretch_days: Annotated[int, Meta(ge=1, le=10_000)] = 30
    """Days that a task of the cluster lands; a run of no more days stays in its own process."""
    shards: Annotated[int, Meta(ge=1, le=4_096)] = 2
    """Processes that train together, each with a share of the users."""


class LedgerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The record of every check result by day."""

    postgres: PostgresUrl | None = None
    """Left out, `quality.sqlite` in the home; `?schema=NAME` where two homes of one name share a database. A password
    that is not in the URL is PGPASSWORD, or in `~/.pgpass`."""
