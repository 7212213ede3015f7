"""Settings of the HTTP API: limits, permissions, and what it links to."""

from typing import Annotated

import msgspec
from msgspec import Meta

from recsys_assets.source_settings import Url
from recsys_assets.storage.bounds import MOST, Count, Line, NotNegative, Positive


class ApiSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits and permissions of the HTTP API."""

    require_key_for_reads: bool = False
    """Reads need an API key too; writes always do."""
    requests_per_second: NotNegative = 0.0
    """Requests a second of each caller, an API key or, without a valid one, an address; 0 sets no limit."""
    burst: Annotated[float, Meta(ge=1, le=MOST)] = 50.0
    """Requests that a caller may make at once before the rate counts."""
    anonymous_requests_per_second: NotNegative = 2_000.0
    """The same of each address without a valid key, where that is less; 0 sets no limit of its own. An IPv6 address is
    its /64 network."""
    anonymous_burst: Annotated[float, Meta(ge=1, le=MOST)] = 4_000.0
    """Requests that such an address may make at once before the rate counts."""
    trusted_proxies: list[Line] = []
    """Addresses of reverse proxies whose `X-Forwarded-For` names the caller. Without one, all callers behind a
    proxy are one address."""
    max_connections: Annotated[int, Meta(ge=16, le=100_000)] = 2_048
    """Open connections of each worker. Above it the oldest idle ones are cut, and requests on the youngest answered
    503 where that is not enough; `/health` always is answered."""
    max_connections_per_address: Annotated[int, Meta(ge=1, le=100_000)] = 256
    """The same of each address but this machine's and those in `trusted_proxies`."""
    idle_timeout_seconds: Annotated[float, Meta(ge=1, le=3_600)] = 75.0
    """Time that a connection may stay open without a request."""
    write_timeout_seconds: Annotated[float, Meta(ge=1, le=3_600)] = 20.0
    """Time after which a client that reads less than 1 KB a second of its answer is cut."""
    max_live_views: Annotated[int, Meta(ge=0, le=10_000)] = 64
    """Open live views (`/v1/live`) of each worker; a request for one more is answered 503."""
    max_body_bytes: Count = 1_000_000
    """Larger bodies are rejected (413)."""
    max_query_bytes: Count = 8_192
    """Longer query strings, and longer paths, are rejected (414)."""
    body_timeout_seconds: Positive = 10.0
    """Time that a body may take to arrive (408)."""
    dagster_url: Url = "http://127.0.0.1:3000"
    """The page's link to the lineage."""
    cors_origins: list[Line] = []
    """Origins whose pages may call the API; none by default."""
    recall_header_days: Annotated[float, Meta(ge=0, le=3_650)] = 7.0
    """Days after a recall for which every answer has the header `Recall`, from whatever release it is. An answer from a
    release that was built on recalled days has it always."""
    log_requests: bool = False
    """Log every request; failures and slow ones always are, 20 lines a second at most."""
