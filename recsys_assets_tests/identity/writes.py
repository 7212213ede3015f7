"""Requests that change something: events, promotions and keys, each with what they change asked before and after."""

from collections.abc import Iterator
from typing import Final

from recsys_assets_tests.identity.requests import ITEMS, STRANGER, USERS, Ask, for_user, get, post

KEY: Final = "{key %s}"
"""Stands for the key of a scope, which the server's keeper fills in."""
_WHEN: Final = "2017-03-02T10:00:00Z"


def with_key(scope: str, *, bearer: bool = False) -> dict[str, str]:
    """The header that presents the key of a scope."""
    return {"Authorization": f"Bearer {KEY % scope}"} if bearer else {"X-API-Key": KEY % scope}


def events() -> Iterator[Ask]:
    """Events with the wrong and the right keys, and the recommendations that follow."""
    good = {"events": [{"user_id": STRANGER, "item_id": item, "timestamp": _WHEN} for item in ITEMS[:3]]}
    yield post("/v1/events", good, with_key("read"), tag="read key")
    for user in (STRANGER, USERS[0]):
        yield for_user(user, k=6, tag="before events")
    yield post("/v1/events", good, with_key("write"), tag="write key")
    more = {"events": [{"user_id": USERS[0], "item_id": item} for item in (ITEMS[2], "no such item")]}
    yield post("/v1/events", more, with_key("write", bearer=True), tag="write bearer")
    for user in (STRANGER, USERS[0]):
        yield for_user(user, k=6, tag="after events")
        yield for_user(user, k=6, scenario="basket", explain="true", tag="after events")
        yield for_user(user, k=6, scenario="home", reasons="true", tag="after events")
        yield get(f"/v1/users/{user.replace(' ', '%20')}/history", k=4, tag="after events")
    wrong: list[object] = [
        {"events": []},
        {"events": [{"user_id": "1"}]},
        {"events": [{"user_id": "1", "item_id": "2", "timestamp": "yesterday"}]},
        {"events": [{"user_id": "1", "item_id": "2", "timestamp": "2017-03-02T10:00:00"}]},
        {"events": [{"user_id": "", "item_id": "2"}]},
        {"events": [{"user_id": "1", "item_id": "2", "price": 3}]},
    ]
    yield from (post("/v1/events", body, with_key("write"), tag="write key") for body in wrong)


def promotions() -> Iterator[Ask]:
    """Promotions of the release that is served, and of one that is not there."""
    for scope in ("read", "write", "admin"):
        yield post("/v1/releases:promote", {"release": "20170301-0123456789"}, with_key(scope), tag=scope)
    yield post("/v1/releases:promote", {"release": "{release}"}, with_key("admin"), tag="admin, its own")
    yield post("/v1/releases:promote", {"release": "../.."}, with_key("admin"), tag="admin")
    yield post("/v1/releases:promote", {}, with_key("admin"), tag="admin")


def guarded() -> Iterator[Ask]:
    """For a server whose reads need a key and that one origin's pages may call."""
    yield from (
        get(path) for path in ("/v1/popular", "/health/live", "/metrics", "/", "/schema/openapi.json")
    )
    for scope in ("read", "write", "admin"):
        yield get("/v1/popular", with_key(scope), tag=scope, k=2)
    yield get("/v1/items/981760/features", with_key("read", bearer=True), tag="read bearer")
    for origin in ("https://shop.example", "https://other.example"):
        preflight = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        yield get("/v1/popular", {**with_key("read"), "Origin": origin}, tag=origin, k=2)
        yield Ask("OPTIONS", "/v1/recommendations", None, preflight, origin)


def limited() -> Iterator[Ask]:
    """For a server that answers a caller twice and then hardly ever."""
    yield from (get("/v1/popular", tag=f"request {number}", k=1) for number in range(1, 5))
    yield get("/v1/popular", with_key("read"), tag="another caller", k=1)
    yield get("/health/live", tag="health is not counted")


def workers() -> Iterator[Ask]:
    """For a server of two processes."""
    for number in range(1, 5):
        yield for_user(USERS[1], k=4, tag=f"request {number}")
    yield post("/v1/events", {"events": [{"user_id": "new", "item_id": ITEMS[0]}]}, with_key("write"))
    yield from (for_user("new", k=3, tag=f"request {number}") for number in range(1, 5))
