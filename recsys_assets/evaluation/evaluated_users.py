"""One value a user: the file of an evaluation's, and intervals of their means.

The API imports this: numpy only.
"""

from datetime import date
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import numpy as np

from recsys_assets.errors import BrokenReleaseError
from recsys_assets.storage.arrays import Float64

EVALUATED_USERS_FILE: Final = "evaluation_users.json"
"""The file's name in the artifact `evaluation` and in a release."""
_ROUNDS: Final = 1000
_BLOCK: Final = 50

Name = TypeVar("Name")


class EvaluatedUsers(msgspec.Struct, frozen=True, kw_only=True):
    """Metrics at 10 of each evaluated user, of the model and of each baseline."""

    first_day: date
    """First held-out UTC day."""
    last_day: date
    """Last held-out UTC day."""
    user_ids: list[str]
    """R users with held-out items."""
    ndcg: dict[str, list[float]]
    """Model -> NDCG at 10 of each user, R values of 0-1."""
    recall: dict[str, list[float]]
    """Model -> recall at 10 of each user, R values of 0-1."""

    def save(self, folder: Path) -> None:
        """Write `evaluation_users.json`."""
        (folder / EVALUATED_USERS_FILE).write_bytes(msgspec.json.encode(self) + b"\n")


def read_evaluated_users(folder: Path) -> EvaluatedUsers | None:
    """Read what `save` wrote; None where nothing was, by an older version or because nothing was held out.

    Raises:
        BrokenReleaseError: the file cannot be read.
    """
    file = folder / EVALUATED_USERS_FILE
    try:
        return msgspec.json.decode(file.read_bytes(), type=EvaluatedUsers)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BrokenReleaseError(
            f"{file}: cannot be read ({error}); publish the release again (`recsys build`)"
        ) from error


def paired_difference(before_R: Float64, after_R: Float64, *, seed: int) -> tuple[float, float, float]:
    """Return the mean of after - before over the same R users, with its 95 % interval: (value, low, high)."""
    return mean_intervals({"difference": after_R - before_R}, seed=seed)["difference"]


def mean_intervals(values: dict[Name, Float64], *, seed: int) -> dict[Name, tuple[float, float, float]]:
    """Return each metric's mean over users with its 95 % percentile-bootstrap interval: (value, low, high).

    A round counts each user as often as a Poisson(1) draw says, which is resampling with replacement but for
    the round's size (Chamandy et al. 2012); all metrics share the draws. Blocks of rounds bound the memory.

    Args:
        values: metric -> one value a user, (R,), the same R users.
        seed: of the draws.
    """
    values_RM = np.column_stack(list(values.values()))
    rng = np.random.default_rng(seed)
    means = []
    for _ in range(_ROUNDS // _BLOCK):
        times_BR = rng.poisson(1.0, (_BLOCK, len(values_RM))).astype(np.float64)
        means.append(times_BR @ values_RM / np.maximum(times_BR.sum(axis=1, keepdims=True), 1))
    low_M, high_M = np.quantile(np.concatenate(means), [0.025, 0.975], axis=0)
    whole_M = values_RM.mean(axis=0)
    # Summation order may put a constant's mean one bit outside its own interval.
    low_M, high_M = np.minimum(low_M, whole_M), np.maximum(high_M, whole_M)
    return {name: (float(whole_M[m]), float(low_M[m]), float(high_M[m])) for m, name in enumerate(values)}
