"""Lines of one form give the same rows as decoding them; a block with any other line is left to the decoder."""

import json

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.lake.files.uniform_lines import UniformLines

WANTED = {"u": (["u"], pl.String), "n": (["p", "n"], pl.Int64), "x": (["p", "q", "x"], pl.Float64)}
TEXTS = st.text(alphabet="aé :{}'", max_size=5)


def line(user, number, amount, note="", **options):
    return json.dumps(
        {"u": user, "p": {"n": number, "q": {"x": amount}}, "note": note}, ensure_ascii=False, **options
    )


@given(
    rows=st.lists(
        st.tuples(TEXTS, st.integers(-(2**62), 2**62) | st.none(), st.floats(-1e6, 1e6)), min_size=1
    ),
    compact=st.booleans(),
)
def test_uniform_lines_are_read_as_they_would_be_decoded(rows, compact):
    options = {"separators": (",", ":")} if compact else {}
    data = "".join(line(*row, **options) + "\n" for row in rows).encode()
    form = UniformLines.of(line("u", 1, 2.5, **options).encode(), WANTED)

    found = form.frame(data)

    if not any(set("{}") & set(user) for user, _, _ in rows):
        assert found.rows() == rows


@pytest.mark.parametrize(
    "odd",
    [
        line('a"b', 1, 2.0), line("a,b", 1, 2.0), line(None, 1, 2.0), line("a", "1", 2.0), line("a", 1.5, 2.0),
        line("a", 1, 2.0)[:-1], line("a", 1, 2.0)[:-4], "", '{"u": "a"}', "{oops", line("a", 1, [2.0, 3.0]),
        line("a", 1, 2.0).replace('"u"', '"v"'), line("a", 1, 2.0).replace("1", "one"),
    ],
)  # fmt: skip
def test_a_block_with_a_line_of_another_form_is_not_read(odd):
    good = line("u", 1, 2.5)
    form = UniformLines.of(good.encode(), WANTED)

    assert form.frame(f"{good}\n{odd}\n{good}\n".encode()) is None
    assert form.frame(f"{good}\n{good}".encode()).height == 2


@pytest.mark.parametrize("first", ['{"u": [1]}', '{"p": 1}', r'{"u": "a\"b"}', '{"u": 1}', "{oops", ""])
def test_a_line_with_lists_escapes_or_without_a_field_has_no_form(first):
    assert UniformLines.of(first.encode(), {"u": (["u"], pl.String)}) is None


def test_objects_in_another_order_are_not_read_as_one_another():
    good = '{"u": "a", "p": {"k": 0, "n": 1}, "q": {"k": 0, "n": 2}}'
    swapped = '{"u": "a", "q": {"k": 0, "n": 2}, "p": {"k": 0, "n": 1}}'
    form = UniformLines.of(good.encode(), {"n": (["p", "n"], pl.Int64)})

    assert form.frame(f"{good}\n".encode()).rows() == [(1,)]
    assert form.frame(f"{good}\n{swapped}\n".encode()) is None


def test_a_field_of_another_object_is_not_read_as_its_own():
    good = '{"u": "a", "p": {"k": 0, "j": 1}, "n": 2, "m": 3}'
    inner = '{"u": "a", "p": {"k": 0, "j": 1, "n": 2, "m": 3}}'
    form = UniformLines.of(good.encode(), {"n": (["n"], pl.Int64)})

    assert form.frame(f"{good}\n".encode()).rows() == [(2,)]
    assert form.frame(f"{good}\n{inner}\n".encode()) is None
