"""Recommendations without a server: what `recsys recommend` and `recsys up` print."""

import msgspec

from recsys_assets.api.schemas.recommendation_schemas import ScoredItem, UserRecommendations
from recsys_assets.api.serving.event_store import EventStore
from recsys_assets.api.serving.queries import Wanted
from recsys_assets.api.serving.recommender import Recommender
from recsys_assets.api.serving.ruled import item_json, trace_json
from recsys_assets.api.serving.scenarios import as_ranked, asked_by_user
from recsys_assets.errors import ReleaseError
from recsys_assets.release.load import Release, load_release
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.rules.engine.trace import Recorder
from recsys_assets.rules.rules_file import load_engine
from recsys_assets.storage.home import Home


def recommend_once(home: Home, user_id: str, k: int = 10) -> UserRecommendations:
    """The k best items for a user from the current release, as the API would answer.

    Args:
        home: an installation with a release.
        user_id: the source's id; a stranger gets popular items.
        k: how many, >= 1.

    Raises:
        ReleaseError: no release is current, or it is broken.
    """
    release = _current(home)
    events = EventStore(home.events_db)
    events.refresh()
    found = Recommender(release, events).for_user(user_id, Wanted(k=k), may_block=True)
    items = [
        ScoredItem(
            item_id=release.items[num],
            title=release.titles[num] or None,
            category=release.categories[num] or None,
            score=score,
        )
        for num, score in zip(found.nums, found.scores, strict=True)
    ]
    return UserRecommendations(
        release=release.release_id, user_id=user_id, source=found.source, reason=found.reason, items=items
    )


def recommend_by_rules(
    home: Home, user_id: str, k: int = 10, *, scenario: str | None = None, explain: bool = False
) -> UserRecommendations:
    """Likewise by a scenario of the rules in force, the default one where None.

    Raises:
        ReleaseError: no release is current, or it is broken.
        RulesError: the rules in force are not valid, or have no such scenario.
    """
    release = _current(home)
    events = EventStore(home.events_db)
    events.refresh()
    recommender = Recommender(release, events)
    engine = load_engine(release, home=home)
    pipeline = engine.scenario(scenario)
    recorder = Recorder(pipeline.scenario.name) if explain else None
    asked = asked_by_user(recommender, user_id, Wanted(k=k), diversity=None)
    found = as_ranked(pipeline.recommend(asked, recorder=recorder), asked)
    items = [
        ScoredItem(**msgspec.structs.asdict(item_json(num, release)), score=score)
        for num, score in zip(found.nums, found.scores, strict=True)
    ]
    return UserRecommendations(
        release=release.release_id,
        user_id=user_id,
        source=found.source,
        reason=found.reason,
        items=items,
        scenario=pipeline.scenario.name,
        rules=engine.version,
        trace=msgspec.UNSET if recorder is None else trace_json(recorder.trace, release),
    )


def some_users(home: Home, count: int) -> list[str]:
    """The first `count` user ids of the current release, by their bytes.

    Raises:
        ReleaseError: no release is current, or it is broken.
    """
    users = _current(home).users
    return [users[num] for num in range(min(count, len(users)))]


def _current(home: Home) -> Release:
    current = ReleaseStore(home.releases).current_id()
    if current is None:
        raise ReleaseError(f"{home.releases}: no release is current; run `recsys build` first")
    return load_release(home.releases / current, verify=False)
