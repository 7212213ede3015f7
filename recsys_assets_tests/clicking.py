"""Simulated people: they see lists, click by a cascade model on what they like, and buy some of it. Seeded.

The cascade model (Craswell et al. 2008): a user looks at the list from the top, clicks an item with the probability
that it attracts, and looks further only while nothing was clicked. Lists come from a server by HTTP (`browse`), or from
the test itself (`visit` and `store`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import httpx
import numpy as np

from recsys_assets.event_settings import EventsSettings
from recsys_assets.intake.event_store import Intake
from recsys_assets.intake.events_database import microseconds
from recsys_assets.intake.rows import EventRow, ImpressionRow
from recsys_assets.storage.home import Home

SECOND_US = 1_000_000
_ANSWERS_AT_ONCE = 50
"""Answers whose impressions are posted at once."""
Attraction = Callable[[str, str], float]
"""(user_id, item_id) -> probability of a click once it is looked at."""


def planted(*, seed: int, share: float, liked: float = 0.3, other: float = 0.02) -> Attraction:
    """Return a preference: each user likes a `share` of all items, by a hash of seed, user and item."""

    def attracts(user_id: str, item_id: str) -> float:
        drawn = int.from_bytes(sha256(f"{seed} {user_id} {item_id}".encode()).digest()[:8], "big") / 2**64
        return liked if drawn < share else other

    return attracts


@dataclass(frozen=True, kw_only=True)
class Visit:
    """A user's look at one list."""

    impressions: list[ImpressionRow]
    """The items that the page showed, at their positions."""
    events: list[EventRow] = field(default_factory=list)
    """A view, and perhaps a purchase, that name the answer."""


def visit(
    answer_id: str,
    items: Sequence[str],
    user_id: str,
    *,
    at: datetime,
    attracts: Attraction,
    rng: np.random.Generator,
    buys: float = 0.3,
    price: float = 10.0,
    names_answer: bool = True,
) -> Visit:
    """Return what a user does with a list of an answer.

    Args:
        answer_id: the answer.
        items: its items, in order; all are shown.
        user_id: the user.
        at: time when the list was shown; a click follows 5 s a position later, a purchase a minute after that.
        attracts: the preference.
        rng: the randomness.
        buys: probability that a clicked item is bought.
        price: mean amount paid; amounts are spread by a log-normal.
        names_answer: the events say of which answer they are; else attribution finds it.
    """
    start, named = microseconds(at), answer_id if names_answer else None
    impressions = [
        ImpressionRow(answer_id, item, place, user_id, start, start)
        for place, item in enumerate(items, start=1)
    ]
    for place, item in enumerate(items, start=1):
        if rng.random() < attracts(user_id, item):
            when = start + place * 5 * SECOND_US
            events = [_event("view", user_id, item, when, named)]
            if rng.random() < buys:
                paid = round(price * float(rng.lognormal(-0.125, 0.5)), 2)
                events.append(_event("purchase", user_id, item, when + 60 * SECOND_US, named, value=paid))
            return Visit(impressions=impressions, events=events)
    return Visit(impressions=impressions)


def _event(
    kind: str, user_id: str, item_id: str, at: int, answer_id: str | None, *, value: float | None = None
) -> EventRow:
    name = sha256(f"{kind} {user_id} {item_id} {at}".encode()).hexdigest()[:32]
    quantity = None if value is None else 1.0
    return EventRow(name, user_id, item_id, kind, at, at, quantity=quantity, value=value, answer_id=answer_id)


def store(home: Home, visits: Iterable[Visit]) -> None:
    """Put visits into the home's intake, as a server would; all are durable when it returns."""
    intake = Intake(home.events_db, EventsSettings(queue_rows=10_000_000), now=lambda: datetime.now(UTC))
    for receipt in [intake.submit([*one.impressions, *one.events]) for one in visits]:
        receipt.result(30)
    intake.close()


def browse(
    client: httpx.Client,
    users: Sequence[str],
    *,
    at: datetime,
    attracts: Attraction,
    seed: int,
    k: int = 10,
    scenario: str | None = None,
) -> list[Visit]:
    """Have users look at their lists of a server, and report what they see and do; return their visits.

    Args:
        client: reaches the server; its headers have a key of scope `write` where one is needed.
        users: ids; each looks once.
        at: time of the first look; the others follow a second apart.
        attracts: the preference.
        seed: of the cascade.
        k: length of the lists.
        scenario: of the rules; None for plain lists.
    """
    rng, visits = np.random.default_rng(seed), []
    for place, user in enumerate(users):
        given = {"k": k} if scenario is None else {"k": k, "scenario": scenario}
        answer = client.get(f"/v1/users/{user}/recommendations", params=given).raise_for_status().json()
        shown = [one["item_id"] for one in answer["items"]]
        moment = at + timedelta(seconds=place)
        visits.append(visit(answer["id"], shown, user, at=moment, attracts=attracts, rng=rng))
    report(client, visits)
    return visits


def report(client: httpx.Client, visits: Sequence[Visit]) -> None:
    """Post the impressions and events of visits to a server, in batches."""
    shown = [
        {
            "answer_id": one.impressions[0].answer_id,
            "items": [row.item_id for row in one.impressions],
            "user_id": one.impressions[0].user_id,
            "timestamp": _text(one.impressions[0].timestamp),
        }
        for one in visits
        if one.impressions
    ]
    for start in range(0, len(shown), _ANSWERS_AT_ONCE):
        body = {"impressions": shown[start : start + _ANSWERS_AT_ONCE]}
        client.post("/v1/impressions", json=body).raise_for_status()
    events = [
        {
            name: value
            for name, value in row._asdict().items()
            if value is not None and name not in {"timestamp", "received_at"}
        }
        | {"timestamp": _text(row.timestamp)}
        for one in visits
        for row in one.events
    ]
    for start in range(0, len(events), 1_000):
        client.post("/v1/events", json={"events": events[start : start + 1_000]}).raise_for_status()


def _text(us: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)).isoformat()
