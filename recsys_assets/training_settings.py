"""Typed, bounded settings of the model, the section `[training]` of `recsys.toml`, and of its threads."""

import os
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from recsys_assets.storage.bounds import Count, Days, DaysOrZero, Share, Strength

Epochs = Annotated[int, Meta(ge=1, le=10_000)]


class ItemItemSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The component `item_item`: EASE's weights between items, kept sparse."""

    regularization: Strength = 0.0
    """λ, the L2 strength in users of an item; 0 chooses it by density."""


class ScoreSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of the score beside the components'; what is left out is chosen on held-out days."""

    prior_half_life_days: Days | None = None
    """Days after which a touch counts half in the popularity of an item."""
    prior_weight: Annotated[float, Meta(ge=0, le=1000)] | None = None
    """Weight of log popularity, in units of the spread of the other scores; 0 leaves popularity out."""
    own_half_life_days: DaysOrZero | None = None
    """Days after which a user's own wish counts half in the user's score; 0: all count the same."""
    first_share: Share | None = None
    """Share of the first component of a blend; the second has the rest."""


class SoftmaxSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The second objective: sampled softmax over cosines of smoothed embeddings, and popularity."""

    epochs: Epochs = 12
    """Passes over the users."""
    temperature: Annotated[float, Meta(ge=0.01, le=10)] = 0.12
    """τ, the number that cosines are divided by."""
    learning_rate: Annotated[float, Meta(ge=1e-6, le=1)] = 0.01
    """Adam's learning rate."""
    batch_users: Annotated[int, Meta(ge=1, le=1_000_000)] = 1024
    """Users a step."""
    sampled_items: Annotated[int, Meta(ge=1, le=1_000_000)] = 8192
    """Items sampled a step as negatives; the whole catalogue where that is smaller."""
    smoothing_layers: Annotated[int, Meta(ge=0, le=4)] = 3
    """Times that embeddings are averaged over neighbours in the user-item graph."""
    popularity_weight: Share = 0.7
    """γ: γ · log(an item's number of users) is added to its cosine / τ."""


class TrainingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The model of the interactions."""

    model: Literal[
        "auto", "ials", "softmax", "item_item", "popular",
        "ials+item_item", "softmax+item_item", "ials+softmax",
    ] = "auto"  # fmt: skip
    """One component, or a blend of two; `auto` takes what ranks best on held-out days."""
    choice_seconds: Annotated[float, Meta(ge=0.001, le=86_400)] = 60.0
    """Time that comparing the models may take on two busy cores, as foreseen from the sizes of the data, so that the
    same data give the same choice; where all of the users would take longer, a sample of them is compared."""
    score: ScoreSettings = ScoreSettings()
    """Weights of the components and of recency."""
    item_item: ItemItemSettings = ItemItemSettings()
    """Used by the component `item_item` only."""
    softmax: SoftmaxSettings = SoftmaxSettings()
    """Used by the component `softmax` only."""
    embedding_size: Annotated[int, Meta(ge=1, le=1024)] = 64
    """Width of an embedding."""
    epochs: Epochs = 15
    """Passes over users and items."""
    processes: Annotated[int, Meta(ge=1, le=256)] = 1
    """Processes of this machine that iALS is sharded over where `[launcher] kind` is `in_process`; each holds its share
    of the users, and all items."""
    warm_start_epochs: Annotated[int, Meta(ge=0, le=10_000)] = 0
    """Epochs to train on from the last embeddings; 0 trains from scratch, so that the same days and settings give
    the same release whatever was there before."""
    unobserved_weight: Strength = 0.0
    """α₀, the weight of a pair that was not observed; 0 chooses it by density."""
    activity_exponent: Share = 0.5
    """η: a user's α is α₀ · (number of the user's items)^η over its mean; 0 gives all users the same."""
    regularization: Strength = 0.0
    """λ, the L2 strength; 0 chooses it by density."""
    frequency_exponent: Share = 1.0
    """ν, the exponent by which L2 scales with a row's frequency."""
    cg_steps: Annotated[int, Meta(ge=1, le=10)] = 2
    """Conjugate-gradient steps a half-epoch."""
    count_exponent: Share = 0.2
    """A pair's confidence grows with its summed weight to this power: 0 ignores repeats, 1 counts them."""
    debias_exponent: Share = 0.0
    """γ: a pair's confidence is divided by (users of its item)^γ, so that popular items count less."""
    half_life_days: Days | None = None
    """Days after which a pair counts half, by its last event; left out, age doesn't matter."""
    held_out_share: Annotated[float, Meta(ge=0, le=0.5)] = 0.2
    """Share of the last days held out by `evaluation`."""
    seed: Annotated[int, Meta(ge=0, le=2**32 - 1)] = 0
    """Seed of the initial embeddings."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Device that torch computes on."""
    memory_budget_mb: Count | None = None
    """Most resident memory while training, in MB; left out, 80 % of what is available."""

    @property
    def objective(self) -> Literal["ials", "softmax"]:
        """The loss that the factorisation minimises: iALS's weighted squares, or the sampled softmax."""
        return "softmax" if self.model.startswith("softmax") else "ials"


SPINS: Final = ("GOMP_SPINCOUNT", "1000")
"""torch's OpenMP threads spin at every barrier; beside one busy process that made a training of 2.4 s take 58 s
here, and 5 s with this few spins. The variable is read when torch is imported."""


def limit_spinning() -> None:
    """In this process and its children, let torch's threads sleep soon where another process wants the core.

    Call it before torch is imported.
    """
    os.environ.setdefault(*SPINS)
