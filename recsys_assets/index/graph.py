"""The usearch HNSW graph over item vectors: how it is filled, saved, mapped and asked.

Two findings on factorised vectors, whose norms differ by orders of magnitude: with the inner product itself,
items are added from the shortest to the longest (added in another order, recall@100 on the embedded default
is 0.70 to 0.73 instead of 0.98, since short vectors get no way in and long ones no way out); and one more
dimension, sqrt(M² - |item|²), turns the best product into the least distance (Bachrach et al. 2014,
"Speeding Up the Xbox Recommender System"), for which the graph is made.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from usearch.index import Index

from recsys_assets.errors import BrokenReleaseError
from recsys_assets.index.report import Metric, Trial

Float32 = npt.NDArray[np.float32]


class Graph:
    """A usearch index of item vectors that answers with inner products."""

    def __init__(self, index: Any, *, metric: Metric, largest_norm: float) -> None:
        """`largest_norm` is M of the module's docstring."""
        self._index = index
        self._metric = metric
        self._square = largest_norm**2

    @classmethod
    def build(
        cls,
        items_ID: Float32,
        *,
        metric: Metric,
        dtype: str,
        connectivity: int,
        expansion_add: int,
        threads: int,
    ) -> "Graph":
        """Fill a graph; the key of an item is its row. One thread gives the same graph every time."""
        norms_I = np.linalg.norm(items_ID, axis=1)
        largest = float(norms_I.max(initial=0.0))
        vectors = items_ID if metric == "ip" else _with_rest(items_ID, norms_I, largest)
        order = np.argsort(norms_I if metric == "ip" else -norms_I, kind="stable")
        index = Index(
            ndim=vectors.shape[1],
            metric=metric,
            dtype=dtype,
            connectivity=connectivity,
            expansion_add=expansion_add,
            enable_key_lookups=False,
        )
        index.add(
            order.astype(np.uint64), np.ascontiguousarray(vectors[order], dtype=np.float32), threads=threads
        )
        return cls(index, metric=metric, largest_norm=largest)

    @classmethod
    def view(
        cls, path: Path, trial: Trial, *, items: int, embedding_size: int, largest_norm: float
    ) -> "Graph":
        """Memory-map a saved graph and set what the file does not hold (`expansion_search`).

        Raises:
            BrokenReleaseError: the file is missing, cut short, or of another shape than its report says.
        """
        width = embedding_size + (trial.metric == "l2sq")
        try:
            found = Index.metadata(str(path))
        except Exception as error:
            raise BrokenReleaseError(
                f"{path}: not a usearch index ({error}); build the index again"
            ) from error
        if found is None or (found["dimensions"], found["count_present"]) != (width, items):
            raise BrokenReleaseError(
                f"{path}: expected {items} vectors of width {width}, found {found}; build the index again"
            )
        index = Index(ndim=width, metric=trial.metric, dtype=trial.dtype, enable_key_lookups=False)
        try:
            index.view(str(path))
        except RuntimeError as error:
            raise BrokenReleaseError(f"{path}: cannot be mapped ({error}); build the index again") from error
        index.expansion_search = trial.expansion_search
        return cls(index, metric=trial.metric, largest_norm=largest_norm)

    def save(self, path: Path) -> None:
        """Write the graph to a new file."""
        self._index.save(str(path))

    @property
    def expansion_search(self) -> int:
        """Nodes looked at by a search; recall grows with it, and time."""
        return int(self._index.expansion_search)

    @expansion_search.setter
    def expansion_search(self, value: int) -> None:
        self._index.expansion_search = value

    def search(self, x_D: Float32, k: int) -> tuple[npt.NDArray[np.int32], Float32]:
        """About the k items of greatest inner product and the products, descending; fewer if fewer exist."""
        query = x_D if self._metric == "ip" else np.append(x_D, np.float32(0))
        matches = self._index.search(query, k, threads=1)
        return matches.keys.astype(np.int32), self._scores(matches.distances, float(x_D @ x_D))

    def search_many(self, x_ND: Float32, k: int, *, threads: int) -> tuple[npt.NDArray[np.int32], Float32]:
        """`search` for N queries: (N, k) item numbers and products; -1 and -inf at the end of short ones."""
        queries = x_ND if self._metric == "ip" else np.pad(x_ND, ((0, 0), (0, 1)))
        matches = self._index.search(queries, k, threads=threads)
        missing = np.arange(k) >= np.asarray(matches.counts).reshape(-1, 1)
        squares = np.einsum("nd,nd->n", x_ND, x_ND)[:, None]
        nums = np.where(missing, -1, matches.keys.reshape(len(x_ND), k).astype(np.int64)).astype(np.int32)
        scores = self._scores(matches.distances.reshape(len(x_ND), k), squares)
        return nums, np.where(missing, -np.inf, scores).astype(np.float32)

    def _scores(self, distances: Float32, squares: Any) -> Float32:
        if self._metric == "ip":
            return 1 - distances
        scores: Float32 = ((self._square + squares - distances) / 2).astype(np.float32)
        return scores


def _with_rest(items_ID: Float32, norms_I: Float32, largest: float) -> Float32:
    rest_I = np.sqrt(np.maximum(largest**2 - norms_I.astype(np.float64) ** 2, 0))
    return np.column_stack([items_ID, rest_I.astype(np.float32)])
