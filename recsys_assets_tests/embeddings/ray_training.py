"""Run inside a Ray cluster's namespace: a training over two nodes, its checksum on standard output."""

import hashlib
import sys
from pathlib import Path

import msgspec

from recsys_assets.embeddings.factorisation import Factorisation
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.sharded_training import Workers
from recsys_assets.embeddings.training import train
from recsys_assets.launching.chosen import launcher_of
from recsys_assets.scale_settings import LauncherSettings
from recsys_assets.training_settings import TrainingSettings
from recsys_assets_tests.embeddings.worlds import block_world

SETTINGS = TrainingSettings(embedding_size=8, epochs=4)


def checksum(found: Factorisation) -> str:
    parts = (found.user_embeddings, found.item_embeddings)
    digest = hashlib.sha256(b"".join(part.tobytes() for part in parts))
    return f"{digest.hexdigest()} {msgspec.json.encode(found.losses).decode()}"


def main(scratch: Path) -> None:
    said: list[str] = []
    launcher = launcher_of(LauncherSettings(kind="ray"), say=said.append)
    workers = Workers(launcher=launcher, shards=2, scratch=scratch, together=False)
    found = train(InteractionMatrix.from_interactions(block_world()), SETTINGS, workers=workers)
    print(checksum(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
