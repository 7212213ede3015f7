"""Random small catalogues and rules, as plain data for the reference and as files for the real engine."""

# ruff: noqa: E731  meanings are lambdas over (item, user, world)

import json
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from hypothesis import strategies as st

from recsys_assets.embeddings.score_parts import ScoreParts
from recsys_assets.embeddings.score_recipe import ScoreRecipe
from recsys_assets.release.load import Release
from recsys_assets.release.manifest import Manifest
from recsys_assets.storage.string_table import StringTable, Vocabulary
from recsys_assets_tests.rules.predicates import (
    BRANDS,
    CATEGORIES,
    ITEM_COLUMNS,
    SHARES,
    TEXTS,
    USER_COLUMNS,
    WEIGHTS,
    Written,
    numbers,
    predicates,
)
from recsys_assets_tests.rules.reference import World

THROUGH = date(2024, 3, 30)
THROUGH_DAY = (THROUGH - date(1970, 1, 1)).days


def _vectors():
    signs = st.sampled_from([-1, 1, 1])
    one_hot = st.tuples(st.integers(0, 3), signs).map(
        lambda p: [p[1] if at == p[0] else 0 for at in range(4)]
    )
    full = st.lists(signs, min_size=4, max_size=4)
    return st.tuples(st.one_of(one_hot, full, st.just([0] * 4)), st.sampled_from([1, 1, 2])).map(
        lambda p: [value * p[1] for value in p[0]]
    )


@st.composite
def worlds(draw):
    count = draw(st.integers(1, 24))
    maybe = lambda strategy: st.one_of(st.none(), strategy, strategy, strategy)
    items = [
        {
            "num": num,
            "item_id": f"i{num:02d}",
            "price": draw(maybe(st.integers(0, 8).map(lambda n: n / 2))),
            "events_28d": draw(st.integers(0, 8)),
            "popularity_trend": draw(st.sampled_from([0.5, 1.0, 2.0])),
            "days_since_first": draw(maybe(st.integers(0, 40))),
            "category": draw(maybe(st.sampled_from(CATEGORIES))),
            "brand": draw(maybe(st.sampled_from(BRANDS))),
        }
        for num in range(count)
    ]
    vectors = [draw(_vectors()) for _ in range(count)]
    users = []
    for number in range(draw(st.integers(1, 3))):
        seen = draw(st.lists(st.integers(0, count - 1), unique=True, max_size=min(8, count)))
        days = sorted((draw(st.integers(THROUGH_DAY - 60, THROUGH_DAY)) for _ in seen), reverse=True)
        vector = draw(_vectors())
        unseen = [num for num in range(count) if num not in seen]
        unseen.sort(
            key=lambda num, v=vector: (-sum(a * b for a, b in zip(vectors[num], v, strict=True)), num)
        )
        users.append(
            {
                "id": f"u{number}",
                "vector": vector,
                "history": list(zip(seen, days, strict=True)),
                "candidates": unseen[:12],
                "features": {
                    "user_id": f"u{number}",
                    "median_price": draw(maybe(st.integers(0, 6).map(lambda n: n / 2))),
                    "favourite_category": draw(maybe(st.sampled_from(CATEGORIES))),
                },
            }
        )
    world = World(
        items=items, vectors=vectors, users=users,
        popularity=[draw(st.integers(0, 20)) / 4 for _ in range(count)],
        neighbours=[], lists={"some": draw(st.frozensets(st.integers(0, count - 1)))},
        release_id="20240330-0123456789", through_day=THROUGH_DAY,
    )  # fmt: skip
    world.neighbours = [
        sorted(
            ((o, float(world.cosine(v, vectors[o]))) for o in range(count) if o != n),
            key=lambda p: (-p[1], p[0]),
        )[:5]
        for n, v in enumerate(vectors)
    ]
    return world


