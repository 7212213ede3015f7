"""Rules over HTTP: scenarios, explanations, why and why not, and rules that change while they are served."""

from time import monotonic

import msgspec

from recsys_assets.api.http.auth import add_key
from recsys_assets.api.schemas import recommendation_schemas
from recsys_assets.rules.rules_file import PACKAGED
from recsys_assets_tests.api.conftest import NOW

USER = "/v1/users/u3/recommendations"
WHY = f"{USER}/why"


def decode(answer, struct):
    """The body, which has to be all that the schema says."""
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.content, type=struct)


def eventually(ask, accept, *, seconds=2.0):
    """The first answer that is accepted, asked for again and again; the last one where none is in time."""
    deadline = monotonic() + seconds
    while True:
        answer = ask()
        if accept(answer) or monotonic() > deadline:
            return answer


def edit(client, old, new):
    """Write the packaged rules with a change into the home, as an editor does."""
    text = PACKAGED.read_text()
    assert old in text
    (client.home.root / "rules.toml").write_text(text.replace(old, new))


def test_a_scenario_names_itself_and_its_rules(client):
    answer = client.get(USER, params={"scenario": "home", "k": 5})
    found = decode(answer, recommendation_schemas.UserRecommendations)
    assert (found.scenario, len(found.items)) == ("home", 5)
    assert answer.headers["etag"].endswith(f'-{found.rules}"')


def test_without_a_scenario_no_rules_are_named(client):
    assert "scenario" not in client.get(USER).json()


def test_a_scenario_leaves_out_what_the_user_has(client):
    history = {
        item["item_id"] for item in client.get("/v1/users/u3/history", params={"k": 500}).json()["items"]
    }
    shown = {
        item["item_id"] for item in client.get(USER, params={"scenario": "home", "k": 500}).json()["items"]
    }
    assert shown
    assert not shown & history


def test_an_event_since_the_release_is_left_out_by_a_scenario(client):
    secret = add_key(client.home, name="tests", scopes=["write"], now=NOW)[1]
    client.app.state.service.keys.refresh()
    first = client.get(USER, params={"scenario": "home"}).json()["items"][0]["item_id"]
    body = {"events": [{"user_id": "u3", "item_id": first}]}
    assert client.post("/v1/events", json=body, headers={"X-API-Key": secret}).is_success
    items = client.get(USER, params={"scenario": "home"}).json()["items"]
    assert first not in {item["item_id"] for item in items}


def test_an_unknown_scenario_is_refused_with_a_suggestion(client):
    answer = client.get(USER, params={"scenario": "hom"})
    assert answer.status_code == 404
    assert "did you mean `home`?" in answer.json()["detail"]


def test_an_explanation_says_what_each_stage_did(client):
    found = decode(client.get(USER, params={"explain": "true"}), recommendation_schemas.UserRecommendations)
    assert [stage.name for stage in found.trace.stages][:2] == ["for you", "this session"]
    seen = next(stage for stage in found.trace.stages if stage.name == "seen")
    assert seen.items_in > seen.items_out > 0
    ranked = [item.item_id for item in found.trace.items if item.rank is not None]
    assert ranked[: len(found.items)] == [item.item_id for item in found.items]
    assert all(item.sources for item in found.trace.items)


def test_an_explained_list_is_the_list(client):
    plain = client.get(USER, params={"scenario": "home"}).json()["items"]
    assert client.get(USER, params={"scenario": "home", "explain": "true"}).json()["items"] == plain


def test_a_session_may_be_explained(client):
    body = {"item_ids": ["i1", "i5", "none such"], "scenario": "basket", "explain": True, "reasons": True}
    found = decode(
        client.post("/v1/recommendations", json=body), recommendation_schemas.SessionRecommendations
    )
    assert found.unknown_item_ids == ["none such"]
    assert found.scenario == "basket"
    assert found.trace.stages
    assert not {"i1", "i5"} & {item.item_id for item in found.items}


def test_a_stranger_gets_popular_items_by_a_scenario(client):
    found = decode(
        client.get("/v1/users/nobody/recommendations?scenario=home"),
        recommendation_schemas.UserRecommendations,
    )
    assert found.source == "popular"
    assert len(found.items) == 10


def test_the_strength_of_diversity_may_be_asked_for(client):
    lists = [client.get(USER, params={"diversity": strength}).json()["items"] for strength in (0, 1)]
    assert lists[0] != lists[1]


def test_why_names_the_rule_that_dropped_an_item(client):
    has = client.get("/v1/users/u3/history").json()["items"][0]["item_id"]
    found = decode(
        client.get(WHY, params={"item_id": has, "scenario": "home"}), recommendation_schemas.WhyItem
    )
    assert found.verdict in {"dropped", "no candidate"}
    assert [rule.stage for rule in found.dropped_by] == ["seen"]
    assert "seen" in found.words


def test_why_gives_the_rank_of_what_is_shown_and_of_what_is_not(client):
    items = client.get(USER, params={"scenario": "home", "k": 6}).json()["items"]
    shown = decode(
        client.get(WHY, params={"item_id": items[1]["item_id"], "k": 6}), recommendation_schemas.WhyItem
    )
    assert (shown.verdict, shown.rank) == ("shown", 2)
    below = decode(
        client.get(WHY, params={"item_id": items[5]["item_id"], "k": 1}), recommendation_schemas.WhyItem
    )
    assert below.verdict == "ranked below"
    assert below.rank > 1


def test_why_of_an_unknown_item_is_not_found(client):
    assert client.get(WHY, params={"item_id": "none such"}).status_code == 404


def test_the_scenarios_are_listed(client):
    found = decode(client.get("/v1/scenarios"), recommendation_schemas.ScenarioList)
    assert {"home", "basket", "similar", "email"} <= {one.name for one in found.scenarios}
    assert [one.name for one in found.scenarios if one.default] == ["home"]


def test_an_edited_rules_file_is_in_force_within_two_seconds_and_changes_the_etag(client):
    def ask():
        return client.get(USER, params={"scenario": "home"}, headers={"If-None-Match": before})

    before = client.get(USER, params={"scenario": "home"}).headers["etag"]
    assert ask().status_code == 304
    edit(
        client,
        'kind = "seen"\n\n# Out of season',
        'kind = "seen"\n\n[scenarios.home.limits]\nat_most = 4\n\n# Out of season',
    )
    answer = eventually(ask, lambda answer: answer.status_code == 200)
    assert answer.status_code == 200
    assert len(answer.json()["items"]) == 4


def test_a_malformed_edit_leaves_the_last_good_rules_in_force_and_is_named(client):
    before = client.get(USER, params={"scenario": "home"}).json()
    edit(client, 'source = "trending"', 'source = "trendy"')
    health = eventually(lambda: client.get("/health/ready").json(), lambda found: found["rules_problem"])
    assert "rules.toml:" in health["rules_problem"]
    assert "did you mean `trending`?" in health["rules_problem"]
    after = client.get(USER, params={"scenario": "home"}).json()
    assert after == before | {"id": after["id"]}


def test_mending_a_malformed_file_puts_it_in_force(client):
    edit(client, 'source = "trending"', 'source = "trendy"')
    eventually(lambda: client.get("/health/ready").json(), lambda found: found["rules_problem"])
    edit(client, 'source = "trending"\nquota = 50', 'source = "trending"\nquota = 60')
    health = eventually(lambda: client.get("/health/ready").json(), lambda found: not found["rules_problem"])
    assert health["rules_problem"] is None
