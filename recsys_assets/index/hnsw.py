"""The usearch HNSW graph over item vectors: how it is filled, saved, mapped and asked.

Two findings on factorised vectors, whose norms differ by orders of magnitude. With the inner product itself,
items are added from the shortest to the longest: added from the longest, or by number, recall@100 on the
embedded default is 0.70 to 0.73, added from the shortest 0.98. And one more dimension, sqrt(M² - |item|²),
turns the best product into the least distance (Bachrach et al. 2014, "Speeding Up the Xbox Recommender
System"), for which the graph is made: 0.99, but slower to fill.
"""

from pathlib import Path
from typing import Any

import numpy as np
from usearch.index import Index

from recsys_assets.errors import BrokenReleaseError
from recsys_assets.index.index_report import Metric, Trial
from recsys_assets.storage.arrays import NO_ITEM, Float32, Int32


class HnswGraph:
    """A usearch index of item vectors that names the items of about the greatest inner product."""

    def __init__(self, index: Any, *, metric: Metric) -> None:
        self._index = index
        self._metric = metric

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
    ) -> "HnswGraph":
        """Fill a graph; the key of an item is its row. One thread gives the same graph every time."""
        norms_I = np.linalg.norm(items_ID, axis=1)
        vectors = items_ID if metric == "ip" else _with_rest(items_ID, norms_I)
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
        return cls(index, metric=metric)

    @classmethod
    def view(cls, path: Path, trial: Trial, *, items: int, embedding_size: int) -> "HnswGraph":
        """Memory-map a saved graph and set what the file does not hold (`expansion_search`).

        Raises:
            BrokenReleaseError: the file is missing, cut short, or not as its report says.
        """
        width = embedding_size + (trial.metric == "l2sq")
        index = Index(ndim=width, metric=trial.metric, dtype=trial.dtype, enable_key_lookups=False)
        try:
            found = Index.metadata(str(path))
            if found is not None:
                index.view(str(path))
        except Exception as error:  # usearch raises whatever its reader meets
            raise BrokenReleaseError(f"{path}: no usearch index ({error}); build the index again") from error
        # `view` silently keeps the metric that the object was made with, so the file is asked
        expected = {"dimensions": width, "count_present": items, "kind_metric": index.metric_kind}
        if found is None or any(found[name] != value for name, value in expected.items()):
            raise BrokenReleaseError(f"{path}: expected {expected}, found {found}; build the index again")
        index.expansion_search = trial.expansion_search
        return cls(index, metric=trial.metric)

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

    def nearest(self, x_D: Float32, k: int) -> Int32:
        """The numbers of about the k best items, best first; fewer where fewer exist. One thread."""
        query = x_D if self._metric == "ip" else np.append(x_D, np.float32(0))
        nums: Int32 = self._index.search(query, k, threads=1).keys.astype(np.int32)
        return nums

    def nearest_many(self, x_ND: Float32, k: int, *, threads: int) -> Int32:
        """`nearest` for N vectors, (N, k), filled up with -1."""
        queries = x_ND if self._metric == "ip" else np.pad(x_ND, ((0, 0), (0, 1)))
        matches = self._index.search(queries, k, threads=threads)
        nums: Int32 = matches.keys.reshape(len(x_ND), k).astype(np.int64).astype(np.int32)
        nums[np.arange(k) >= np.asarray(matches.counts).reshape(-1, 1)] = NO_ITEM
        return nums


def _with_rest(items_ID: Float32, norms_I: Float32) -> Float32:
    squares_I = norms_I.astype(np.float64) ** 2
    return np.column_stack([items_ID, np.sqrt(squares_I.max(initial=0) - squares_I).astype(np.float32)])
