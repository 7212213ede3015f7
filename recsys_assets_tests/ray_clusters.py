"""A real Ray cluster of a test's own, a head and nodes, in a network namespace that has only loopback."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from recsys_assets.benchmarks.ray_nodes import Cluster, loopback_namespace, missing_ray, ray_cluster

INSIDE = "RECSYS_TESTS_IN_RAY"
"""Set in tests that run inside a cluster's namespace."""


@contextmanager
def running_ray(
    nodes: int = 2, *, cpus: int = 1, environment: Mapping[str, str] | None = None
) -> Iterator[Cluster]:
    """A head without CPUs for tasks, and nodes with some; skips where the machine permits none."""
    if (missing := missing_ray()) is not None:
        pytest.skip(missing)
    with ray_cluster(nodes, cpus=cpus, environment=environment) as cluster:
        yield cluster


@contextmanager
def bare_namespace() -> Iterator[Cluster]:
    """A namespace in which a test starts a cluster of its own; skips as `running_ray` does."""
    if (missing := missing_ray()) is not None:
        pytest.skip(missing)
    with loopback_namespace() as keeper:
        yield Cluster(keeper, dict(os.environ))


def require_inside() -> None:
    """Skip a test outside of a cluster's namespace."""
    if INSIDE not in os.environ:
        pytest.skip("runs inside a Ray cluster's namespace, by the test that starts one")


def assert_tests_pass(cluster: Cluster, file: str, *options: str, each: int, all_of_them: int) -> None:
    """Run tests of a file inside; none of them is skipped.

    Args:
        cluster: the cluster.
        file: the file.
        options: of pytest, to choose the tests.
        each: seconds for one of them.
        all_of_them: seconds for all.
    """
    command = ("-m", "pytest", file, "-q", "-x", "-p", "no:cacheprovider", f"--timeout={each}", *options)
    found = cluster.run(*command, environment={INSIDE: "1"}, timeout=all_of_them)
    assert found.returncode == 0, found.stdout[-6000:]
    assert " skipped" not in found.stdout.splitlines()[-1]


def workers_beside(name: str) -> list[psutil.Process]:
    """Ray's processes in this process's own network namespace whose name begins so, as far as the kernel keeps it."""
    ours, found = Path("/proc/self/ns/net").readlink(), []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, FileNotFoundError):
            if process.name().startswith(name) and Path(f"/proc/{process.pid}/ns/net").readlink() == ours:
                found.append(process)
    return found
