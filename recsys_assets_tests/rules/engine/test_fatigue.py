"""Fatigue: what a user was shown often and did not touch goes down, and the trace says so."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from litestar.testing import TestClient

from recsys_assets.api.app import create_app
from recsys_assets.errors import RulesError
from recsys_assets.intake.rows import ImpressionRow
from recsys_assets.intake.shown_counts import Shown
from recsys_assets.release.load import Release
from recsys_assets.rules.engine.fatigue import Tired, demoted
from recsys_assets.rules.engine.pipeline import Pipeline
from recsys_assets.rules.engine.requests import Request
from recsys_assets.rules.language.schema import Fatigue
from recsys_assets.rules.rules_file import load_engine
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.conftest import NOW
from recsys_assets_tests.intake.stored_rows import store

RULES = """\
version = 1
[scenarios.home]
[[scenarios.home.candidates]]
source = "user"
quota = 100
[[scenarios.home.filters]]
kind = "seen"
[[scenarios.home.scoring]]
kind = "fatigue"
shown = 3
window_days = 7
factor = 0.5
"""
USER = "/v1/users/u1/recommendations"


@pytest.fixture
def pipeline(home: Home, release: Release) -> Pipeline:
    home.rules_file.write_text(RULES)
    return load_engine(release, home=home).scenario("home")


def asked(shown: dict[int, Shown], session: tuple[int, ...] = ()) -> Request:
    """A request of u1, who was shown these."""
    return Request(
        k=20, user_id="u1", user_num=1, session=session, shown=lambda days: shown if days == 7 else {}
    )


def test_an_item_shown_often_has_half_its_score(pipeline: Pipeline) -> None:
    before = pipeline.recommend(asked({}))
    first = before.nums[0]
    after, trace = pipeline.explain(
        asked({first: Shown(3, 1_709_600_000_000_000), before.nums[1]: Shown(2, 0)})
    )
    scores = dict(zip(after.nums, after.scores, strict=True))
    assert scores[first] == pytest.approx(before.scores[0] / 2)
    assert scores[before.nums[1]] == pytest.approx(before.scores[1])
    assert trace.items[first].effects == [("fatigue", "shown 3 times since 2024-03-05: x 0.5")]
    assert [stage.rule for stage in trace.stages if stage.name == "fatigue"] == [
        "x 0.5 where shown 3 times or more in 7 days, untouched (1 items)"
    ]


def test_the_list_with_a_trace_is_the_list_without(pipeline: Pipeline) -> None:
    request = asked({num: Shown(9, 0) for num in range(0, 80, 2)})
    assert pipeline.recommend(request) == pipeline.explain(request)[0]


def test_a_touched_item_is_not_demoted(pipeline: Pipeline) -> None:
    first = pipeline.recommend(asked({})).nums[0]
    request = Request(k=80, user_id="u1", user_num=1, session=(first,), include_seen=True)
    before = pipeline.recommend(request)
    after = pipeline.recommend(Request(**{**_fields(request), "shown": lambda _: {first: Shown(9, 0)}}))
    assert after == before


def _fields(request: Request) -> dict[str, Any]:
    return {name: getattr(request, name) for name in request.__struct_fields__}


def test_a_request_without_showings_is_answered_as_before(pipeline: Pipeline) -> None:
    assert pipeline.recommend(asked({})) == pipeline.recommend(Request(k=20, user_id="u1", user_num=1))


@given(
    scores=st.lists(st.floats(-2, 2, width=32), min_size=1, max_size=20),
    factor=st.floats(0, 1),
    tired=st.sets(st.integers(0, 19)),
)
@hypothesis_settings(max_examples=100)
def test_no_score_rises_and_the_others_stay(scores: list[float], factor: float, tired: set[int]) -> None:
    before = np.array(scores, dtype=np.float32)
    spec = Fatigue(kind="fatigue", shown=1, factor=factor)
    stage = Tired(name="fatigue", spec=spec, shown={num: Shown(1, 0) for num in tired})
    after = demoted(before, np.arange(len(scores), dtype=np.int32), [stage])
    assert (after <= before).all()
    for num, score in enumerate(scores):
        if num not in tired:
            assert after[num] == before[num]
        elif score >= 0:
            assert after[num] == pytest.approx(score * factor, abs=1e-6)


def test_a_factor_above_one_is_a_mistake_with_its_line(home: Home, release: Release) -> None:
    home.rules_file.write_text(RULES.replace("factor = 0.5", "factor = 1.5"))
    with pytest.raises(RulesError, match=r"rules\.toml:12: .*`factor`"):
        load_engine(release, home=home)


@pytest.fixture
def client(home: Home) -> Iterator[TestClient[Any]]:
    home.rules_file.write_text(RULES)
    with TestClient(create_app(home, clock=lambda: NOW)) as opened:
        yield opened


def impressions(item_id: str, times: int, *, days_ago: float = 1) -> list[ImpressionRow]:
    """Showings of one item to u1."""
    at = int((NOW - timedelta(days=days_ago)).timestamp() * 1_000_000)
    return [
        ImpressionRow(f"a{place}-{days_ago}", item_id, 1, "u1", at + place, at + place)
        for place in range(times)
    ]


def test_over_http_impressions_demote_at_once_and_no_entity_tag_hides_it(
    client: TestClient[Any], home: Home
) -> None:
    ruled = {"scenario": "home", "k": 20}
    before = client.get(USER, params=ruled)
    plain = client.get(USER, params={"k": 20}).json()["items"]
    first = before.json()["items"][0]
    store(home.events_db, impressions(first["item_id"], 3))
    after = client.get(USER, params=ruled).json()["items"]
    scores = {item["item_id"]: item["score"] for item in after}
    assert scores[first["item_id"]] == pytest.approx(first["score"] / 2, rel=1e-4)
    assert "etag" not in before.headers
    assert client.get(USER, params={"k": 20}).json()["items"] == plain


def test_showings_before_the_window_do_not_count(client: TestClient[Any], home: Home) -> None:
    ruled = {"scenario": "home", "k": 20}
    before = client.get(USER, params=ruled).json()["items"]
    store(home.events_db, impressions(before[0]["item_id"], 9, days_ago=7.1))
    assert client.get(USER, params=ruled).json()["items"] == before


def test_why_says_how_often_it_was_shown(client: TestClient[Any], home: Home) -> None:
    item_id = client.get(USER, params={"scenario": "home"}).json()["items"][0]["item_id"]
    store(home.events_db, impressions(item_id, 4))
    found = client.get(f"{USER}/why", params={"scenario": "home", "item_id": item_id}).json()
    (record,) = [one for one in found["trace"]["items"] if one["item_id"] == item_id]
    assert {"stage": "fatigue", "effect": "shown 4 times since 2024-04-01: x 0.5"} in record["effects"]
