"""The Ray profile of compose.yaml, started by its own commands: its workers land the days of a build.

The tests run in a network namespace, by the last one: Ray's ports are fixed, and open to the whole machine elsewhere.
"""

import json
import re
from collections.abc import Iterator
from urllib.request import urlopen

import pytest

from recsys_assets_tests.api.replicas import until
from recsys_assets_tests.deploy.running_stack import Stack, running_stack
from recsys_assets_tests.ray_clusters import assert_tests_pass, bare_namespace, require_inside

pytestmark = [pytest.mark.scale, pytest.mark.slow, pytest.mark.timeout(1_200)]

DAYS = 8
SETTINGS = {
    "RECSYS_TRAINING__MODEL": "ials",
    "RECSYS_REPORT__DAYS": "0",
    "RECSYS_GATE__ENABLED": "false",
    "RECSYS_LAUNCHER__STRETCH_DAYS": "3",
}
LINES = re.compile(r"^ *# +(RECSYS_\w+)=(\S+)$", re.MULTILINE)
"""Settings that the file names in a comment."""
SERVERS = ("postgres", "nats", "objects", "ray-head")


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Servers, a head and a worker; no build yet."""
    require_inside()
    with running_stack(settings=SETTINGS) as found:
        found.given |= dict(LINES.findall(found.files["compose.yaml"]))
        for name in SERVERS:
            found.start(name)
        for name in SERVERS:
            found.wait_until_healthy(name)
        found.start("ray-worker")
        until(lambda: nodes(found) == 2, seconds=120)
        yield found


def of_dashboard(stack: Stack, path: str):
    with urlopen(f"http://127.0.0.1:{stack.ports[8265]}{path}", timeout=30) as reply:
        return json.load(reply)


def nodes(stack: Stack) -> int:
    try:
        summary = of_dashboard(stack, "/nodes?view=summary")["data"]["summary"]
    except OSError:  # it drops connections while a node joins
        return 0
    return sum(node["raylet"].get("state") == "ALIVE" for node in summary)


def test_the_file_names_the_settings_that_use_it(stack):
    assert stack.given["RECSYS_LAUNCHER__KIND"] == "ray"
    assert stack.given["RECSYS_LAUNCHER__ADDRESS"] == f"http://127.0.0.1:{stack.ports[8265]}"


def test_the_workers_of_the_file_land_and_train_a_build(stack):
    for command in (("recsys", "init", "--days", str(DAYS)), ()):
        done = stack.run("builder", *command)
        assert done.returncode == 0, done.stdout + done.stderr
    jobs = of_dashboard(stack, "/api/jobs/")
    assert {job["status"] for job in jobs} == {"SUCCEEDED"}
    drivers = " ".join(job["entrypoint"] for job in jobs)
    assert drivers.count("orchestration.ray_driver") == 2
    assert "launching.ray_jobs" in drivers
    days = (stack.folder / "home" / "lake" / "interactions").glob("date=*/*.parquet")
    assert len(list(days)) == DAYS


def test_the_tests_pass_in_a_namespace():
    with bare_namespace() as namespace:
        assert_tests_pass(namespace, __file__, "-m", "scale", "-k", "file", each=600, all_of_them=1_100)
