"""A share of the users by the hash of their ids, and settings that mean on them what they mean on all.

Shapes: U users.
"""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

import msgspec
import numpy as np

from recsys_assets.embeddings.factorisation import with_strengths
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.item_item import default_strength
from recsys_assets.evaluation.held_out import rows_of
from recsys_assets.storage.arrays import Float64
from recsys_assets.storage.string_table import Vocabulary
from recsys_assets.training_settings import TrainingSettings

_HASHES: Final = 2.0**64


def user_places(users: Iterable[str], *, seed: int) -> Float64:
    """Return a number in 0-1 for each user id, (U,), from the seed and the id alone.

    A sample of a share s are the users below s.
    """
    key = seed.to_bytes(8, "little")
    hashes = (blake2b(user.encode(), digest_size=8, key=key).digest() for user in users)
    return np.frombuffer(b"".join(hashes), dtype="<u8").astype(np.float64) / _HASHES


def sample_rows(
    matrix: InteractionMatrix, places_U: Float64, share: float, *, low: float = 0.0
) -> InteractionMatrix:
    """Return the matrix of the users whose place is below `share`, and not below `low`, over all its items."""
    if share >= 1 and low <= 0:
        return matrix
    chosen = np.flatnonzero((places_U < share) & (places_U >= low))
    return rows_of(matrix, chosen, Vocabulary.from_strings(matrix.users[num] for num in chosen.tolist()))


def on_sample(
    settings: TrainingSettings, sample: InteractionMatrix, whole: InteractionMatrix
) -> TrainingSettings:
    """Return the settings that mean on the sample of users what these mean on the whole.

    With fewer users an item has fewer entries, and the best strengths change. One that the settings fix stays the
    same multiple of the one chosen by density.
    """
    if sample.entries in {0, whole.entries}:
        return settings
    open_ = msgspec.structs.replace(settings, unobserved_weight=0.0, regularization=0.0)
    here, there = with_strengths(open_, sample), with_strengths(open_, whole)
    alpha = settings.unobserved_weight * here.unobserved_weight / there.unobserved_weight
    given = msgspec.structs.replace(open_, unobserved_weight=alpha)
    by_density = with_strengths(given, sample).regularization
    of_whole = with_strengths(
        msgspec.structs.replace(open_, unobserved_weight=settings.unobserved_weight), whole
    ).regularization
    strength = settings.item_item.regularization * default_strength(sample) / default_strength(whole)
    return msgspec.structs.replace(
        given,
        regularization=settings.regularization * by_density / of_whole,
        item_item=msgspec.structs.replace(settings.item_item, regularization=strength),
    )
