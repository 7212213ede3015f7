"""Expectations: the rows that fail, the values found, and the verdicts that follow."""

import polars as pl
import pytest

from recsys_assets.errors import ExpectationError
from recsys_assets.quality.expectations import CheckResult, Expectation, expect
from recsys_assets.quality.run_expectations import evaluate


def judge(expectation: Expectation, **values: list) -> CheckResult:
    (result,) = evaluate([expectation], pl.DataFrame(values), table="t")
    return result


def test_share_below_mostly_warns():
    result = judge(expect("rating").between(1, 5, mostly=0.99, block_below=0.9), rating=[*[3.0] * 19, 9.0])
    assert (result.verdict, result.passed_share, result.failing_rows) == ("warn", 0.95, 1)


def test_share_below_block_below_blocks():
    result = judge(expect("rating").between(1, 5, mostly=0.99, block_below=0.9), rating=[3.0, 9.0])
    assert result.verdict == "block"


def test_share_equal_to_mostly_is_ok():
    assert judge(expect("rating").between(1, 5, mostly=0.5), rating=[3.0, 9.0]).verdict == "ok"


def test_without_a_block_band_never_blocks():
    assert judge(expect("rating").between(1, 5), rating=[9.0]).verdict == "warn"


def test_result_has_at_most_twenty_of_the_failing_rows():
    result = judge(expect("a").between(0, 1), a=list(range(50)), b=list("x" * 50))
    assert result.failing_rows == 48
    assert len(result.sample) == 20
    assert result.sample[0] == {"a": 2, "b": "x"}


def test_frame_without_rows_passes():
    assert judge(expect("a").not_null(block_below=1.0), a=[]).verdict == "ok"


def test_missing_column_blocks():
    result = judge(expect("absent").not_null(), a=[1])
    assert result.verdict == "block"
    assert "absent" in result.detail


def test_too_few_rows_are_not_judged():
    assert judge(expect("a").between(0, 1, block_below=0.9, from_rows=3), a=[5, 5]).verdict == "ok"
    assert judge(expect("a").between(0, 1, block_below=0.9, from_rows=2), a=[5, 5]).verdict == "block"


def test_null_is_left_to_not_null():
    assert judge(expect("a").between(0, 1), a=[None, 1]).verdict == "ok"
    assert judge(expect("a").not_null(), a=[None, 1]).verdict == "warn"


def test_nan_is_not_between():
    assert judge(expect("a").between(0, 1), a=[float("nan")]).failing_rows == 1


@pytest.mark.parametrize(
    ("expectation", "values", "failing_rows"),
    [
        (expect("a").unique(), ["x", "x", "x", "y"], 2),
        (expect("a").matches(r"^\d+$"), ["1", "22", "x"], 1),
        (expect("a").that(pl.col("a") > 1, name="more_than_one"), [1, 2, 3], 1),
    ],
)
def test_failing_rows_are_counted(expectation, values, failing_rows):
    assert judge(expectation, a=values).failing_rows == failing_rows


def test_unique_compares_all_its_columns_together():
    assert judge(expect("a", "b").unique(), a=[1, 1, 1], b=[1, 2, 2]).failing_rows == 1


@pytest.mark.parametrize(
    ("expectation", "values", "value", "verdict"),
    [
        (expect().row_count(least=3), [1, 2], 2, "warn"),
        (expect().row_count(least=3, block_least=3), [1, 2], 2, "block"),
        (expect("a").mean_within(0, 1, block_high=9), [2, 4], 3, "warn"),
        (expect("a").mean_within(0, 1, block_high=2), [2, 4], 3, "block"),
    ],
)
def test_value_outside_its_bounds_warns_or_blocks(expectation, values, value, verdict):
    result = judge(expectation, a=values)
    assert (result.value, result.verdict) == (value, verdict)


def test_mean_of_no_rows_is_ok():
    assert judge(expect("a").mean_within(0, 1, block_high=2), a=[]).verdict == "ok"


def test_raises_when_mostly_is_no_share():
    with pytest.raises(ExpectationError, match="95"):
        expect("a").between(0, 1, mostly=95)


def test_raises_when_the_block_band_lies_inside_the_warn_band():
    with pytest.raises(ExpectationError, match="inside"):
        expect("a").mean_within(0, 10, block_high=5)
    with pytest.raises(ExpectationError, match="block_below"):
        expect("a").between(0, 1, mostly=0.9, block_below=0.95)
