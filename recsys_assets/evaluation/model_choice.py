"""The record of a choice: the model to release, and what lost. No torch: Dagster imports this."""

from datetime import date
from pathlib import Path
from typing import Final

import msgspec

from recsys_assets.embeddings.model_spec import ModelSpec

_FILE: Final = "choice.json"


class ComparedModel(msgspec.Struct, frozen=True, kw_only=True):
    """One model of the comparison, with the parameters that ranked best for it."""

    spec: ModelSpec
    """The model."""
    ndcg: float
    """Mean NDCG at 20 over the users compared on."""
    low: float
    """Lower bound of its 95 % interval."""
    high: float
    """Upper bound."""


class ModelChoice(msgspec.Struct, frozen=True, kw_only=True):
    """The model chosen, and what lost."""

    spec: ModelSpec
    """The model chosen."""
    compared: list[ComparedModel] = []
    """The best of every component and blend, best first."""
    users: int = 0
    """Users compared on."""
    first_held_out_days: list[date] = []
    """First held-out day of each split, the latest first."""
    user_share: float = 1.0
    """Share of the users that the components were fitted to, in order to stay within the time allowed."""
    problem: str = ""
    """Reason why nothing was compared; empty where models were."""
    reason: str = ""
    """Reason for the choice, in words; empty where nothing was compared."""

    def in_words(self) -> str:
        """Return one line on the model, its quality, what came next, and why it was chosen."""
        if self.problem:
            return f"{self.spec.model}; models were not compared: {self.problem}"
        own = next((one for one in self.compared if one.spec == self.spec), self.compared[0])
        others = [f"{one.spec.model} {one.ndcg:.4f}" for one in self.compared if one is not own]
        rest = f"; {', '.join(others)}" if others else ""
        found = f"{self.spec.model}, NDCG@20 {own.ndcg:.4f} for {self.users:,} users on held-out days"
        return f"{found}{rest}. {self.reason}"

    def save(self, folder: Path) -> None:
        """Write `choice.json`."""
        (folder / _FILE).write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")

    @classmethod
    def load(cls, folder: Path) -> "ModelChoice":
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: no choice was written.
        """
        return msgspec.json.decode((folder / _FILE).read_bytes(), type=cls)
