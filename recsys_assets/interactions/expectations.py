"""What a cleaned day should look like: the contract blocks on any violation; cleaning may cost so much.

Drift is judged on the raw day and not here again. Cleaning is a function of the raw rows, and each of its reasons
to drop one (no user or item, outside the day, not positive, negative, not finite, seen before) is a share or a
check of the raw profile already, so a cleaned day that drifts is a raw day that does. A second set of checks would
add no fault that can be found, but share the day's budget of false alarms: with twice as many checks each must be
more certain. Changed code of cleaning is no drift either: its version makes every day anew.
"""

from datetime import date

import polars as pl

from recsys_assets.interactions.clean import Cleaned
from recsys_assets.interactions.contract import INTERACTIONS
from recsys_assets.quality.evaluation import contract_expectations, evaluate, schema_result
from recsys_assets.quality.expectations import CheckResult, Expectation, expect

_KEPT = "kept"

INTERACTIONS_EXPECTATIONS: list[Expectation] = contract_expectations(INTERACTIONS)
"""What every row of a cleaned day satisfies."""

CLEANING_EXPECTATIONS: list[Expectation] = [
    expect(_KEPT).that(pl.col(_KEPT), name="by_cleaning", mostly=0.8, block_below=0.4, from_rows=50)
]
"""About a frame with one row a raw row: whether cleaning kept it."""

INTERACTIONS_CHECKS: tuple[str, ...] = (
    "schema",
    *(e.name for e in (*INTERACTIONS_EXPECTATIONS, *CLEANING_EXPECTATIONS)),
)
"""Names of the checks of a cleaned day."""


def audit_interactions(day: date, cleaned: Cleaned) -> list[CheckResult]:
    """Every check of INTERACTIONS_CHECKS on a cleaned day."""
    name = INTERACTIONS.name
    kept = pl.DataFrame({_KEPT: pl.int_range(cleaned.raw_rows, eager=True) < cleaned.frame.height})
    return [
        schema_result(cleaned.frame, INTERACTIONS.polars_schema(), table=name, day=day),
        *evaluate(INTERACTIONS_EXPECTATIONS, cleaned.frame, table=name, day=day),
        *evaluate(CLEANING_EXPECTATIONS, kept, table=name, day=day),
    ]
