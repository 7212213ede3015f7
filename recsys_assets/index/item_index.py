"""Search of the built item index, memory-mapped: exactly, or by a usearch HNSW graph.

The API imports this module: numpy only, and usearch where a graph is used.

Two findings about factorised vectors, whose norms differ by orders of magnitude, shape the graph. With the inner
product as metric, items are added from the shortest to the longest: recall@100 on the embedded default is then
0.98, against 0.70 to 0.73 in descending or numerical order. And one more dimension, sqrt(M² - |item|²), turns
the greatest product into the least distance (Bachrach et al. 2014, "Speeding Up the Xbox Recommender System"),
the metric that HNSW is made for: recall 0.99, but slower to fill.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from recsys_assets.errors import BrokenReleaseError
from recsys_assets.index.exact_search import NormOrdered, Pairs, top_products
from recsys_assets.index.index_report import (
    INDEX_FILE,
    NORMS_FILE,
    ORDER_FILE,
    VECTORS_FILE,
    IndexReport,
    Metric,
    Trial,
    read_report,
)
from recsys_assets.storage.arrays import NO_ITEM, Float32, Int32, map_array

_EMBEDDINGS_FILE: Final = "item_embeddings.npy"


class ItemIndex:
    """Search for the items of greatest inner product, by the method that the build found fastest."""

    def __init__(self, folder: Path, report: IndexReport, item_embeddings: Float32 | None) -> None:
        """Open the files that the report names; arguments as in `load`."""
        self.report = report
        if report.kind == "exact":
            self._searcher: GraphSearch | NormOrdered = _map_ordered(folder, report)
            return
        items_ID = _map(folder / _EMBEDDINGS_FILE) if item_embeddings is None else item_embeddings
        size = {"items": report.items, "embedding_size": report.embedding_size}
        self._searcher = GraphSearch(HnswGraph.view(folder / INDEX_FILE, report.chosen, **size), items_ID)

    @classmethod
    def load(cls, folder: Path, item_embeddings: Float32 | None = None) -> "ItemIndex":
        """Memory-map the index in `folder`.

        Args:
            folder: an index artifact, or a release.
            item_embeddings: (I, D) float32, for the scores of a graph's results; None reads them from `folder`.

        Raises:
            BrokenReleaseError: a file is missing or differs from the report.
        """
        return cls(folder, read_report(folder), item_embeddings)

    def __len__(self) -> int:
        return self.report.items

    def search(self, x_D: Float32, k: int) -> tuple[Int32, Float32]:
        """Find about the min(k, I) best items for one vector; uses one thread.

        Args:
            x_D: (D,) float32.
            k: length of the list.

        Returns:
            Item numbers and their exact inner products, descending. A graph may miss some of the best items.
        """
        return self._searcher.search(x_D, k)

    def search_many(self, x_ND: Float32, k: int, *, threads: int = 0) -> tuple[Int32, Float32]:
        """Search for N vectors.

        Args:
            x_ND: (N, D) float32.
            k: length of the lists.
            threads: threads of a graph search; 0 is one a core.

        Returns:
            Item numbers and inner products, (N, k) each, descending; a short list ends with -1 and -inf.
        """
        if isinstance(self._searcher, NormOrdered):
            top = top_products(x_ND, self._searcher, k, left_out=Pairs.none())
            return top.nums, top.scores
        return self._searcher.search_many(x_ND, k, threads=threads)


class HnswGraph:
    """A usearch index that finds items of about the greatest inner product."""

    def __init__(self, index: Any, *, metric: Metric) -> None:
        """Wrap a filled `usearch.index.Index` whose keys are item numbers."""
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
        """Fill a graph with item vectors, (I, D) float32; with one thread the result is reproducible.

        The other arguments are those of `usearch.index.Index`, as in `Trial`.
        """
        norms_I = np.linalg.norm(items_ID, axis=1)
        vectors = items_ID if metric == "ip" else _with_rest(items_ID, norms_I)
        order = np.argsort(norms_I if metric == "ip" else -norms_I, kind="stable")
        index = _empty_index(
            vectors.shape[1],
            metric=metric,
            dtype=dtype,
            connectivity=connectivity,
            expansion_add=expansion_add,
        )
        index.add(
            order.astype(np.uint64), np.ascontiguousarray(vectors[order], dtype=np.float32), threads=threads
        )
        return cls(index, metric=metric)

    @classmethod
    def view(cls, path: Path, trial: Trial, *, items: int, embedding_size: int) -> "HnswGraph":
        """Memory-map a saved graph, and set `expansion_search`, which the file doesn't hold.

        Raises:
            BrokenReleaseError: the file is missing, cut short, or differs from its report.
        """
        width = embedding_size + (trial.metric == "l2sq")
        index = _empty_index(width, metric=trial.metric, dtype=trial.dtype)
        try:
            found = index.metadata(str(path))
            if found is not None:
                index.view(str(path))
        except Exception as error:  # usearch raises many types
            raise BrokenReleaseError(f"{path}: no usearch index ({error}); build the index again") from error
        # `view` silently keeps the metric of the new object, so the metadata of the file are compared
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
        """Nodes visited by a search; recall and time grow with it."""
        return int(self._index.expansion_search)

    @expansion_search.setter
    def expansion_search(self, value: int) -> None:
        self._index.expansion_search = value

    def nearest(self, x_D: Float32, k: int) -> Int32:
        """Return the numbers of about the min(k, I) best items for (D,), best first; uses one thread."""
        query = x_D if self._metric == "ip" else np.append(x_D, np.float32(0))
        nums: Int32 = self._index.search(query, k, threads=1).keys.astype(np.int32)
        return nums

    def nearest_many(self, x_ND: Float32, k: int, *, threads: int) -> Int32:
        """Return `nearest` for N vectors, (N, k); a short list ends with -1."""
        queries = x_ND if self._metric == "ip" else np.pad(x_ND, ((0, 0), (0, 1)))
        matches = self._index.search(queries, k, threads=threads)
        nums: Int32 = matches.keys.reshape(len(x_ND), k).astype(np.int64).astype(np.int32)
        nums[np.arange(k) >= np.asarray(matches.counts).reshape(-1, 1)] = NO_ITEM
        return nums


class GraphSearch:
    """A graph that finds items, and the vectors that give them their exact scores."""

    def __init__(self, graph: HnswGraph, items_ID: Float32) -> None:
        """Take a graph and the (I, D) vectors of the same items."""
        self._graph = graph
        self._items_ID = items_ID

    def search(self, x_D: Float32, k: int) -> tuple[Int32, Float32]:
        """Return numbers and inner products for one vector, as `ItemIndex.search` does."""
        nums = self._graph.nearest(x_D, k)
        scores = self._items_ID[nums] @ x_D
        order = np.argsort(-scores, kind="stable")
        return nums[order], scores[order]

    def search_many(self, x_ND: Float32, k: int, *, threads: int) -> tuple[Int32, Float32]:
        """Return numbers and inner products for N vectors, as `ItemIndex.search_many` does."""
        nums = self._graph.nearest_many(x_ND, k, threads=threads)
        scores = np.einsum("nkd,nd->nk", self._items_ID[nums], x_ND)
        scores[nums == NO_ITEM] = -np.inf
        order = np.argsort(-scores, axis=1, kind="stable")
        return np.take_along_axis(nums, order, axis=1), np.take_along_axis(scores, order, axis=1)


def _empty_index(width: int, *, metric: Metric, dtype: str, **options: int) -> Any:
    from usearch.index import Index  # noqa: PLC0415  10 MB and more, which an exact search doesn't need

    return Index(ndim=width, metric=metric, dtype=dtype, enable_key_lookups=False, **options)


def _with_rest(items_ID: Float32, norms_I: Float32) -> Float32:
    squares_I = norms_I.astype(np.float64) ** 2
    return np.column_stack([items_ID, np.sqrt(squares_I.max(initial=0) - squares_I).astype(np.float32)])


def _map_ordered(folder: Path, report: IndexReport) -> NormOrdered:
    vectors_ID, order_I, norms_I = (_map(folder / name) for name in (VECTORS_FILE, ORDER_FILE, NORMS_FILE))
    shapes = (vectors_ID.shape, order_I.shape, norms_I.shape)
    expected = ((report.items, report.embedding_size), (report.items,), (report.items,))
    if shapes != expected:
        raise BrokenReleaseError(
            f"{folder / VECTORS_FILE} and its order and norms: shapes {shapes}, expected"
            f" {expected}; build the index again"
        )
    return NormOrdered(vectors_ID=vectors_ID, order_I=order_I, negative_norms_I=norms_I)


def _map(path: Path) -> npt.NDArray[Any]:
    try:
        return map_array(path)
    except (OSError, ValueError, EOFError) as error:
        raise BrokenReleaseError(f"{path}: cannot be mapped ({error}); build the index again") from error
