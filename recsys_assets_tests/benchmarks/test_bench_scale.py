import pytest

from recsys_assets.benchmarks import bench_variants


def test_every_size_is_fitted_and_the_growth_of_time_reported():
    found = bench_variants.scale(pairs=[20_000, 80_000])
    assert [len(found["fits"]), found["fits"][1]["epochs"]] == [2, 15]
    assert found["fits"][1]["pairs"] > 2 * found["fits"][0]["pairs"]
    for fit in found["fits"]:
        assert fit["measured_peak_mb"] > 50
        assert abs(fit["prediction_error"]) < 0.5
    assert found["exponent"] is not None


def test_one_size_has_no_exponent():
    assert bench_variants.scale(pairs=[20_000])["exponent"] is None


def test_a_failed_fit_raises_with_its_error_output():
    with pytest.raises(RuntimeError, match="bench_variants -1 cpu failed"):
        bench_variants.scale(pairs=[-1])
