"""Requests to the API in a fixed order, for the embedded default's first 60 days."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

USERS: Final = ("1", "7", "253", "1924", "2469")
STRANGER: Final = "nobody at all"
ITEMS: Final = ("1082185", "981760", "6534178", "1029743", "844179")
SCENARIOS: Final = ("plain", "home", "basket", "similar", "email")
_JSON: Final = {"Content-Type": "application/json"}
_PAGES: Final = (
    "/", "/favicon.ico", "/static/explorer.js", "/static/explorer.css", "/static/icon.svg", "/static/api.js",
    "/static/combobox.js", "/static/dom.js", "/static/drift.js", "/static/quality.js", "/static/releases.js",
    "/static/rows.js",
    "/static/why.js", "/static/scalar.js", "/static/swagger.js", "/static/vendor/swagger-ui.css",
    "/static/vendor/swagger-ui-bundle.js", "/static/vendor/scalar.js", "/static/index.html",
)  # fmt: skip


class Ask(NamedTuple):
    """One request."""

    method: str
    target: str
    body: bytes | None = None
    headers: Mapping[str, str] = {}
    tag: str = ""
    """Tells apart requests that are otherwise named alike."""

    @property
    def name(self) -> str:
        """Its key in the transcript."""
        body = "" if self.body is None else f" {self.body[:120].decode('utf-8', 'replace')}"
        return f"{self.method} {self.target[:160]}{body}{f' ({self.tag})' if self.tag else ''}"


def get(path: str, /, headers: Mapping[str, str] | None = None, tag: str = "", **query: Any) -> Ask:
    """A GET; query values may be lists."""
    return Ask("GET", path + (f"?{urlencode(query, doseq=True)}" if query else ""), None, headers or {}, tag)


def post(path: str, body: Any, headers: Mapping[str, str] | None = None, tag: str = "") -> Ask:
    """A POST of a JSON value, or of bytes as they are."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Ask("POST", path, raw, {**_JSON, **(headers or {})}, tag)


def for_user(user: str, **query: Any) -> Ask:
    """Recommendations for a user."""
    return get(f"/v1/users/{quote(user, safe='')}/recommendations", **query)


def reads() -> Iterator[Ask]:
    """Good and bad requests that change nothing."""
    yield from _users()
    yield from _rules()
    yield from _items()
    yield from _others()
    yield from _sessions()
    yield from _wrong()
    yield from _conditional()
    yield from (get(path) for path in _PAGES)


def _users() -> Iterator[Ask]:
    for user in USERS:
        yield for_user(user)
        yield for_user(user, k=3, include_seen="true")
        yield for_user(user, k=50, category="SOFT DRINKS")
        yield for_user(user, k=5, exclude=ITEMS[:2], reasons="true")
        yield get(f"/v1/users/{user}/history", k=5)
        yield get(f"/v1/users/{user}/features")
    yield for_user(USERS[0], k=500)
    yield for_user(USERS[1], k=5, budget_ms=1e9)
    yield for_user(USERS[1], k=5, budget_ms=0)
    yield for_user(USERS[1], k=5, category="NO SUCH CATEGORY")
    yield for_user(STRANGER, k=5)
    yield for_user(STRANGER, k=5, reasons="true", category="CHEESE")
    for cohort in ("favourite_department:GROCERY", "favourite_department:NOTHING", "no_such:X", "no colon"):
        yield for_user(STRANGER, k=5, cohort=cohort)
        yield for_user(USERS[0], k=5, cohort=cohort)
    yield for_user("a/b\u0000c ü", k=2)
    for path in ("history", "features"):
        yield get(f"/v1/users/{quote(STRANGER)}/{path}")
    yield from (
        get("/v1/users", **query) for query in ({}, {"q": "19", "limit": 5}, {"q": "zz"}, {"limit": 0})
    )


def _rules() -> Iterator[Ask]:
    yield get("/v1/scenarios")
    for user in (*USERS[:3], STRANGER):
        for scenario in SCENARIOS:
            yield for_user(user, scenario=scenario, k=8)
        yield for_user(user, k=4, explain="true")
        yield for_user(user, scenario="email", k=4, explain="true", reasons="true")
        yield for_user(user, k=6, diversity=0.9)
        yield for_user(user, scenario="basket", k=6, include_seen="true", exclude=ITEMS)
        for item in ITEMS[:3]:
            yield get(f"/v1/users/{quote(user)}/recommendations/why", item_id=item, scenario="home", k=5)
    yield for_user(USERS[0], scenario="no such", k=3)
    yield for_user(USERS[0], scenario="home", diversity=2)
    yield for_user(USERS[0], scenario="home", category="CHEESE", k=5, cohort="favourite_department:GROCERY")
    yield get("/v1/users/1/recommendations/why")
    yield get("/v1/users/1/recommendations/why", item_id="no such item")
    yield get("/v1/users/1/recommendations/why", item_id=ITEMS[0], scenario="email", diversity=0.5, k=500)


def _items() -> Iterator[Ask]:
    for item in ITEMS:
        yield get(f"/v1/items/{item}/similar", k=6)
        yield get(f"/v1/items/{item}/features")
    yield get(f"/v1/items/{ITEMS[0]}/similar", k=100, category="CHEESE", exclude=ITEMS[1:3])
    yield from (get(f"/v1/items/{quote('no/such', safe='')}/{path}") for path in ("similar", "features"))
    for words in ("milk", "white mil", "soft drink diet", "CHEESE private", '"; DROP TABLE', "zzz", "é*", ""):
        yield get("/v1/items", q=words, limit=5)
    yield get("/v1/items")
    yield get("/v1/items", q="milk", limit=1000)
    yield get("/v1/categories")