@st.composite
def scenarios(draw):
    """A scenario as a dict of the file's form, predicates as `Written`."""
    quota, of_items = st.integers(1, 12), predicates(of_user=False)
    kinds = ["user", "recent", "history", "popular", "trending", "new", "category", "list"]
    candidates = []
    for kind in draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=4)):
        source: dict[str, Any] = {"source": kind, "quota": draw(quota)}
        if kind in {"popular", "trending", "new"} and draw(st.booleans()):
            source["where"] = draw(of_items)
        if kind == "list":
            source["items_of"] = "some"
        if draw(st.integers(0, 4)) == 0:
            source["only_below"] = draw(quota)
        if kind in {"recent", "category"}:
            source["last"] = draw(st.integers(1, 4))
        candidates.append(source)
    ids = st.integers(0, 24).map(lambda num: f"i{num:02d}")
    filters = st.one_of(
        st.fixed_dictionaries({"kind": st.just("seen")}, optional={"cool_off_days": st.integers(1, 50)}),
        st.fixed_dictionaries({"kind": st.just("excluded"), "items": st.lists(ids, min_size=1, max_size=3)}),
        st.just({"kind": "own", "column": "brand"}),
        st.fixed_dictionaries(
            {"kind": st.just("where"), "keep": predicates()},
            optional={"unknown": st.sampled_from(["keep", "drop"])},
        ),
        st.fixed_dictionaries(
            {"kind": st.just("where"), "drop": predicates()},
            optional={"unknown": st.sampled_from(["keep", "drop"])},
        ),
    )
    weight = st.sampled_from(WEIGHTS)
    scoring = st.one_of(
        st.fixed_dictionaries({"kind": st.just("boost"), "where": predicates(), "by": weight}),
        st.fixed_dictionaries({"kind": st.just("feature"), "value": numbers(), "weight": weight}),
        st.fixed_dictionaries(
            {"kind": st.just("newness"), "half_life_days": st.sampled_from([1.0, 10.0]), "weight": weight}
        ),
        st.fixed_dictionaries({"kind": st.just("popularity"), "weight": weight}),
    )
    share = st.sampled_from(SHARES)
    reranking = st.one_of(
        st.fixed_dictionaries(
            {"kind": st.just("diversity"), "strength": share},
            optional={"pool": st.integers(1, 20), "memory": st.integers(1, 3)},
        ),
        st.fixed_dictionaries(
            {"kind": st.just("at_most"), "n": st.integers(1, 3), "by": st.sampled_from(TEXTS)},
            optional={"window": st.integers(1, 6)},
        ),
        st.fixed_dictionaries({"kind": st.just("variants"), "by": st.sampled_from(TEXTS)}),
        st.fixed_dictionaries({"kind": st.just("promote"), "where": of_items, "share": share}),
        st.fixed_dictionaries(
            {"kind": st.just("explore"), "share": share, "seed": st.integers(0, 3)},
            optional={"pool": st.integers(1, 20)},
        ),
        st.fixed_dictionaries(
            {
                "kind": st.just("pin"),
                "slots": st.dictionaries(st.sampled_from(["1", "2", "9"]), ids, min_size=1),
            }
        ).filter(lambda stage: len(set(stage["slots"].values())) == len(stage["slots"])),
    )
    limits = {"fallback": draw(st.lists(st.sampled_from(["catalogue", "popular"]), max_size=2))}
    if draw(st.booleans()):
        limits["at_most"] = draw(st.integers(1, 12))
    found = {
        "candidates": candidates,
        "filters": draw(st.lists(filters, max_size=3)),
        "scoring": draw(st.lists(scoring, max_size=3)),
        "reranking": draw(st.lists(reranking, max_size=3)),
    }
    for section, stages in found.items():
        found[section] = [{**stage, "name": f"{section} {at}"} for at, stage in enumerate(stages)]
    return {**found, "limits": limits}


def to_toml(scenario):
    """The rules file that says so."""
    lines = ["version = 1", '[lists]\nsome = "some.txt"']
    for section in ("candidates", "filters", "scoring", "reranking"):
        for stage in scenario[section]:
            lines.append(f"[[scenarios.home.{section}]]")
            lines += [f"{key} = {_toml(value)}" for key, value in stage.items()]
    lines.append("[scenarios.home.limits]")
    lines += [f"{key} = {_toml(value)}" for key, value in scenario["limits"].items()]
    return "\n".join(lines) + "\n"


def _toml(value):
    if isinstance(value, Written):
        return json.dumps(value.text)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    return json.dumps(value)


