"""From a list over HTTP to its metrics: people see lists, report them, click, and are counted once."""

from datetime import timedelta

from litestar import Litestar
from litestar.testing import TestClient

from recsys_assets.experiments.impression_days import impression_store, land_impressions
from recsys_assets.experiments.measure_online import measure_online
from recsys_assets.experiments.online_results import select
from recsys_assets.release.current import read_current
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.conftest import NOW, key_header
from recsys_assets_tests.clicking import browse, planted, report
from recsys_assets_tests.experiments.shown_home import land_events

USERS = [f"u{number}" for number in range(1, 9)]


def test_lists_of_a_server_are_measured_by_its_release_and_what_is_reported_twice_counts_once(
    own: Home, client: TestClient[Litestar]
) -> None:
    client.headers.update(key_header(own, client, "write"))
    at = NOW - timedelta(hours=2)
    visits = browse(client, USERS, at=at, attracts=planted(seed=1, share=0.5, liked=0.9), seed=2, k=5)
    report(client, visits)
    land_events(own)
    landed = land_impressions(own, keep_days=30, now=NOW)
    assert landed.rows == sum(len(one.impressions) for one in visits)
    assert impression_store(own).days() == [at.date()]
    found = measure_online(
        own,
        own.artifact("online_metrics"),
        provenance=lambda day: {"recsys.inputs": str(day)},
        attribution_days=7,
        catalogue_items=0,
        now=NOW,
    )
    clicked = sum(bool(one.events) for one in visits)
    rates = {
        kind: next(one for one in select(found.results.days, group_kind=kind) if one.metric == "ctr")  # type: ignore[arg-type]
        for kind in ("all", "release", "list")
    }
    assert {(one.shown, one.events, one.users) for one in rates.values()} == {
        (len(USERS), clicked, len(USERS))
    }
    assert rates["release"].group == read_current(own.releases)
    assert rates["list"].group == "plain"
    assert found.unknown_series == found.named_unshown == 0
    body = client.get("/v1/online-metrics?by=release").json()
    assert body["period"]["metrics"][0]["group"] == read_current(own.releases)
