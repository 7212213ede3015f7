"""The arm of a user: drawn from a hash of salt and user id, so that a user keeps it and no state is stored.

Weighted rendezvous hashing: every arm draws a number for the user, an exponential one whose rate is the arm's share,
and the smallest wins (Thaler & Ravishankar 1998, "Using name-based mappings to increase hit rates"; with weights the
logarithmic method of Schindelhauer & Schomaker 2005, "Weighted distributed hash tables"). Those in no arm are one more
arm. So an arm that is added takes users, and moves none between the others while their shares keep their proportions.
"""

import hashlib
from math import inf, log
from typing import Final

from recsys_assets.experiments.experiments_file import Arm, Experiment

_BYTES: Final = 8
_LEAST_REST: Final = 1e-9
"""A smaller share is left over by rounding."""


class ArmDraw:
    """Draws the arms of one experiment's users; it never changes, and threads may share it."""

    def __init__(self, experiment: Experiment) -> None:
        """Prepare a hash an arm."""
        salt = experiment.name if experiment.salt is None else experiment.salt
        places: list[tuple[Arm | None, str, float]] = [(arm, arm.name, arm.share) for arm in experiment.arms]
        rest = 1.0 - sum(arm.share for arm in experiment.arms)
        if rest > _LEAST_REST:
            places.append((None, "", rest))
        self._places = [
            (arm, hashlib.sha256(f"{salt}\0{name}\0".encode()), share) for arm, name, share in places
        ]

    def of(self, user_id: str) -> Arm | None:
        """Return a user's arm; None for a user who is in none."""
        best, least = None, inf
        user = user_id.encode("utf-8", "surrogatepass")
        for arm, begun, share in self._places:
            digest = begun.copy()
            digest.update(user)
            number = int.from_bytes(digest.digest()[:_BYTES], "big")
            drawn = -log((number + 0.5) / 2 ** (8 * _BYTES)) / share
            if drawn < least:
                best, least = arm, drawn
        return best
