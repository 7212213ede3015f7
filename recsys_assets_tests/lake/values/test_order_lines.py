"""Values in the first line of an order are filled down to its other lines, wherever a chunk ends."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.lake.values.order_lines import OrderLines

ROWS = st.lists(
    st.tuples(
        st.sampled_from(["1", "2", None]),
        st.sampled_from(["u", "v", "", None]),
        st.sampled_from(["paid", None]),
    ),
    min_size=1,
    max_size=12,
)


def frame(rows):
    return pl.DataFrame(
        rows, schema=dict.fromkeys(["order_id", "user_id", "status"], pl.String), orient="row"
    )


def by_hand(rows):
    filled, above = [], None
    for order, *values in rows:
        same = above is not None and order is not None and above[0] == order
        now = [value or (above[1][n] if same else None) for n, value in enumerate(values)]
        above = (order, now)
        filled.append((order, *now))
    return filled


@given(ROWS, st.integers(0, 12))
def test_chunks_are_filled_as_the_whole(rows, cut):
    orders = OrderLines()
    parts = [frame(part) for part in (rows[:cut], rows[cut:]) if part]

    found = pl.concat([orders.filled(part) for part in parts])

    assert found.rows() == by_hand(rows)


def test_another_order_in_between_ends_the_filling():
    rows = [("1", "u", "paid"), ("1", None, None), ("2", None, None), ("1", None, None)]

    assert OrderLines().filled(frame(rows))["user_id"].to_list() == ["u", "u", None, None]
