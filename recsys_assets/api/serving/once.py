"""Recommendations without a server, for `recsys recommend` and `recsys up`."""

import msgspec

from recsys_assets.api.schemas.recommendation_schemas import ScoredItem, UserRecommendations
from recsys_assets.api.serving.answers import item_json, trace_json
from recsys_assets.api.serving.event_store import EventStore
from recsys_assets.api.serving.live import Serving
from recsys_assets.release.load import Release, load_current
from recsys_assets.rules.engine.requests import Answer, Request
from recsys_assets.rules.rules_file import load_engine
from recsys_assets.storage.home import Home


def recommend_once(home: Home, user_id: str, k: int = 10) -> UserRecommendations:
    """Return the k best items for a user from the current release, as the API would answer.

    Args:
        home: an installation with a release.
        user_id: the source's id; a stranger gets popular items.
        k: how many, >= 1.

    Raises:
        ReleaseError: no release is current, or it is broken.
    """
    serving = _serving(home)
    answer = serving.plain.recommend(_request(serving, user_id, k))
    return _by_name(answer, user_id, serving.release)


def recommend_by_rules(
    home: Home, user_id: str, k: int = 10, *, scenario: str | None = None, explain: bool = False
) -> UserRecommendations:
    """Return the k best items by a scenario of the rules in force, the default one where None.

    Raises:
        ReleaseError: no release is current, or it is broken.
        RulesError: the rules in force are not valid, or have no such scenario.
    """
    serving = _serving(home)
    engine = load_engine(serving.release, home=home, plain=serving.plain)
    pipeline, request = engine.scenario(scenario), _request(serving, user_id, k)
    if explain:
        answer, trace = pipeline.explain(request)
        explained = trace_json(trace, serving.release)
    else:
        answer = pipeline.recommend(request)
    return msgspec.structs.replace(
        _by_name(answer, user_id, serving.release),
        scenario=pipeline.scenario.name,
        rules=engine.version,
        trace=explained if explain else msgspec.UNSET,
    )


def some_users(home: Home, count: int) -> list[str]:
    """Return the first `count` user ids of the current release, by their bytes.

    Raises:
        ReleaseError: no release is current, or it is broken.
    """
    users = load_current(home.releases).users
    return [users[num] for num in range(min(count, len(users)))]


def _serving(home: Home) -> Serving:
    events = EventStore(home.events_db)
    events.refresh()
    return Serving(load_current(home.releases), events, home)


def _request(serving: Serving, user_id: str, k: int) -> Request:
    user_num = serving.release.users.num(user_id)
    return Request(k=k, user_id=user_id, user_num=user_num, session=serving.items_since(user_id))


def _by_name(answer: Answer, user_id: str, release: Release) -> UserRecommendations:
    items = [
        ScoredItem(**msgspec.structs.asdict(item_json(num, release)), score=score)
        for num, score in zip(answer.nums, answer.scores, strict=True)
    ]
    return UserRecommendations(
        release=release.release_id, user_id=user_id, source=answer.source, reason=answer.reason, items=items
    )
