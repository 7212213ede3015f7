"""Run inside a Ray cluster's namespace: a training and lists over two nodes, their checksums on standard output.

`python -m … FOLDER` or `python -m … FOLDER killed`: then a process of the training is killed.
"""

import hashlib
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import msgspec

from recsys_assets.embeddings.factorisation import Factorisation
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
from recsys_assets_tests.ray_clusters import workers_beside

SETTINGS = TrainingSettings(embedding_size=8, epochs=4)
LONGER = TrainingSettings(embedding_size=8, epochs=400)
GANG = "ray::_Actor"
"""Name of a process of a gang, as far as the kernel keeps it."""
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


def killed_once(workers: Workers) -> str:
    """Train longer, kill a process after its first epoch, and return what was trained and said."""
    said: list[str] = []

    def on_epoch(epoch: int, _: float) -> None:
        if epoch == 1:
            workers_beside(GANG)[0].kill()

    matrix = InteractionMatrix.from_interactions(block_world(users=1_100, blocks=40))
    found = train(matrix, LONGER, workers=replace(workers, say=said.append), on_epoch=on_epoch)
    return f"{trained(found)} {said}"


def trained(found: Factorisation) -> str:
    """The SHA-256 of the losses and vectors."""
    digest = hashlib.sha256(msgspec.json.encode(found.losses))
    digest.update(found.user_embeddings.tobytes())
    digest.update(found.item_embeddings.tobytes())
    return digest.hexdigest()


def main(scratch: Path, *, kills: bool) -> None:
    launcher = launcher_of(LauncherSettings(kind="ray"))
    workers = Workers(launcher=launcher, shards=2, scratch=scratch, together=False)
    found = killed_once(workers) if kills else checksums(workers, ListWorkers(launcher=launcher))
    sys.stdout.write(f"{found}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), kills="killed" in sys.argv)
