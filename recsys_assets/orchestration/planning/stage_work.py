"""The work of a stage beside its rows: how much more of it, or less, other settings or another model are.

It is 1 by the default settings and the model chosen on the embedded default, and the sum of parts whose seconds were
measured there, on two cores. What changes with no setting is a part too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from recsys_assets.training_settings import TrainingSettings

BY_TRAINING: Final = ("choice", "embeddings", "evaluation")
"""Stages that train."""
BY_MODEL: Final = ("embeddings", "evaluation", "index")
"""Stages whose work depends on the model chosen."""
DEFAULT_MODEL: Final = "ials"
"""The model that is chosen on the embedded default; it gives a model without vectors the likeness of its items."""
_FACTORS: Final = ("ials", "softmax")
_FITS: Final[Mapping[str, float]] = {"ials": 2.5, "softmax": 11.5, "item_item": 12.5, "popular": 0.0}
"""Component -> seconds of a fit to all days."""
_REST: Final[Mapping[str, float]] = {"embeddings": 6.5, "evaluation": 6.0}
"""Stage -> seconds beside its fits."""
_EARLIER_SHARE: Final = 0.64
"""Share of the pairs that models are compared on."""
_COMPARED: Final[Mapping[str, int]] = {"ials": 4, "item_item": 4, "softmax": 1, "popular": 1}
"""Component -> half-lives of a user's own wishes that are compared; of a blend its shares are."""
_SHARES: Final = 5
_BLENDS: Final = 3
_COMPARED_SECONDS: Final = 1.3
"""Seconds of one of these with every prior."""
_LISTS: Final[Mapping[str, float]] = {"products": 0.5, "sums": 12.0, "rest": 3.0}
"""Part of the index -> seconds: users' lists by products alone, by products and related items, and all else."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """All that decides a stage's work beside its rows."""

    training: TrainingSettings
    """The settings of the training."""
    model: str = DEFAULT_MODEL
    """The model chosen: components joined by `+`."""

    def of(self, stage: str) -> float:
        """Return the work of a stage, > 0; 1 by the default settings and model."""
        return self.seconds(stage) / Work(training=TrainingSettings()).seconds(stage)

    def seconds(self, stage: str) -> float:
        """Return the seconds of a stage on the embedded default; 1 for one that neither settings nor model change."""
        components = self.model.split("+")
        if stage == "choice":
            return self._choice()
        if stage in _REST:
            vectors = () if set(components) & set(_FACTORS) else (DEFAULT_MODEL,)
            return _REST[stage] + self._fits((*components, *vectors))
        if stage == "index":
            lists = _LISTS["sums" if "item_item" in components else "products"]
            factorisations = sum(name in _FACTORS for name in components) or 1
            return lists + _LISTS["rest"] * factorisations * self._size
        return 1.0

    def _choice(self) -> float:
        if self.training.model == "auto":
            components, blends = tuple(_COMPARED), _BLENDS
        else:
            components = tuple(self.training.model.split("+"))
            blends = len(components) - 1
        compared = sum(_COMPARED[name] for name in components) + blends * _SHARES
        return _EARLIER_SHARE * self._fits(components) + _COMPARED_SECONDS * compared

    @property
    def _size(self) -> float:
        return self.training.embedding_size / TrainingSettings().embedding_size

    def _fits(self, components: Sequence[str]) -> float:
        return sum(self._fit(name) for name in components)

    def _fit(self, component: str) -> float:
        given, usual = self.training, TrainingSettings()
        if component == "ials":
            steps = given.epochs * (given.cg_steps + 1) / (usual.epochs * (usual.cg_steps + 1))
            return _FITS[component] * steps * self._size
        if component == "softmax":
            return _FITS[component] * given.softmax.epochs / usual.softmax.epochs * self._size
        return _FITS[component]