def _others() -> Iterator[Ask]:
    yield from (get("/v1/popular", **query) for query in ({}, {"k": 3, "category": "CHEESE"}, {"k": 500}))
    yield get("/v1/popular", k=4, exclude=list(ITEMS))
    yield get("/v1/release")
    yield get("/v1/releases")
    yield get("/v1/quality", days=2)
    yield get("/v1/quality", days=0)
    yield get("/v1/features")
    for entity, ids in (("user", [*USERS[:2], STRANGER]), ("item", [*ITEMS[:2], "x"]), ("shop", ["1"])):
        yield post("/v1/features:batchGet", {"entity": entity, "ids": ids})
        wanted = {"entity": entity, "ids": ids, "names": ["events_total", "popularity_rank", "no_such"]}
        yield post("/v1/features:batchGet", wanted)
    yield from (get(path) for path in ("/health/live", "/health/ready", "/schema", "/schema/openapi.json"))
    yield from (get(path) for path in ("/schema/swagger", "/schema/scalar", "/schema/redoc"))


def _sessions() -> Iterator[Ask]:
    bodies: list[Any] = [
        {"item_ids": list(ITEMS)},
        {"item_ids": [ITEMS[0]], "k": 3, "reasons": True},
        {"item_ids": [ITEMS[0], "no such"], "k": 3, "include_seen": True},
        {"item_ids": ["no such"], "k": 3},
        {"item_ids": list(ITEMS[:2]), "k": 5, "category": "CHEESE", "exclude": [ITEMS[3]]},
        {"item_ids": list(ITEMS[:2]), "k": 5, "budget_ms": 0},
        {"item_ids": list(ITEMS[:2]), "k": 4, "explain": True},
        {"item_ids": list(ITEMS[:2]), "k": 4, "diversity": 0.8, "reasons": True},
        *({"item_ids": list(ITEMS[1:4]), "k": 6, "scenario": scenario} for scenario in SCENARIOS),
        {"item_ids": [ITEMS[0]], "k": 3.0},
        {"item_ids": []},
        {"item_ids": [1]},
        {"item_ids": [ITEMS[0]], "k": 0},
        {"item_ids": [ITEMS[0]], "k": "3"},
        {"item_ids": [ITEMS[0]], "surprise": 1},
        {"item_ids": [ITEMS[0]], "scenario": "no such"},
        {},
        [],
        b"{not json",
        b"",
    ]
    yield from (post("/v1/recommendations", body) for body in bodies)


def _wrong() -> Iterator[Ask]:
    yield from (
        for_user("1", **query) for query in ({"k": 0}, {"k": 501}, {"k": "x"}, {"include_seen": "maybe"})
    )
    yield from (
        for_user("1", **query) for query in ({"budget_ms": -1}, {"budget_ms": ""}, {"diversity": "null"})
    )
    yield from (for_user("1", **query) for query in ({"category": "x" * 513}, {"surprise": 1, "k": 1}))
    yield from (get(path) for path in ("/v1", "/v1/", "/nothing", "/v1/users//recommendations", "/v1/items/"))
    yield from (
        get(path) for path in ("/static/../settings.py", "/static/%2e%2e/x", "/static/none.js", "/static/")
    )
    yield get("/v1/popular", tag="long query", x="y" * 9_000)
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        yield from (Ask(method, path) for path in ("/v1/popular", "/v1/recommendations", "/nothing"))
    yield Ask("GET", "/v1/recommendations")
    yield Ask("POST", "/v1/popular", b"{}", _JSON)
    yield Ask("POST", "/v1/recommendations", b"x=1", {"Content-Type": "text/plain"}, "as text")
    yield Ask("POST", "/v1/recommendations", b'{"item_ids":["981760"],"k":2}', {}, "no type")
    # refused by its header; a body that nobody reads may break the connection before the answer is here
    yield Ask("POST", "/v1/recommendations", None, {**_JSON, "Content-Length": "1000100"}, "large")
    yield post("/v1/recommendations", {"item_ids": ["x" * 513]}, tag="long id")
    for path in ("/v1/events", "/v1/releases:promote"):
        yield post(path, {"events": [{"user_id": "1", "item_id": ITEMS[0]}]}, tag="no key")
        yield post(path, {}, {"X-API-Key": "rk_0_0"}, tag="unknown key")
        yield post(path, {}, {"Authorization": "Bearer nonsense"}, tag="unknown bearer")
    yield get("/v1/popular", {"X-Request-Id": "not acceptable!"}, tag="bad request id")


def _conditional() -> Iterator[Ask]:
    for path in ("/v1/popular?k=500", "/v1/users/1/recommendations?k=100", "/static/explorer.js"):
        for encoding in ("gzip", "br", "zstd", "deflate", "gzip;q=0, br;q=0.5", "*", "identity"):
            yield get(path, {"Accept-Encoding": encoding}, tag=f"as {encoding}")
        for method in ("HEAD", "GET"):
            yield Ask(method, path, None, {"If-None-Match": "*"}, "if none match *")
            yield Ask(method, path, None, {"If-None-Match": 'W/"other", "one"'}, "if none match others")
            yield Ask(method, path, None, {"If-None-Match": "{etag}"}, "if none match its own")
    yield Ask("HEAD", "/v1/users/1/recommendations")
    yield Ask("HEAD", "/v1/items/none/similar")
    yield get("/v1/popular", {"Origin": "https://shop.example"}, tag="from an origin")
