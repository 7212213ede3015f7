"""Run inside a Ray cluster's namespace: a training and lists over two nodes, their checksums on standard output."""

import hashlib
import sys
import tempfile
from pathlib import Path

import msgspec

from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.model_files import save_embeddings
from recsys_assets.embeddings.sharded_training import Workers
from recsys_assets.embeddings.training import train
from recsys_assets.index.build_index import build_item_index
from recsys_assets.index.list_shards import ListWorkers
from recsys_assets.launching.chosen import launcher_of
from recsys_assets.scale_settings import LauncherSettings
from recsys_assets.settings import IndexSettings
from recsys_assets.training_settings import TrainingSettings
from recsys_assets_tests.embeddings.worlds import block_world

SETTINGS = TrainingSettings(embedding_size=8, epochs=4)
INDEX = IndexSettings(candidates_per_user=20, neighbours_per_item=5)


def checksums(workers: Workers, lists: ListWorkers | None) -> str:
    """Train and compute the lists; return what both are."""
    matrix = InteractionMatrix.from_interactions(block_world(users=1_100, blocks=40))
    found = train(matrix, SETTINGS, workers=workers)
    digest = hashlib.sha256(msgspec.json.encode(found.losses))
    with tempfile.TemporaryDirectory(dir=workers.scratch) as name:
        embeddings, index = Path(name) / "embeddings", Path(name) / "index"
        embeddings.mkdir()
        save_embeddings(embeddings, matrix=matrix, factorisation=found)
        build_item_index(embeddings, index, INDEX, workers=lists)
        for file in (embeddings / "user_embeddings.npy", embeddings / "item_embeddings.npy"):
            digest.update(file.read_bytes())
        for file in sorted(index.glob("*s_*.npy")):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def main(scratch: Path) -> None:
    launcher = launcher_of(LauncherSettings(kind="ray"))
    workers = Workers(launcher=launcher, shards=2, scratch=scratch, together=False)
    sys.stdout.write(f"{checksums(workers, ListWorkers(launcher=launcher))}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
