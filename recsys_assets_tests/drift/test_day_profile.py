"""A profile survives its encoding, and its bins hold the numbers that they name."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.drift.day_profile import VERSION, Profile, bin_edges, decode, encode, log_bins

PROFILE = Profile(
    counts={"rows": 3},
    shares={"new_users": (1, 3)},
    means={"rating": (4.0, 0.5, 3)},
    histograms={"hour": {12: 3}},
    sketch=b"",
)


def test_a_profile_survives_its_encoding():
    assert decode(encode(PROFILE)) == PROFILE


@pytest.mark.parametrize("encoded", [encode(msgspec.structs.replace(PROFILE, version=VERSION + 1)), b"\x90"])
def test_a_profile_of_another_definition_is_not_used(encoded):
    assert decode(encoded) is None


@given(value=st.floats(2**-30, 2**60), negative=st.booleans(), per_octave=st.sampled_from([2, 8]))
def test_a_number_lies_in_its_bin(value, negative, per_octave):
    value = -value if negative else value
    (place,) = log_bins(np.array([value]), per_octave=per_octave)
    low, high = bin_edges(int(place), per_octave=per_octave)
    slack = 1e-8 * abs(value)
    assert low - slack <= value <= high + slack


def test_zero_has_a_bin_of_its_own():
    assert log_bins(np.array([0.0]), per_octave=2).tolist() == [0]
    assert bin_edges(0, per_octave=2) == (0.0, 0.0)
