import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.embeddings.cold_items import (
    _distinct,
    _ridge_path,
    cold_vectors,
    nearest_by_text,
)
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.item_text import ItemText, item_text
from recsys_assets.embeddings.training import train
from recsys_assets.lake.contract import ITEM_CATALOGUE
from recsys_assets.storage.arrays import NO_ITEM
from recsys_assets.training_settings import TrainingSettings
from recsys_assets_tests.embeddings.worlds import events

KINDS = ("tea", "beer", "soap")


def catalogue(titles: dict[str, str | None]) -> pl.DataFrame:
    rows = [(item_id, title, None, None, None, None) for item_id, title in titles.items()]
    return pl.DataFrame(rows, schema=ITEM_CATALOGUE.polars_schema(), orient="row")


def known_titles(per_kind: int = 20) -> dict[str, str | None]:
    return {
        f"{kind}-{number:02}": f"{kind} number {number % 7}" for kind in KINDS for number in range(per_kind)
    }


def texts(new: list[str | None], known: dict[str, str | None] | None = None) -> tuple[ItemText, ItemText]:
    known = known_titles() if known is None else known
    new_titles = {f"new-{number}": title for number, title in enumerate(new)}
    both = item_text(catalogue(known | new_titles), [*sorted(known), *new_titles])
    return both.take(np.arange(len(known))), both.take(np.arange(len(known), len(both)))


def kind_vectors(per_kind: int = 20) -> np.ndarray:
    """Vectors of the sorted known items: one axis a kind, of all lengths."""
    axes = [sorted(KINDS).index(item_id.split("-")[0]) for item_id in sorted(known_titles(per_kind))]
    lengths = np.linspace(0.1, 2, len(axes))
    return (np.eye(3)[axes] * lengths[:, None]).astype(np.float32)


COUNTS = np.arange(1, 61)


def shopping() -> InteractionMatrix:
    """Thirty users, ten a kind; each touches half of its kind's items."""
    ids = sorted(known_titles())
    rng = np.random.default_rng(0)
    rows = []
    for user in range(30):
        mine = [item_id for item_id in ids if item_id.startswith(KINDS[user % 3])]
        rows += [(f"user-{user:02}", item_id, 1, 0) for item_id in rng.choice(mine, 10, replace=False)]
    return InteractionMatrix.from_interactions(events(rows))


def test_a_new_item_gets_the_direction_of_the_items_with_its_words():
    known, new = texts(["beer number 3", "soap"])
    found = cold_vectors(kind_vectors(), COUNTS, known, new, seed=0)
    assert found.argmax(axis=1).tolist() == [0, 1]


def test_a_new_item_is_no_longer_than_the_least_known_items_are():
    known, new = texts(["beer number 3"])
    vectors = kind_vectors()
    young = np.linalg.norm(vectors[:15], axis=1).mean()
    assert 0 < np.linalg.norm(cold_vectors(vectors, COUNTS, known, new, seed=0)) <= 1.05 * young


def test_an_item_without_a_known_word_is_zero():
    known, new = texts([None, "zzz"])
    assert not cold_vectors(kind_vectors(), COUNTS, known, new, seed=0).any()


def test_an_item_with_its_category_alone_gets_about_the_categorys_mean():
    ids = sorted(known_titles())
    rows = [(item_id, None, None, item_id.split("-")[0], None, None) for item_id in ids]
    frame = pl.DataFrame(
        [*rows, ("new", None, None, "tea", None, None)], schema=ITEM_CATALOGUE.polars_schema(), orient="row"
    )
    both = item_text(frame, [*ids, "new"])
    vectors = kind_vectors()
    found = cold_vectors(vectors, COUNTS, both.take(np.arange(60)), both.take(np.array([60])), seed=0)[0]
    mean = vectors[[item_id.startswith("tea") for item_id in ids]].mean(axis=0)
    assert found @ mean / np.linalg.norm(found) / np.linalg.norm(mean) > 0.95


def test_the_map_solves_the_normal_equations():
    known, _ = texts([])
    targets = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    firsts, place = _distinct(known)
    assert len(firsts) == 21
    dense = known.dense()
    solved = _ridge_path(known.take(firsts), torch.from_numpy(place), targets, (10.0, 1.0))
    for strength, found in zip((10.0, 1.0), solved, strict=True):
        gram = dense.T @ dense + strength * torch.eye(known.columns)
        torch.testing.assert_close(found, torch.linalg.solve(gram, dense.T @ targets), atol=1e-3, rtol=1e-3)


def test_the_same_seed_gives_the_same_bytes():
    known, new = texts(["beer number 3", "soap"])
    one, other = (cold_vectors(kind_vectors(), COUNTS, known, new, seed=1) for _ in range(2))
    assert one.tobytes() == other.tobytes()


def test_the_nearest_known_item_shares_most_words_and_has_most_users():
    known, new = texts(["tea number 5"], {"a": "tea number 5", "b": "tea number 5", "c": "beer number 5"})
    found, cosines = nearest_by_text(known, new, np.array([1, 7, 100]), neighbours=5)
    assert found.tolist() == [[1, 0, 2]]
    assert cosines[0, 0] == pytest.approx(1)


def test_items_with_nothing_in_common_are_no_neighbours():
    known, new = texts(["tea", None], {"a": "tea", "b": "beer"})
    found, cosines = nearest_by_text(known, new, np.array([1, 1]), neighbours=2)
    assert found.tolist() == [[0, NO_ITEM], [NO_ITEM, NO_ITEM]]
    assert cosines[1].tolist() == [0, 0]


def test_neighbours_are_those_of_the_dense_product_and_the_same_text_is_searched_once():
    known, new = texts(["tea number 2", "beer 4 number", "tea number 2"])
    found, cosines = nearest_by_text(known, new, np.ones(60, np.int64), neighbours=60)
    dense = (new.dense() @ known.dense().T).numpy()
    np.testing.assert_allclose(cosines, -np.sort(-dense, axis=1), atol=1e-5)
    assert found[0].tolist() == found[2].tolist()


def test_users_of_a_kind_prefer_its_new_items():
    matrix = shopping()
    trained = train(matrix, TrainingSettings(embedding_size=8))
    known, new = texts(["tea", "beer", "soap"])
    vectors = cold_vectors(trained.item_embeddings, np.bincount(matrix.item_nums), known, new, seed=0)
    best = (trained.user_embeddings @ vectors.T).argmax(axis=1)
    assert best.tolist() == [int(user_id[-2:]) % 3 for user_id in matrix.users]


@settings(deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.text(alphabet="ab ", max_size=6)), max_size=5),
    st.lists(st.one_of(st.none(), st.text(alphabet="ab ", max_size=6)), min_size=1, max_size=6),
    st.integers(0, 3),
)
def test_any_text_gives_finite_vectors(new, known, seed):
    known_text, new_text = texts(new, {f"item-{number}": title for number, title in enumerate(known)})
    vectors = np.random.default_rng(seed).normal(size=(len(known), 3)).astype(np.float32) * (seed > 0)
    found = cold_vectors(vectors, np.ones(len(known), np.int64), known_text, new_text, seed=seed)
    assert found.shape == (len(new), 3)
    assert np.isfinite(found).all()
