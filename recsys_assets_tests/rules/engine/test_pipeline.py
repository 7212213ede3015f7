"""The engine against a slow, obvious reading of the same rules: random rules, catalogues and requests."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys_assets.rules.engine.pipeline import Engine
from recsys_assets.rules.engine.requests import Request
from recsys_assets.rules.language.expression_tree import columns_of
from recsys_assets.rules.language.reading import parse_rules
from recsys_assets_tests.rules import reference
from recsys_assets_tests.rules.worlds import CATEGORIES, SHARES, scenarios, to_release, to_toml, worlds


@st.composite
def requests(draw, world):
    known = draw(st.booleans())
    nums = st.integers(0, len(world.items) - 1)
    return {
        "k": draw(st.integers(1, 15)),
        "user_num": draw(st.integers(0, len(world.users) - 1)) if known else None,
        "exclude": draw(st.frozensets(nums, max_size=3)),
        "category": draw(st.one_of(st.none(), st.none(), st.sampled_from([*CATEGORIES, "none such"]))),
        "include_seen": False,
        "diversity": draw(st.one_of(st.none(), st.sampled_from(SHARES))),
        "session": draw(st.lists(nums, max_size=2, unique=True)) if known else [],
    }


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_the_answer_is_what_an_obvious_reading_of_the_rules_gives(data):
    world, scenario = data.draw(worlds()), data.draw(scenarios())
    text = to_toml(scenario)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        release = to_release(world, folder)
        rules = parse_rules(
            text.encode(), path=folder / "rules.toml", columns=columns_of(folder / "features.sqlite")
        )
        pipeline = Engine(release, rules, lists_folder=folder).scenario()
        for _ in range(3):
            request = data.draw(requests(world))
            user = None if request["user_num"] is None else world.users[request["user_num"]]
            who = {"user_id": user["id"] if user else "stranger"}
            expected = reference.recommend(world, scenario, **request, **who)
            asked = Request(**request, **who, features=user["features"] if user else {})
            found = pipeline.recommend(asked)
            assert (found.nums, found.scores) == expected, text
            explained, trace = pipeline.explain(asked)
            assert explained == found
            ranks = [trace.items[num].rank for num in found.nums]
            assert ranks == list(range(1, len(found.nums) + 1))
