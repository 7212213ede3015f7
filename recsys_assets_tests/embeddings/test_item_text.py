import subprocess
import sys

import numpy as np
import polars as pl
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.embeddings.item_text import BUCKETS, ItemText, category_codes, item_text
from recsys_assets.lake.contract import ITEM_CATALOGUE

SCHEMA = ITEM_CATALOGUE.polars_schema()
ROWS = [
    ("a", "White Bread, 20 oz", "GROCERY", "BREAD", "Private", 1.0),
    ("b", "Wheat Bread, 20 oz", "GROCERY", "BREAD", "National", 1.0),
    ("c", "Dog Food", "PETS", "PET FOOD", None, None),
    ("d", None, None, None, None, None),
]
CATALOGUE = pl.DataFrame(ROWS, schema=SCHEMA, orient="row")


def cosines(text: ItemText) -> np.ndarray:
    dense = text.dense().numpy()
    return dense @ dense.T


def test_items_with_common_words_are_near_and_others_are_not():
    near = cosines(item_text(CATALOGUE, ["a", "b", "c"]))
    assert near[0, 1] > 0.3
    assert near[0, 2] == 0
    np.testing.assert_allclose(np.diag(near), 1, rtol=1e-6)


def test_an_item_without_words_or_without_a_row_is_zero():
    text = item_text(CATALOGUE, ["d", "no such item", "a"])
    assert np.diff(text.indptr).tolist()[:2] == [0, 0]
    assert not text.dense()[:2].any()


def test_a_rare_word_weighs_more_than_a_common_one():
    text = item_text(CATALOGUE, ["a", "b", "c"])
    weights = text.weights[text.indptr[0] : text.indptr[1]]
    shared = np.isin(text.column_nums[: text.indptr[1]], text.column_nums[text.indptr[1] : text.indptr[2]])
    assert weights[~shared].min() > weights[shared].max()


def test_a_whole_category_is_a_word_beside_its_words():
    catalogue = pl.DataFrame(
        [("x", None, None, "PET FOOD", None, None), ("y", None, None, "FOOD PET", None, None)],
        schema=SCHEMA,
        orient="row",
    )
    assert 0.3 < cosines(item_text(catalogue, ["x", "y"]))[0, 1] < 0.9


def test_words_have_the_same_places_whatever_the_hash_seed():
    code = (
        "import polars as pl; from recsys_assets.embeddings.item_text import _buckets;"
        "print(_buckets(('Größe Äpfel 日本', 'A b', None, 'C')))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert len(found) == 1
    assert max(map(int, found.pop().strip("[]\n").split(", "))) < BUCKETS


def test_products_are_those_of_the_dense_matrix():
    text = item_text(CATALOGUE, ["a", "b", "c", "d"])
    matrix_BD = torch.randn(text.columns, 3, generator=torch.Generator().manual_seed(0))
    values_ID = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(text.times(matrix_BD), text.dense() @ matrix_BD)
    torch.testing.assert_close(text.transposed().times(values_ID), text.dense().T @ values_ID)


def test_taken_items_keep_their_words():
    text = item_text(CATALOGUE, ["a", "b", "c", "d"])
    chosen = np.array([3, 2, 0, 2])
    torch.testing.assert_close(text.take(chosen).dense(), text.dense()[torch.from_numpy(chosen)])


def test_categories_are_numbered_by_name_and_none_is_zero():
    assert category_codes(CATALOGUE, ["c", "d", "a", "b", "no such item"]).tolist() == [2, 0, 1, 1, 0]


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=20)), min_size=1, max_size=8))
def test_any_text_gives_finite_weights_of_length_one_or_none(titles: list[str | None]):
    ids = [str(number) for number in range(len(titles))]
    rows = [(item_id, title, None, None, title, None) for item_id, title in zip(ids, titles, strict=True)]
    text = item_text(pl.DataFrame(rows, schema=SCHEMA, orient="row"), ids)
    lengths = np.linalg.norm(text.dense().numpy(), axis=1)
    assert np.isfinite(lengths).all()
    assert (np.isclose(lengths, 1, atol=1e-5) | (lengths == 0)).all()
