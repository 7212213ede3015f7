"""Searching a built index, memory-mapped. The API imports this: numpy, and usearch only where a graph is asked."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

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
    read_report,
)
from recsys_assets.storage.arrays import NO_ITEM, Float32, Int32, map_array

if TYPE_CHECKING:
    from recsys_assets.index.hnsw import HnswGraph

EMBEDDINGS_FILE: Final = "item_embeddings.npy"


class ItemIndex:
    """The items of greatest inner product with a vector, by whichever way the build found the fastest."""

    def __init__(self, folder: Path, report: IndexReport, item_embeddings: Float32 | None) -> None:
        """See `load`."""
        self.report = report
        self._folder = folder
        if report.kind == "exact":
            self._searcher: GraphSearch | NormOrdered = _ordered(folder, report)
            return
        items_ID = _map(folder / EMBEDDINGS_FILE) if item_embeddings is None else item_embeddings
        self._searcher = GraphSearch(self.graph, items_ID)

    @classmethod
    def load(cls, folder: Path, item_embeddings: Float32 | None = None) -> "ItemIndex":
        """Memory-map the index in `folder`, an index folder or a release.

        Args:
            folder: where `build_index` wrote, or a release.
            item_embeddings: (I, D), which a graph's finds are scored with; by default the ones in `folder`.

        Raises:
            BrokenReleaseError: a file is missing or not what the report says.
        """
        return cls(folder, read_report(folder), item_embeddings)

    @cached_property
    def graph(self) -> "HnswGraph":
        """The graph, opened when it is first asked for: an index that searches exactly serves without it.

        Raises:
            BrokenReleaseError: the file is missing or not what the report says.
        """
        from recsys_assets.index.hnsw import HnswGraph  # noqa: PLC0415  10 MB and more of libraries

        report = self.report
        return HnswGraph.view(
            self._folder / INDEX_FILE, report.graph, items=report.items, embedding_size=report.embedding_size
        )

    def __len__(self) -> int:
        return self.report.items

    def search(self, x_D: Float32, k: int) -> tuple[Int32, Float32]:
        """About the min(k, I) best items for `x_D` (D,), float32: numbers and inner products, descending.

        One thread; products are exact, whichever items are found.
        """
        return self._searcher.search(x_D, k)

    def search_many(self, x_ND: Float32, k: int, *, threads: int = 0) -> tuple[Int32, Float32]:
        """`search` for N vectors: (N, k) numbers and products, -1 and -inf at the end of short lists.

        `threads` 0 is one a core.
        """
        if isinstance(self._searcher, NormOrdered):
            top = top_products(x_ND, self._searcher, k, left_out=Pairs.none())
            return top.nums, top.scores
        return self._searcher.search_many(x_ND, k, threads=threads)


class GraphSearch:
    """A graph that finds, and the vectors that the finds are scored with."""

    def __init__(self, graph: "HnswGraph", items_ID: Float32) -> None:
        self._graph = graph
        self._items_ID = items_ID

    def search(self, x_D: Float32, k: int) -> tuple[Int32, Float32]:
        """Find and score: numbers and inner products, descending."""
        nums = self._graph.nearest(x_D, k)
        scores = self._items_ID[nums] @ x_D
        order = np.argsort(-scores, kind="stable")
        return nums[order], scores[order]

    def search_many(self, x_ND: Float32, k: int, *, threads: int) -> tuple[Int32, Float32]:
        """`search` for N vectors, (N, k)."""
        nums = self._graph.nearest_many(x_ND, k, threads=threads)
        scores = np.einsum("nkd,nd->nk", self._items_ID[nums], x_ND)
        scores[nums == NO_ITEM] = -np.inf
        order = np.argsort(-scores, axis=1, kind="stable")
        return np.take_along_axis(nums, order, axis=1), np.take_along_axis(scores, order, axis=1)


def _ordered(folder: Path, report: IndexReport) -> NormOrdered:
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
    except (OSError, ValueError) as error:
        raise BrokenReleaseError(f"{path}: cannot be mapped ({error}); build the index again") from error
