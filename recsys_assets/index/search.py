"""Searching a built index, memory-mapped. The API imports this: numpy and usearch only."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys_assets.errors import BrokenReleaseError
from recsys_assets.index.exact import NormOrdered
from recsys_assets.index.graph import Graph
from recsys_assets.index.report import INDEX_FILE, ORDER_FILE, VECTORS_FILE, IndexReport, Trial, read_report

Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]


class ItemIndex:
    """The items of greatest inner product with a vector, as fast as the build found possible."""

    def __init__(self, report: IndexReport, *, graph: Graph, ordered: NormOrdered | None) -> None:
        """`ordered` is there where the build chose the exact search."""
        self.report = report
        self._graph = graph
        self._ordered = ordered

    @classmethod
    def load(cls, folder: Path) -> "ItemIndex":
        """Memory-map the index in `folder` (an index folder or a release).

        Raises:
            BrokenReleaseError: a file is missing or not what the report says.
        """
        report = read_report(folder)
        used = report.chosen if report.kind == "usearch" else _graph_trial(report)
        graph = Graph.view(
            folder / INDEX_FILE,
            used,
            items=report.items,
            embedding_size=report.embedding_size,
            largest_norm=report.largest_norm,
        )
        return cls(report, graph=graph, ordered=_ordered(folder, report) if report.kind == "exact" else None)

    def __len__(self) -> int:
        return self.report.items

    def search(self, x_D: Float32, k: int) -> tuple[Int32, Float32]:
        """The about min(k, I) best items for `x_D` (D,), float32: numbers and inner products, descending."""
        return self._graph.search(x_D, k) if self._ordered is None else self._ordered.search(x_D, k)

    @property
    def graph(self) -> Graph:
        """The usearch graph, which is there whichever way `search` goes."""
        return self._graph


def _graph_trial(report: IndexReport) -> Trial:
    full = [trial for trial in report.grid if trial.kind == "usearch" and trial.items == report.items]
    return max(full, key=lambda trial: trial.recall)


def _ordered(folder: Path, report: IndexReport) -> NormOrdered:
    vectors_ID, order_I = (_map(folder / name) for name in (VECTORS_FILE, ORDER_FILE))
    if vectors_ID.shape != (report.items, report.embedding_size) or order_I.shape != (report.items,):
        raise BrokenReleaseError(
            f"{folder / VECTORS_FILE}: {vectors_ID.shape} vectors and {order_I.shape} numbers, reported"
            f" {(report.items, report.embedding_size)}; build the index again"
        )
    return NormOrdered(
        vectors_ID=vectors_ID, order_I=order_I, negative_norms_I=-np.linalg.norm(vectors_ID, axis=1)
    )


def _map(path: Path) -> npt.NDArray[Any]:
    try:
        mapped: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
    except (OSError, ValueError) as error:
        raise BrokenReleaseError(f"{path}: cannot be mapped ({error}); build the index again") from error
    return mapped
