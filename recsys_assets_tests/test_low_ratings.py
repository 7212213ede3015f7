"""A low rating is no wish: nobody is recommended an item on its account, and its user never that item again."""

import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.embeddings.fit_release import fit_release
from recsys_assets.embeddings.model_spec import ModelSpec
from recsys_assets.features.feature_database import build_features
from recsys_assets.index.build_index import build_item_index
from recsys_assets.interactions.cleaning import clean_days
from recsys_assets.interactions.wish_rule import WishRule
from recsys_assets.lake.contract import ITEM_CATALOGUE, RAW_INTERACTIONS
from recsys_assets.release.load import Release, load_release
from recsys_assets.release.publish import publish
from recsys_assets.rules.engine.plain import PlainScenario
from recsys_assets.rules.engine.requests import Request
from recsys_assets.rules.rules_file import packaged_engine
from recsys_assets.settings import IndexSettings, Settings
from recsys_assets.source_settings import SourceSettings
from recsys_assets.storage.home import Home
from recsys_assets.training_settings import TrainingSettings

FIRST = date(2024, 1, 1)
DAYS = 4
ITEMS = [f"i{n}" for n in range(8)]
NEW = "new"
"""An item of the catalogue that nobody has touched."""
SETTINGS = Settings(
    source=SourceSettings(
        spec="tabular:stars.csv", first_day=FIRST, last_day=FIRST + timedelta(days=DAYS - 1)
    ),
    training=TrainingSettings(embedding_size=4, epochs=2),
    index=IndexSettings(candidates_per_user=5, neighbours_per_item=3, threads=1),
)
MODELS = ("ials", "item_item", "popular", "ials+item_item")
STARS = dict[tuple[str, str], int]


@st.composite
def ratings(draw: st.DrawFn) -> STARS:
    """(user, item) -> stars; the first item is rated low by all, the second is liked by somebody."""
    users = [f"u{n}" for n in range(draw(st.integers(2, 5)))]
    pairs = st.tuples(st.sampled_from(users), st.sampled_from(ITEMS[1:]))
    found = draw(st.dictionaries(pairs, st.integers(1, 5), max_size=24))
    critics = draw(st.lists(st.sampled_from(users), min_size=1, unique=True))
    return (
        {(users[0], ITEMS[1]): 5} | found | {("fan", ITEMS[1]): 5} | {(who, ITEMS[0]): 1 for who in critics}
    )


def released(stars: STARS, model: str, folder: Path) -> Release:
    """Build a release of the ratings, as a home would with `rating_positive = 4`."""
    rows = [
        {"user_id": user, "item_id": item, "timestamp": _noon(place % DAYS), "rating": float(rating)}
        for place, ((user, item), rating) in enumerate(stars.items())
    ]
    raw = pl.DataFrame(rows, schema=RAW_INTERACTIONS.polars_schema()).partition_by("timestamp")
    by_day = sorted((frame["timestamp"][0].date(), frame) for frame in raw)
    cleaned = pl.concat([day.frame for day in clean_days(by_day, rule=WishRule(rating_positive=4.0))]).lazy()
    catalogue = pl.DataFrame(
        [{"item_id": item, "title": f"Thing {item}", "category": "things"} for item in [*ITEMS, NEW]],
        schema=ITEM_CATALOGUE.polars_schema(),
    )
    spec = ModelSpec(model=model, first_share=0.5 if "+" in model else 1.0, prior_weight=0.5)
    parts = {name: folder / name for name in ("embeddings", "features", "index")}
    fit_release(cleaned, spec, SETTINGS.training, catalogue=catalogue).save(parts["embeddings"])
    build_features(cleaned, catalogue, parts["features"], as_of=SETTINGS.source.last_day)
    build_item_index(parts["embeddings"], parts["index"], SETTINGS.index)
    home = Home(folder / "home")
    days = SETTINGS.source.days()
    manifest = publish(
        home, parts=parts, settings=SETTINGS, lineage=dict.fromkeys(days, "0" * 64), created_at=_noon(DAYS)
    )
    return load_release(home.releases / manifest.release_id)


def _noon(day: int) -> datetime:
    return datetime(FIRST.year, FIRST.month, FIRST.day, 12, tzinfo=UTC) + timedelta(days=day)


def lists(release: Release, request: Request) -> set[str]:
    """Every item that the plain list and the packaged scenarios answer a request with."""
    plain = PlainScenario(release)
    engine = packaged_engine(release, home=Home(release.folder.parent.parent))
    answers = [plain.recommend(request)]
    answers += [engine.scenario(name).recommend(request) for name in ("plain", "home", "basket")]
    return {release.items[num] for answer in answers for num in answer.nums}


@given(stars=ratings(), model=st.sampled_from(MODELS))
@settings(max_examples=12, deadline=None)
def test_what_all_raters_gave_few_stars_is_in_nobodys_list(stars, model):
    liked = {item for (_, item), rating in stars.items() if rating >= 4}
    rated = {item for _, item in stars}
    with tempfile.TemporaryDirectory() as folder:
        release = released(stars, model, Path(folder))
        assert set(release.items) == liked | {NEW} | (set(ITEMS) - rated)
        for user in {user for user, _ in stars}:
            num = release.users.num(user)
            disliked = {item for (who, item), rating in stars.items() if who == user and rating < 4}
            row = release.candidates_items[num]
            ahead = {release.items[item] for item in row[row >= 0].tolist()}
            served = lists(release, Request(k=len(ITEMS) + 1, user_id=user, user_num=num))
            assert not (ahead | served) & disliked
            assert not (ahead | served) & (rated - liked)
        session = [release.items.num(ITEMS[1])]
        for asker in (Request(k=20, session=session), Request(k=20, user_id="stranger")):
            assert not lists(release, asker) & (rated - liked)


def test_a_low_rating_moves_no_score(tmp_path):
    stars = {(f"u{user}", ITEMS[item]): 5 for user in range(5) for item in range(8) if (user + item) % 3}
    first = released(stars, "ials+item_item", tmp_path / "first")
    second = released(stars | {("critic", item): 1 for item in ITEMS}, "ials+item_item", tmp_path / "second")
    scores, known = [], [second.users.num(user) for user in first.users]
    for release, users in ((first, slice(None)), (second, known)):
        scores.append(release.user_embeddings[users] @ release.item_embeddings.T)
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(first.score.related.items_IN, second.score.related.items_IN)
