"""Several processes find what one finds; the same number of them finds the same bytes, wherever they run."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recsys_assets.benchmarks.datasets import pairs_matrix
from recsys_assets.embeddings.factorisation import Start
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.sharded_training import Workers, workers_of
from recsys_assets.embeddings.training import train
from recsys_assets.errors import LauncherError, MemoryBudgetError, SettingsError
from recsys_assets.launching.launcher import InProcess, Launcher
from recsys_assets.launching.torchrun import Torchrun
from recsys_assets.scale_settings import LauncherSettings
from recsys_assets.settings import DEFAULT_SOURCE, Settings
from recsys_assets.storage.open_copy import opened
from recsys_assets.storage.store_place import StorePlace
from recsys_assets.training_settings import TrainingSettings
from recsys_assets_tests.embeddings.worlds import block_world, events

SMALL = TrainingSettings(embedding_size=8, epochs=4)


@pytest.fixture(scope="module")
def world():
    return InteractionMatrix.from_interactions(block_world())


@pytest.fixture(scope="module")
def of_two(world, tmp_path_factory):
    return train(world, SMALL, workers=workers_in(tmp_path_factory.mktemp("two"), shards=2))


def workers_in(scratch, *, shards, threads=1, launcher: Launcher | None = None, together=True):
    return Workers(
        launcher=launcher or InProcess(), shards=shards, scratch=scratch, threads=threads, together=together
    )


def assert_same(found, alone):
    np.testing.assert_allclose(found.user_embeddings, alone.user_embeddings, atol=1e-4)
    np.testing.assert_allclose(found.item_embeddings, alone.item_embeddings, atol=1e-4)
    np.testing.assert_allclose(found.losses, alone.losses, rtol=1e-5)
    assert found.confidences.tobytes() == alone.confidences.tobytes()


def assert_equal_bytes(found, other):
    assert found.user_embeddings.tobytes() == other.user_embeddings.tobytes()
    assert found.item_embeddings.tobytes() == other.item_embeddings.tobytes()
    assert found.losses == other.losses


def test_two_processes_find_the_factors_of_one(world, of_two):
    assert_same(of_two, train(world, SMALL))


def test_one_process_finds_the_bytes_of_a_training_without_workers(world, tmp_path):
    found = train(world, SMALL, workers=workers_in(tmp_path, shards=1, threads=None))
    assert_equal_bytes(found, train(world, SMALL))


@pytest.mark.scale
def test_two_processes_find_the_same_bytes_with_more_threads(world, of_two, tmp_path):
    assert_equal_bytes(train(world, SMALL, workers=workers_in(tmp_path, shards=2, threads=2)), of_two)


@pytest.mark.scale
def test_two_processes_find_the_same_bytes_started_by_torchrun(world, of_two, tmp_path):
    workers = workers_in(tmp_path, shards=2, launcher=Torchrun(scratch=tmp_path))
    assert_equal_bytes(train(world, SMALL, workers=workers), of_two)


@pytest.mark.scale
def test_processes_go_on_from_a_start_as_one_does(world, of_two, tmp_path):
    start = Start(user_embeddings=of_two.user_embeddings, item_embeddings=of_two.item_embeddings)
    alone = train(world, SMALL, start=start)
    assert_same(train(world, SMALL, start=start, workers=workers_in(tmp_path, shards=2)), alone)


@pytest.mark.scale
def test_a_process_without_users_changes_nothing(tmp_path):
    heavy = [("u0", f"i{item}", 1.0, 0) for item in range(30)] + [("u1", "i0", 1.0, 0)]
    matrix = InteractionMatrix.from_interactions(events(heavy))
    settings = TrainingSettings(embedding_size=2, epochs=2)
    found = train(matrix, settings, workers=workers_in(tmp_path, shards=3))
    assert_same(found, train(matrix, settings))


@pytest.mark.scale
def test_processes_that_share_no_disk_find_the_same_bytes_through_an_object_store(
    world, of_two, tmp_path, object_server, monkeypatch
):
    for name, value in object_server.environ.items():
        monkeypatch.setenv(name, value)
    place = StorePlace(root="s3://lake/sharded", endpoint=object_server.endpoint)
    workers = replace(workers_in(tmp_path, shards=2), place=place)
    start = Start(user_embeddings=of_two.user_embeddings, item_embeddings=of_two.item_embeddings)
    assert_equal_bytes(train(world, SMALL, workers=workers), of_two)
    assert_same(train(world, SMALL, start=start, workers=workers), train(world, SMALL, start=start))
    assert list(opened(place).list()) == []


def test_each_epoch_is_reported_once(world, tmp_path):
    seen = []
    found = train(
        world,
        SMALL,
        workers=workers_in(tmp_path, shards=1),
        on_epoch=lambda epoch, loss: seen.append((epoch, loss)),
    )
    assert seen == list(enumerate(found.losses, start=1))


def test_a_training_process_loads_no_polars():
    code = "import sys, recsys_assets.embeddings.shard_worker; sys.exit('polars' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_nothing_is_left_in_the_scratch_folder(world, tmp_path):
    train(world, SMALL, workers=workers_in(tmp_path, shards=1))
    assert list(tmp_path.iterdir()) == []


def test_raises_before_it_starts_where_the_processes_exceed_the_budget_of_this_machine(world, tmp_path):
    settings = TrainingSettings(memory_budget_mb=1)
    with pytest.raises(MemoryBudgetError, match="2 training processes on this machine"):
        train(world, settings, workers=workers_in(tmp_path, shards=2))


@pytest.mark.scale
def test_raises_in_a_process_that_exceeds_the_budget_of_its_machine(world, tmp_path):
    settings = TrainingSettings(memory_budget_mb=1)
    with pytest.raises(LauncherError, match=r"one of 2 training processes.*set shards = 4 in \[launcher\]"):
        train(world, settings, workers=workers_in(tmp_path, shards=2, together=False))


def test_raises_where_the_device_is_a_card(world, tmp_path):
    with pytest.raises(SettingsError, match='device = "cuda" trains in one process'):
        train(world, TrainingSettings(device="cuda"), workers=workers_in(tmp_path, shards=2))


@pytest.mark.parametrize(
    ("training", "launcher", "shards"),
    [
        (TrainingSettings(), LauncherSettings(), 1),
        (TrainingSettings(processes=3), LauncherSettings(), 3),
        (TrainingSettings(processes=3), LauncherSettings(kind="torchrun", shards=4), 4),
    ],
)
def test_the_number_of_processes_is_the_launchers_where_one_is_named(tmp_path, training, launcher, shards):
    settings = Settings(source=DEFAULT_SOURCE, training=training, launcher=launcher)
    workers = workers_of(settings, scratch=tmp_path, say=lambda _: None)
    assert settings.shards == shards
    assert (workers.shards if workers else 1) == shards


@pytest.mark.slow
@pytest.mark.scale
@pytest.mark.parametrize("processes", [2, 3])
def test_processes_find_the_factors_of_one_on_movielens(tmp_path: Path, processes):
    folder = os.environ.get("RECSYS_TEST_DATA")
    if folder is None:
        pytest.skip("RECSYS_TEST_DATA is not set")
    matrix = pairs_matrix(Path(folder) / "movielens_1m_pairs.parquet")[0]
    settings = TrainingSettings(epochs=15)
    found = train(matrix, settings, workers=workers_in(tmp_path, shards=processes))
    assert_same(found, train(matrix, settings))
