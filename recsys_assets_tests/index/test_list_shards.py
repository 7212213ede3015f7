"""Lists that a launcher's workers fill have the bytes of those that one process fills."""

import pytest

from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.model_files import save_embeddings
from recsys_assets.embeddings.training import train
from recsys_assets.index import list_shards
from recsys_assets.index.build_index import build_item_index
from recsys_assets.index.list_shards import ListWorkers
from recsys_assets.launching.launcher import InProcess
from recsys_assets.settings import IndexSettings
from recsys_assets.storage.handover import Handover
from recsys_assets.storage.open_copy import opened
from recsys_assets.storage.store_place import StorePlace
from recsys_assets.training_settings import TrainingSettings
from recsys_assets_tests.embeddings.worlds import block_world

LISTS = [f"{kind}_{part}.npy" for kind in ("candidates", "neighbours") for part in ("items", "scores")]


@pytest.fixture(scope="module")
def embeddings(tmp_path_factory):
    matrix = InteractionMatrix.from_interactions(block_world(blocks=20, users=1_100, items=600, share=0.3))
    folder = tmp_path_factory.mktemp("embeddings")
    trained = train(matrix, TrainingSettings(embedding_size=8, epochs=2))
    save_embeddings(folder, matrix=matrix, factorisation=trained)
    return folder


@pytest.mark.parametrize("pairs", [1_000_000_000, 10_000])
def test_the_workers_of_a_launcher_write_the_same_bytes(embeddings, tmp_path, monkeypatch, pairs):
    monkeypatch.setattr(list_shards, "_BLOCKS_A_TASK", 1)
    settings = IndexSettings(candidates_per_user=20, neighbours_per_item=5, precompute_pairs=pairs)
    here = build_item_index(embeddings, tmp_path / "here", settings)
    apart = build_item_index(
        embeddings, tmp_path / "apart", settings, workers=ListWorkers(launcher=InProcess())
    )
    assert apart.precomputed == here.precomputed
    for name in LISTS:
        assert (tmp_path / "apart" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()


@pytest.mark.parametrize("pairs", [1_000_000_000, 10_000])
def test_rows_that_travel_through_a_store_are_the_same_bytes_and_nothing_is_left(embeddings, tmp_path, pairs):
    (tmp_path / "store").mkdir()
    place = StorePlace(root=f"file://{tmp_path / 'store'}")
    settings = IndexSettings(candidates_per_user=20, neighbours_per_item=5, precompute_pairs=pairs)
    build_item_index(embeddings, tmp_path / "here", settings)
    workers = ListWorkers(launcher=InProcess(), place=place, shares=2)
    build_item_index(embeddings, tmp_path / "apart", settings, workers=workers)
    names = sorted(path.name for path in (tmp_path / "here").iterdir())
    assert sorted(path.name for path in (tmp_path / "apart").iterdir()) == names
    for name in LISTS:
        assert (tmp_path / "apart" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()
    assert list(opened(place).list()) == []


def test_a_range_that_is_done_again_writes_the_same_bytes(embeddings, tmp_path):
    settings = IndexSettings(candidates_per_user=20, neighbours_per_item=0)
    build_item_index(embeddings, tmp_path / "index", settings)
    before = (tmp_path / "index" / LISTS[0]).read_bytes()
    task = list_shards.ListTask(
        kind="exact",
        embeddings=Handover(folder=str(embeddings)),
        index=Handover(folder=str(tmp_path / "index")),
        shape=(1_100, 20),
        settings=settings,
        first=512,
        last=1_100,
        block=512,
    )
    assert [list_shards.fill_lists(task) for _ in range(2)] == [588, 588]
    assert (tmp_path / "index" / LISTS[0]).read_bytes() == before
