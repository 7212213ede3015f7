"""The index report: every search measured and the one chosen. It is `item_index.json`, and in the manifest."""

import json
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from recsys_assets.errors import BrokenReleaseError

INDEX_FILE: Final = "item_index.usearch"
REPORT_FILE: Final = "item_index.json"
VECTORS_FILE: Final = "item_index.vectors.npy"
ORDER_FILE: Final = "item_index.order.npy"
NORMS_FILE: Final = "item_index.norms.npy"

Kind = Literal["exact", "usearch"]
Metric = Literal["ip", "l2sq"]


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """Measurement of one search method."""

    kind: Kind
    """`exact` scores every item that may be among the best; `usearch` is the HNSW graph."""
    metric: Metric = "ip"
    """`ip` is the inner product; `l2sq` the squared distance after one added dimension, with the same order."""
    dtype: str = "f32"
    """Storage type of the vectors: `f32`, `f16` or `i8`."""
    connectivity: int = 0
    """Neighbours of a node in the graph."""
    expansion_add: int = 0
    """Nodes visited when one is added."""
    expansion_search: int = 0
    """Nodes visited by a search."""
    recall: float
    """Share of the true best k items that are found, 0-1."""
    query_us: float
    """Median time of a search by one thread, microseconds."""
    build_seconds: float
    """Time to build it, seconds."""
    items: int
    """Items that it was measured on."""


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """The search by a graph of all items, foreseen from graphs of two samples."""

    samples: list[Trial]
    """The best graph of the smaller sample, and of the larger one; both the same where the smaller one decided."""
    query_us: float
    """Least time of a search, microseconds."""
    expansion_search: float
    """Nodes that a search visits for the recall target."""
    recall: float
    """Recall on the larger sample, 0-1; on all items it is hardly higher."""
    build_seconds: float = 0.0
    """Time to build it; 0 in reports of earlier versions."""


class IndexReport(msgspec.Struct, frozen=True, kw_only=True):
    """Search methods measured on one set of embeddings, and the one chosen."""

    chosen: Trial
    """Method of `ItemIndex.search`, measured on all items."""
    graph: Trial | None = None
    """The graph of all items, equal to `chosen` unless the exact search is faster; None where that was foreseen."""
    grid: list[Trial]
    """All measurements, in order."""
    forecast: Forecast | None = None
    """The graph foreseen; None of so few items that none is tried, and in reports of earlier versions."""
    k: int
    """Length of the lists compared."""
    queries: int
    """Searches behind each figure."""
    recall_target: float
    """Recall@k that the chosen method should reach, 0-1."""
    items: int
    """Items in the index."""
    embedding_size: int
    """Width of a vector."""
    threads: int
    """Threads of the build; a search uses one."""
    usearch_version: str
    """Version of the library that built the graphs."""
    seconds: float
    """Time of the whole build with its measurements, seconds."""

    @property
    def recall(self) -> float:
        """Recall@k of the chosen method, 0-1."""
        return self.chosen.recall

    @property
    def kind(self) -> Kind:
        """Kind of the chosen method."""
        return self.chosen.kind

    @property
    def why(self) -> str:
        """The reason of the choice, foreseen or measured, with its figures."""
        exact = next(trial for trial in self.grid if trial.kind == "exact")
        said = f"exact search takes {exact.query_us:,.0f} µs on {self.items:,} items"
        if self.graph is not None:
            graph = self.graph
            return (
                f"measured: {said}; the graph built takes {graph.query_us:,.0f} µs at recall {graph.recall:.4f}"
                f" (target {self.recall_target:g})"
            )
        if self.forecast is None:
            return said
        seen = self.forecast
        by_sample = "; ".join(
            f"{trial.query_us:,.0f} µs at recall {trial.recall:.4f} on {trial.items:,} items, visiting"
            f" {trial.expansion_search} nodes"
            for trial in dict.fromkeys(seen.samples)
        )
        return (
            f"foreseen: {said}; a graph would take {seen.query_us:,.0f} µs or more and visit about"
            f" {seen.expansion_search:,.0f} nodes, for it takes {by_sample}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for metadata and manifest."""
        return {**msgspec.to_builtins(self), "recall": self.recall, "kind": self.kind, "why": self.why}


def write_report(folder: Path, report: IndexReport) -> None:
    """Write `item_index.json`."""
    text = json.dumps(msgspec.to_builtins(report), indent=1)
    (folder / REPORT_FILE).write_text(text + "\n", encoding="utf-8")


def read_report(folder: Path) -> IndexReport:
    """Read `item_index.json`.

    Raises:
        BrokenReleaseError: the file is missing or not a report.
    """
    path = folder / REPORT_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=IndexReport)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BrokenReleaseError(
            f"{path}: not a readable index report ({error}); build the index again"
        ) from error
