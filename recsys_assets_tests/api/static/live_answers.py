"""Answers of the routes that the Live tab reads beside the stream: an experiment that is decided, and item states."""

import json
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

FIRST = date(2024, 3, 1)
DAYS = 14
MARK = {"at": "2024-04-02T08:00:00Z", "by": "shop-backend", "why": "recalled"}
SUMMARY: dict[str, Any] = {
    "name": "new_ranking",
    "state": "running",
    "kind": "split",
    "metric": "ctr",
    "scenario": None,
    "start": "2024-03-01",
    "end": "2024-03-30",
    "alpha": 0.05,
    "problem": None,
    "stopped": None,
    "words": [
        "fresh is better than control: +2.00 % of click rate, between +0.60 % and +3.40 %.",
        "loud is not decided after 14 days and 4,000 users.",
    ],
}


def looks() -> list[dict[str, Any]]:
    """A look a day; the intervals begin on the third one, and get narrower."""
    found = []
    for place in range(DAYS):
        half = 0.045 / (place + 1) ** 0.5
        arms: list[dict[str, Any]] = [_arm("control", 0.1)]
        for name, lift in (("fresh", 0.02), ("loud", -0.002)):
            if place < 2:
                arms.append({**_arm(name, 0.1 + lift), "verdict": "too few users"})
                continue
            verdict = "better" if lift - half > 0 else "not decided"
            judged = {"difference": lift, "low": lift - half, "high": lift + half, "verdict": verdict}
            arms.append({**_arm(name, 0.1 + lift), **judged})
        found.append({"day": str(FIRST + timedelta(days=place)), "arms": arms, "words": []})
    return found


def _arm(name: str, value: float) -> dict[str, Any]:
    empty = {"difference": None, "low": None, "high": None, "verdict": "control"}
    return {"arm": name, "users": 2_000, "shown": 9_000, "value": value, **empty}


def detail() -> dict[str, Any]:
    """The whole experiment."""
    none = {"release": None, "rules": None, "model": None, "ended": None, "why": None}
    arms = [{"name": name, "share": 0.3, **none} for name in ("control", "fresh", "loud")]
    return {**SUMMARY, "release": "r", "arms": arms, "guards": [], "judged_at": MARK["at"], "days": looks()}


class Routes:
    """Gives the answers to one page, and keeps the requests that change something, with their keys."""

    def __init__(self, page: "Page", *, experiments: bool = True) -> None:
        self.changes: list[tuple[str, str, Any]] = []
        """Method, path and body."""
        self.keys: set[str] = set()
        self._state: dict[str, Any] | None = None
        self._log: list[dict[str, Any]] = []
        self._experiments = experiments
        page.route("**/v1/experiments", self._list)
        page.route("**/v1/experiments/*", lambda route: _answer(route, detail()))
        page.route("**/v1/items/*/state*", self._item)
        page.route(
            "**/v1/item-states/log*",
            lambda route: _answer(route, {"release": "r", "changes": self._log, "next": None}),
        )

    def _list(self, route: "Route") -> None:
        found = [SUMMARY] if self._experiments else []
        _answer(route, {"release": "r", "problem": None, "experiments": found})

    def _changes(self, route: "Route") -> None:
        _answer(route, {"release": "r", "changes": self._log, "next": None})

    def _item(self, route: "Route") -> None:
        request = route.request
        self.keys.add(request.headers.get("x-api-key", ""))
        if request.method != "GET":
            before = self._state
            body = request.post_data_json if request.method == "PUT" else None
            self.changes.append((request.method, request.url.partition("/v1")[2], body))
            kept = {
                name: value
                for name, value in (body or {}).items()
                if value not in {None, False} and name != "why"
            }
            self._state = {**kept, "last": MARK} if kept else None
            why = body["why"] if body else "back"
            change = {"seq": len(self._log) + 1, "item_id": "i5", **MARK, "why": why, "before": before}
            self._log.insert(0, {**change, "after": self._state})
        _answer(route, {"release": "r", "version": 1, "item_id": "i5", "known": True, "state": self._state})


def _answer(route: "Route", body: dict[str, Any]) -> None:
    route.fulfill(status=200, content_type="application/json", body=json.dumps(body))
