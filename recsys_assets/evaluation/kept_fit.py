"""The item vectors of an evaluation's model, kept for the next warm replay to train on from.

They are those of the training part, so that nothing of the held-out days is in them, and no user is either: users are
solved from the items. A folder that is missing, damaged or does not fit costs a whole training, and nothing else.
"""

from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from recsys_assets.embeddings.factorisation import Start
from recsys_assets.embeddings.fit_model import FittedModel
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.model_files import carried
from recsys_assets.embeddings.model_spec import ModelSpec
from recsys_assets.storage.arrays import map_array
from recsys_assets.storage.atomic import replaced_folder
from recsys_assets.storage.copied_files import sha256_of
from recsys_assets.storage.string_table import Vocabulary
from recsys_assets.training_settings import TrainingSettings

_ITEMS: Final = "items"
_SUMS: Final = "sums.json"
"""Name of each file -> its checksum."""


def fit_folder(evaluation: Path) -> Path:
    """Return the folder of the vectors, beside the artifact `evaluation`; hidden, since no release holds it."""
    return evaluation.with_name(f".{evaluation.name}_fit")


def keep_fit(model: FittedModel, folder: Path) -> None:
    """Replace `folder` by the item vectors of a model's factorisations, (I, D) each, as float16."""
    items_ID, recipe = model.factorisation.item_embeddings, model.parts.recipe
    with replaced_folder(folder) as staged:
        model.matrix.items.save(staged, _ITEMS)
        for name, part in recipe.factors.items():
            if part.weight:
                kept_ID = items_ID[:, part.first : part.end].astype(np.float16)
                np.save(staged / f"{name}.npy", kept_ID, allow_pickle=False)
        (staged / _SUMS).write_bytes(msgspec.json.encode(_sums(staged)))


def kept_starts(
    folder: Path, train: InteractionMatrix, spec: ModelSpec, settings: TrainingSettings
) -> dict[str, Start]:
    """Return component -> the vectors to train on from, in the numbering of `train`, users at zero.

    Those of another embedding size, and components that were not kept, are left out.
    """
    starts: dict[str, Start] = {}
    if not _is_whole(folder):
        return starts
    for name in spec.components:
        file = folder / f"{name}.npy"
        if not file.is_file():
            continue
        kept_ID, items = map_array(file), Vocabulary.load(folder, _ITEMS)
        popularity_dimension = settings.embedding_size - kept_ID.shape[1]
        if len(items) != len(kept_ID) or popularity_dimension != (name == "softmax"):
            continue
        items_ID = carried(kept_ID, items, train.items)
        starts[name] = Start(
            user_embeddings=np.zeros((len(train.users), settings.embedding_size), np.float32),
            item_embeddings=np.pad(items_ID, ((0, 0), (0, popularity_dimension))),
        )
    return starts


def _sums(folder: Path) -> dict[str, str]:
    return {file.name: sha256_of(file) for file in sorted(folder.iterdir()) if file.name != _SUMS}


def _is_whole(folder: Path) -> bool:
    try:
        return msgspec.json.decode((folder / _SUMS).read_bytes(), type=dict[str, str]) == _sums(folder)
    except (OSError, msgspec.MsgspecError):
        return False
