"""The processes of compose.yaml, started by its own commands, work together: what is built is served and shown."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest

from recsys_assets_tests.deploy.running_stack import Stack, running_stack

pytestmark = [pytest.mark.scale, pytest.mark.slow, pytest.mark.timeout(1_800)]

DAYS = "8"
QUICK = {"RECSYS_TRAINING__MODEL": "ials", "RECSYS_REPORT__DAYS": "0", "RECSYS_GATE__ENABLED": "false"}
SERVERS, DAGSTER, REPLICAS = ("postgres", "nats", "objects"), ("code", "webserver", "daemon"), (8000, 8001)
FOLLOW_SECONDS = 60.0


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """All services, after one build."""
    with running_stack(settings=QUICK) as found:
        for name in SERVERS:
            found.start(name)
        for name in SERVERS:
            found.wait_until_healthy(name)
        for port in REPLICAS:  # before there is a release to serve
            found.start("api", port=port)
        for command in (("recsys", "init", "--days", DAYS), ()):
            done = found.run("builder", *command)
            assert done.returncode == 0, done.stdout + done.stderr
        for name in DAGSTER:
            found.start(name)
            found.wait_until_healthy(name)
        yield found


def get(stack: Stack, port: int, path: str, *, key: str | None = None, **body: Any) -> Any:
    request = Request(
        f"http://127.0.0.1:{stack.ports[port]}{path}", json.dumps(body).encode() if body else None
    )
    request.add_header("Content-Type", "application/json")
    if key is not None:
        request.add_header("X-API-Key", key)
    with urlopen(request, timeout=30) as reply:
        return json.load(reply)


def eventually(holds: Callable[[], Any], *, seconds: float = FOLLOW_SECONDS) -> Any:
    """Return the first true value of `holds`."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if found := holds():
                return found
        except (URLError, ConnectionError, TimeoutError) as error:
            found = (error.code, error.read()) if isinstance(error, HTTPError) else error
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def release_of(stack: Stack, port: int) -> str:
    return eventually(lambda: get(stack, port, "/health/ready").get("release"))


def test_both_replicas_serve_the_release_that_was_built(stack):
    assert len({release_of(stack, port) for port in REPLICAS}) == 1
    lists = [get(stack, port, "/v1/users/1/recommendations?k=5")["items"] for port in REPLICAS]
    assert lists[0] == lists[1]
    assert len(lists[0]) == 5


def test_the_ui_shows_the_builder_s_runs_and_the_code_location(stack):
    query = """{ runsOrError { ... on Runs { results { status } } }
        repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }"""
    found = get(stack, 3000, "/graphql", query=query)["data"]
    assert {run["status"] for run in found["runsOrError"]["results"]} == {"SUCCESS"}
    assert len(found["repositoriesOrError"]["nodes"]) == 1


def test_a_run_that_the_ui_starts_is_done_by_the_code_location(stack):
    launch = """mutation { launchRun(executionParams: {selector: {repositoryLocationName: "recsys", repositoryName:
        "__repository__", pipelineName: "daily_increment"}, mode: "default", runConfigData: {},
        executionMetadata: {tags: [{key: "dagster/partition", value: "2017-01-03"}]}})
        { __typename ... on LaunchRunSuccess { run { runId } } } }"""
    started = get(stack, 3000, "/graphql", query=launch)["data"]["launchRun"]
    assert started["__typename"] == "LaunchRunSuccess", started
    query = f'{{ runOrError(runId: "{started["run"]["runId"]}") {{ ... on Run {{ status }} }} }}'

    def ended() -> str | None:
        status = get(stack, 3000, "/graphql", query=query)["data"]["runOrError"]["status"]
        return status if status in {"SUCCESS", "FAILURE", "CANCELED"} else None

    assert eventually(ended, seconds=300.0) == "SUCCESS", stack.log("code")


def test_a_new_release_and_a_rollback_reach_both_replicas(stack):
    before = release_of(stack, 8000)
    stack.given["RECSYS_TRAINING__EPOCHS"] = "3"
    done = stack.run("builder")
    assert done.returncode == 0, done.stdout + done.stderr
    for port in REPLICAS:
        assert eventually(lambda port=port: get(stack, port, "/health/ready")["release"] != before)
    assert stack.run("builder", "recsys", "releases", "rollback").returncode == 0
    for port in REPLICAS:
        assert eventually(lambda port=port: get(stack, port, "/health/ready")["release"] == before)


def test_an_event_to_any_replica_lands_at_the_builder(stack):
    added = stack.run("builder", "recsys", "keys", "add", "shop", "--scope", "write")
    assert added.returncode == 0, added.stderr
    key = added.stdout.strip()
    for number, port in enumerate(REPLICAS):
        event = {"event_id": f"e{number}", "user_id": "1", "item_id": "1082185", "kind": "purchase"}
        assert eventually(
            lambda port=port, event=event: get(stack, port, "/v1/events", key=key, **event), seconds=20.0
        )
    landed = stack.run("builder", "recsys", "land", "--events")
    assert landed.returncode == 0, landed.stdout + landed.stderr
    assert len(list((stack.folder / "home" / "lake" / "events").glob("date=*"))) == 1


def test_replicas_serve_on_while_every_other_server_is_gone(stack):
    before = [get(stack, port, "/v1/users/1/recommendations?k=5")["items"] for port in REPLICAS]
    for name in SERVERS:
        stack.stop(name, number=signal.SIGKILL)
    try:
        after = [get(stack, port, "/v1/users/1/recommendations?k=5")["items"] for port in REPLICAS]
    finally:
        for name in SERVERS:
            stack.start(name)
        for name in SERVERS:
            stack.wait_until_healthy(name)
    assert after == before


def test_every_check_of_the_file_passes(stack):
    for name in (*SERVERS, *DAGSTER):
        assert eventually(lambda name=name: stack.is_healthy(name)), stack.log(name)
    for port in REPLICAS:
        assert eventually(lambda port=port: stack.is_healthy("api", port=port)), stack.log("api", port=port)
