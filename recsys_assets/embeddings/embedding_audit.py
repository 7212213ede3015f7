"""The audit of a training: the norms and dimensions of its vectors, and the course of its losses."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_assets.quality.expectations import CheckResult, Expectation, expect
from recsys_assets.quality.run_expectations import evaluate

_ZERO: Final = 1e-6
"""Norms and deviations up to this are taken as zero."""
_ROUNDING: Final = 1e-6
"""Relative rise of an objective summed in float32 that is no rise."""
_NOISE: Final = 0.01
"""Relative rise above the lowest loss that a stochastic objective may end with.

An epoch's loss is a mean over all pairs: late in training it moved by less than 0.3 % an epoch on MovieLens 1M and on
groceries, and single rises at ten times the default learning rate were gone a few epochs later.
"""

EMBEDDING_EXPECTATIONS: Final[list[Expectation]] = [
    expect("norm").that(pl.col("norm").is_finite(), name="finite", block_below=1.0),
    expect("norm").that(pl.col("norm") > _ZERO, name="not_zero", mostly=0.25, block_below=0.01),
    expect("norm").that(
        pl.col("norm") < 20 * pl.col("norm").quantile(0.9), name="no_giants", mostly=0.999, block_below=0.95
    ),
]
"""Expectations about a frame with one row an embedding.

In a sparse log many items share users with few others and rightly get vectors of almost zero: half of the items in
Amazon's smaller categories. So only a model of nothing else blocks, and giants are measured against the larger norms.
"""

DIMENSION_EXPECTATIONS: Final[list[Expectation]] = [
    expect("deviation").that(
        pl.col("deviation") > _ZERO * pl.col("deviation").max(),
        name="alive",
        mostly=0.95,
        block_below=0.5,
    )
]
"""Expectations about a frame with one row a dimension: its standard deviation over the embeddings."""

EMBEDDING_CHECKS: Final = tuple(
    expectation.name for expectation in (*EMBEDDING_EXPECTATIONS, *DIMENSION_EXPECTATIONS)
)
"""Names of the checks of `embedding_results`."""


def embedding_results(
    table: str, vectors_ND: npt.NDArray[np.floating[Any]], *, factors: slice = slice(None)
) -> list[CheckResult]:
    """Judge the norms and the dimensions of embeddings.

    Args:
        table: the table's name.
        vectors_ND: N vectors of D dimensions.
        factors: the dimensions that should differ between rows: not a constant one, and not those of a
            factorisation that has no part in the score.
    """
    judged_ND = vectors_ND[:, factors]
    with np.errstate(invalid="ignore", over="ignore"):
        norms = np.linalg.norm(vectors_ND.astype(np.float64), axis=1)
        deviations = np.nanstd(np.where(np.isfinite(judged_ND), judged_ND, np.nan), axis=0)
    return [
        *evaluate(
            EMBEDDING_EXPECTATIONS, pl.DataFrame({"num": np.arange(len(norms)), "norm": norms}), table=table
        ),
        *evaluate(
            DIMENSION_EXPECTATIONS,
            pl.DataFrame({"dimension": np.arange(len(deviations)), "deviation": deviations}),
            table=table,
        ),
    ]


def rising_epochs(losses: Sequence[float]) -> list[int]:
    """Return the epochs, from 2, whose loss is above the one before by more than rounding."""
    return [
        epoch for epoch, (before, now) in enumerate(pairwise(losses), 2) if now > before * (1 + _ROUNDING)
    ]


def ends_above_lowest(losses: Sequence[float]) -> bool:
    """Return true where the last loss is above the lowest by more than the noise of a stochastic objective.

    So a run that ends above its start, or rises at the end, is found; a single rise on the way down is not.
    """
    return losses[-1] > min(losses) * (1 + _NOISE)
