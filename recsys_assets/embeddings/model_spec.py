"""The model to fit: its components and their shares, and what recency counts. No torch: Dagster imports this."""

from typing import Final

import msgspec

from recsys_assets.training_settings import ScoreSettings

TIE_BREAK: Final = 1e-6
"""Added to every prior weight: equal scores, such as those of a user without wishes, are ordered by popularity."""
ALL_TIME: Final = 36_500.0
"""A half-life in days by which nothing decays."""


class ModelSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One model; its score is Σ share · component / spread + prior_weight · log popularity.

    A component's spread is the standard deviation of its scores, so that shares and weight mean the same whatever its
    scale.
    """

    model: str
    """Names of the components joined by `+`, or one name."""
    first_share: float = 1.0
    """Share of the first component, 0-1; the second has the rest."""
    own_half_life_days: float | None = None
    """Days after which a user's own wish counts half; None: all count the same."""
    prior_half_life_days: float = ALL_TIME
    """Days after which a touch counts half in an item's popularity."""
    prior_weight: float = 0.0
    """Weight of log popularity, >= 0."""

    @property
    def components(self) -> tuple[str, ...]:
        """Names of the components."""
        return tuple(self.model.split("+"))

    @property
    def shares(self) -> dict[str, float]:
        """Component -> its share of the score."""
        rest = (1 - self.first_share,) if len(self.components) > 1 else ()
        return dict(zip(self.components, (self.first_share, *rest), strict=True))

    def given(self, settings: ScoreSettings) -> "ModelSpec":
        """Return the model with the parameters that the settings give in place of its own."""
        changes = {
            name: value for name, value in msgspec.structs.asdict(settings).items() if value is not None
        }
        if changes.get("own_half_life_days") == 0:
            changes["own_half_life_days"] = None
        if len(self.components) == 1:
            changes.pop("first_share", None)
        return msgspec.structs.replace(self, **changes)
