"""Reading one step ahead changes nothing but the time it takes."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.lake.sources.text_blocks import ahead


@given(st.lists(st.integers()))
def test_the_items_and_their_order_are_the_same(items):
    assert list(ahead(item for item in items)) == items


def test_the_next_item_is_made_while_this_one_is_used():
    second_is_made = threading.Event()

    def items():
        yield 1
        second_is_made.set()
        yield 2

    first = next(ahead(items()))

    assert first == 1
    assert second_is_made.wait(timeout=60)


def test_an_error_comes_where_the_item_would_have():
    def items():
        yield 1
        raise ValueError("broken")

    found = []
    with pytest.raises(ValueError, match="broken"):
        found.extend(ahead(items()))
    assert found == [1]


def test_leaving_early_closes_the_source():
    closed = threading.Event()

    def items():
        try:
            yield from range(100)
        finally:
            closed.set()

    reading = ahead(items())
    next(reading)
    reading.close()

    assert closed.is_set()
