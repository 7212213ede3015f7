"""A real Ray cluster of a test's own, a head and nodes, in a network namespace that has only loopback."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from recsys_assets.benchmarks.ray_nodes import Cluster, missing_ray, ray_cluster


@contextmanager
def running_ray(
    nodes: int = 2, *, cpus: int = 1, environment: Mapping[str, str] | None = None
) -> Iterator[Cluster]:
    """A head without CPUs for tasks, and nodes with some; skips where the machine permits none."""
    if (missing := missing_ray()) is not None:
        pytest.skip(missing)
    with ray_cluster(nodes, cpus=cpus, environment=environment) as cluster:
        yield cluster
