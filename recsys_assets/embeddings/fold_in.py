"""A vector for a user or session from its items, without retraining. The API imports this: numpy only."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from recsys_assets.embeddings.score_recipe import ScoreRecipe
from recsys_assets.errors import EmptyHistoryError
from recsys_assets.storage.arrays import Float32, Float64

_SCALARS: Final = "fold_in.json"


@dataclass(frozen=True, kw_only=True)
class FoldInEquations:
    """The part of one factorisation's normal equations that all users share.

    The weight of an unobserved pair of a user of n items is α = α₀ · activity_scale · n^activity_exponent.
    Shapes: I items of the catalogue, D dimensions of this factorisation.
    """

    gram_DD: Float32
    """α₀ YᵀY over the catalogue, float32."""
    items: int
    """I."""
    unobserved_weight: float
    """α₀, > 0."""
    regularization: float
    """λ, > 0."""
    frequency_exponent: float
    """ν, 0-1."""
    activity_exponent: float = 0.0
    """η, 0-1."""
    activity_scale: float = 1.0
    """1 / the mean of n^η over the users trained on, > 0."""

    def solve(self, touched_nD: Float32, weights: Float32 | None = None) -> Float32:
        """Embed a user from the vectors of the n items touched, as training would embed a user with this history.

        Solves one row of iALS's normal equations (Rendle et al. 2022, eq. 6) exactly.

        Args:
            touched_nD: vectors of the items touched, n >= 1.
            weights: confidence of each, n, > 0, on the scale of `history_weights` (mean 1); none: all 1.

        Returns:
            x_D, float32, on the scale of the trained user embeddings.
        """
        if weights is None and len(touched_nD) < touched_nD.shape[1]:
            return self._solve_few(touched_nD)
        weights_n = (
            np.ones(len(touched_nD), np.float32) if weights is None else np.asarray(weights, np.float32)
        )
        activity, ridge = self._strengths(len(touched_nD), float(weights_n.sum(dtype=np.float64)))
        weighted_Dn = touched_nD.T * weights_n
        normal_DD = np.float32(activity) * self.gram_DD + weighted_Dn @ touched_nD
        normal_DD[np.diag_indices_from(normal_DD)] += ridge
        x_D: Float32 = np.linalg.solve(normal_DD, weighted_Dn.sum(axis=1))
        return x_D

    def _strengths(self, count: int, confidence: float) -> tuple[float, float]:
        """Return α / α₀ and the L2 of a user of `count` items with `confidence` in all of them together."""
        activity = self.activity_scale * count**self.activity_exponent
        frequency = confidence + self.unobserved_weight * activity * self.items
        return activity, self.regularization * frequency**self.frequency_exponent

    def _solve_few(self, touched_nD: Float32) -> Float32:
        """Solve as `solve` does where n < D and every weight is 1, by an n x n system.

        (A + V'V)^-1 V' = A^-1 V' (I + V A^-1 V')^-1, and A depends on n only: its inverse is kept. It takes a third
        of the time for a session of five.
        """
        count = len(touched_nD)
        if count not in self._inverses:
            self._inverses[count] = self._inverse(count)
        inverse_DD, eye_nn, ones_n = self._inverses[count]
        solved_nD = touched_nD.dot(inverse_DD)
        system_nn = solved_nD.dot(touched_nD.T)
        system_nn += eye_nn
        x_D: Float32 = np.linalg.solve(system_nn, ones_n).dot(solved_nD)
        return x_D

    def _inverse(self, count: int) -> tuple[Float32, ...]:
        """Return A^-1 for `count` items, (D, D), the identity matrix and a vector of ones of that size."""
        activity, ridge = self._strengths(count, count)
        values_D, basis_DD = self._gram_basis
        inverse_DD = (basis_DD / (activity * values_D + ridge)) @ basis_DD.T
        return inverse_DD.astype(np.float32), np.eye(count, dtype=np.float32), np.ones(count, np.float32)

    @cached_property
    def _inverses(self) -> dict[int, tuple[Float32, ...]]:
        """Results of `_inverse` by count: fewer than D of them, 16 KB each at 64 dimensions."""
        return {}

    @cached_property
    def _gram_basis(self) -> tuple[Float64, Float64]:
        values_D, basis_DD = np.linalg.eigh(self.gram_DD.astype(np.float64))
        return values_D.clip(0), basis_DD


@dataclass(frozen=True, kw_only=True)
class FoldIn:
    """Vectors for users and sessions: each factorisation's part from its equations, then the prior's constant."""

    item_embeddings: Float32
    """(I, D), float32."""
    recipe: ScoreRecipe
    """The dimensions and weight of each factorisation."""
    equations: Mapping[str, FoldInEquations]
    """Factorisation -> its equations; one of weight 0 needs none."""

    def embed(self, item_nums: npt.NDArray[np.integer[Any]], weights: Float32 | None = None) -> Float32:
        """Embed a user from the items touched.

        Args:
            item_nums: the n items touched, each once, 0 <= num < I.
            weights: confidence of each, n, > 0, on the scale of `history_weights` (mean 1); none: all 1.

        Returns:
            x_D, float32, on the scale of the user embeddings.

        Raises:
            EmptyHistoryError: n is 0.
        """
        if len(item_nums) == 0:
            raise EmptyHistoryError("0 known items give no vector; recommend popular items instead")
        touched_nD = self._plain_items.take(item_nums, axis=0)
        if self._only is not None:
            return self._only.solve(touched_nD, weights)
        x_D = np.zeros(self.recipe.size, dtype=np.float32)
        for name, part in self.recipe.factors.items():
            if part.weight:
                own_nD = np.ascontiguousarray(touched_nD[:, part.first : part.end])
                solved_D = self.equations[name].solve(own_nD, weights)
                x_D[part.first : part.end] = np.float32(part.weight) * solved_D
        if self.recipe.prior is not None:
            x_D[-1] = self.recipe.prior.user_coordinate
        return x_D

    @cached_property
    def _only(self) -> FoldInEquations | None:
        """The equations where there is nothing else."""
        return next(iter(self.equations.values())) if self.recipe.is_one else None

    @cached_property
    def _plain_items(self) -> Float32:
        """The item embeddings without numpy's memory-map class, where every slice costs a microsecond."""
        return np.asarray(self.item_embeddings)

    def save(self, folder: Path) -> None:
        """Write `fold_in.json` and one `fold_in_<name>.npy` a factorisation; the item embeddings have their own."""
        scalars = {}
        for name, one in self.equations.items():
            np.save(folder / f"fold_in_{name}.npy", one.gram_DD, allow_pickle=False)
            scalars[name] = {
                field.name: getattr(one, field.name) for field in fields(one) if field.name != "gram_DD"
            }
        (folder / _SCALARS).write_text(json.dumps(scalars, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, item_embeddings: Float32, recipe: ScoreRecipe) -> "FoldIn":
        """Read what `save` wrote, to go with the (memory-mapped) `item_embeddings` and their recipe."""
        scalars = json.loads((folder / _SCALARS).read_text(encoding="utf-8"))
        equations = {
            name: FoldInEquations(gram_DD=np.load(folder / f"fold_in_{name}.npy", allow_pickle=False), **one)
            for name, one in scalars.items()
        }
        return cls(item_embeddings=item_embeddings, recipe=recipe, equations=equations)