class HalfSum:
    """A fold-in that can be done by head: half of the weighted sum of the items' vectors."""

    def __init__(self, vectors):
        self.items_ID = np.array(vectors, dtype=np.float32)

    def embed(self, nums, weights):
        return (self.items_ID[nums] * np.asarray(weights, dtype=np.float32)[:, None]).sum(axis=0) / 2


def search_in(vectors):
    """An exact search of items by inner product; the lower number first where two are equal."""
    items_ID = np.array(vectors, dtype=np.float32)

    def search(x_D, k):
        products_I = items_ID @ x_D
        nums = np.lexsort((np.arange(len(items_ID)), -products_I))[:k].astype(np.int32)
        return nums, products_I[nums]

    return search


def to_release(world, folder):
    """The same world as an open release, with its feature database and its list on disk."""
    with closing(sqlite3.connect(folder / "features.sqlite")) as connection:
        for table, columns in (("item_features", ITEM_COLUMNS), ("user_features", USER_COLUMNS)):
            connection.execute(f"CREATE TABLE {table} ({', '.join(f'{n} {k}' for n, k in columns.items())})")
        rows = [[item[name] for name in ITEM_COLUMNS] for item in world.items]
        connection.executemany(
            f"INSERT INTO item_features VALUES ({', '.join('?' * len(ITEM_COLUMNS))})", rows
        )
        connection.commit()
    (folder / "some.txt").write_text("# ids\n" + "".join(f"i{num:02d}\n" for num in world.lists["some"]))
    count, users = len(world.items), len(world.users)
    candidates = np.full((users, 12), -1, dtype=np.int32)
    neighbours = np.full((count, 5), -1, dtype=np.int32)
    cosines = np.full((count, 5), -np.inf, dtype=np.float32)
    products = np.full((users, 12), -np.inf, dtype=np.float32)
    for row, scores, user in zip(candidates, products, world.users, strict=True):
        row[: len(user["candidates"])] = user["candidates"]
        scores[: len(user["candidates"])] = [
            world.dot(world.vectors[num], user["vector"]) for num in user["candidates"]
        ]
    for num, near in enumerate(world.neighbours):
        neighbours[num, : len(near)] = [other for other, _ in near]
        cosines[num, : len(near)] = [cosine for _, cosine in near]
    history = [pair for user in world.users for pair in user["history"]]
    unused = cast("Any", None)
    return Release(
        folder=folder,
        manifest=Manifest(
            release_id=world.release_id, created_at=datetime(2024, 4, 1, tzinfo=UTC),
            first_day=THROUGH - timedelta(days=60), through_day=THROUGH, counts={}, settings={}, metrics={},
            index={}, lineage={}, files={},
        ),
        users=Vocabulary.from_strings([user["id"] for user in world.users]),
        items=Vocabulary.from_strings([item["item_id"] for item in world.items]),
        user_embeddings=np.array([user["vector"] for user in world.users], dtype=np.float32),
        item_embeddings=np.array(world.vectors, dtype=np.float32),
        history_indptr=np.cumsum([0, *(len(user["history"]) for user in world.users)]),
        history_items=np.array([num for num, _ in history], dtype=np.int32),
        history_days=np.array([day for _, day in history], dtype=np.int32),
        history_weights=np.ones(len(history), dtype=np.float32),
        seen_indptr=np.cumsum([0, *(len(user["history"]) for user in world.users)]),
        seen_items=np.array([num for user in world.users for num, _ in sorted(user["history"])], dtype=np.int32),
        popular_items=np.array(world.popular, dtype=np.int32),
        popular_scores=np.array([world.popularity[num] for num in world.popular], dtype=np.float32),
        candidates_items=candidates, candidates_scores=products,
        neighbours_items=neighbours, neighbours_scores=cosines,
        titles=StringTable.from_strings([None] * count),
        categories=StringTable.from_strings([item["category"] for item in world.items]),
        index=cast("Any", SimpleNamespace(
            report=SimpleNamespace(chosen=SimpleNamespace(query_us=0.0)), search=search_in(world.vectors),
        )),
        score=ScoreParts(recipe=ScoreRecipe.of_one("ials", 4), fold_in=cast("Any", HalfSum(world.vectors))),
        features=unused,
    )  # fmt: skip
