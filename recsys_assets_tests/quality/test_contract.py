"""A contract's polars form and its pandera form agree; values of lazy frames are validated too."""

from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.errors import ContractError
from recsys_assets.interactions.contract import INTERACTIONS
from recsys_assets.quality.contract import Column, Contract, validate
from recsys_assets.quality.run_expectations import contract_expectations, evaluate, schema_result

CONTRACT = Contract(
    name="t",
    description="One thing.",
    columns={
        "id": Column(dtype=pl.String, min_length=2, description="An id."),
        "size": Column(dtype=pl.Float64, ge=0, le=10, nullable=True, description="A size."),
        "count": Column(dtype=pl.Int64, ge=1, description="A count."),
    },
    key=("id", "count"),
)
ROWS = st.lists(
    st.tuples(
        st.none() | st.text("ab", max_size=3),
        st.none() | st.sampled_from([-1.0, 0.0, 10.0, 10.5, float("inf")]),
        st.none() | st.integers(0, 2),
    ),
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(rows=ROWS)
def test_polars_and_pandera_agree_on_every_frame(rows):
    frame = pl.DataFrame(rows, schema=CONTRACT.polars_schema(), orient="row")
    ours = all(r.verdict == "ok" for r in evaluate(contract_expectations(CONTRACT), frame, table="t"))
    try:
        validate(CONTRACT, frame)
        theirs = True
    except ContractError:
        theirs = False
    assert ours == theirs


def test_value_violation_inside_a_lazily_read_partition_is_found(tmp_path):
    path = tmp_path / "part-0.parquet"
    frame = pl.DataFrame(
        {
            "user_id": ["u"],
            "item_id": ["i"],
            "timestamp": [datetime(2017, 3, 5, tzinfo=UTC)],
            "weight": [-1.0],
        }
    )
    frame.select(
        pl.col(name).cast(dtype) if name in frame.columns else pl.lit(None, dtype).alias(name)
        for name, dtype in INTERACTIONS.polars_schema().items()
    ).write_parquet(path)
    with pytest.raises(ContractError, match="weight"):
        validate(INTERACTIONS, pl.scan_parquet(path))


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (lambda frame: frame.drop("size"), "missing size"),
        (lambda frame: frame.rename({"size": "height"}), "unknown height"),
        (lambda frame: frame.with_columns(pl.col("count").cast(pl.String)), "count is String, not Int64"),
        (lambda frame: frame.select("size", "id", "count"), "order is size, id, count"),
    ],
)
def test_schema_difference_blocks_and_is_named(change, difference):
    result = schema_result(change(CONTRACT.polars_schema().to_frame()), CONTRACT.polars_schema(), table="t")
    assert result.verdict == "block"
    assert difference in result.detail
