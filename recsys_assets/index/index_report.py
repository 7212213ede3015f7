"""What the index build found and chose, kept as `item_index.json` beside the index and in the manifest."""

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
    """One way of searching, measured."""

    kind: Kind
    """`exact`: every item that could be among the best is scored; `usearch`: the HNSW graph."""
    metric: Metric = "ip"
    """`ip`: the inner product itself; `l2sq`: squared distance after one added dimension, ordering alike."""
    dtype: str = "f32"
    """How the vectors are stored."""
    connectivity: int = 0
    """Neighbours of a node in the graph."""
    expansion_add: int = 0
    """Nodes looked at when one is added."""
    expansion_search: int = 0
    """Nodes looked at by a search."""
    recall: float
    """Share of the true best k that is found, 0-1."""
    query_us: float
    """Median time of a search by one thread, microseconds."""
    build_seconds: float
    """Time to build it."""
    items: int
    """How many items it was measured on."""


class IndexReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was tried on these embeddings, what was taken, and how good that is."""

    chosen: Trial
    """What `search` does, measured on all items."""
    graph: Trial
    """The usearch file, measured on all items; the same as `chosen` unless the exact search is faster."""
    grid: list[Trial]
    """Everything that was measured, in order."""
    k: int
    """Length of the lists compared."""
    queries: int
    """How many searches a figure rests on."""
    recall_target: float
    """What the chosen one should reach."""
    items: int
    """Items in the index."""
    embedding_size: int
    """Width of a vector."""
    threads: int
    """Threads that built it; a search uses one."""
    usearch_version: str
    """The library that wrote the file."""
    seconds: float
    """Time of the whole build, grid included."""

    @property
    def recall(self) -> float:
        """Recall@k of the chosen one."""
        return self.chosen.recall

    @property
    def kind(self) -> Kind:
        """What answers a search."""
        return self.chosen.kind

    def as_dict(self) -> dict[str, Any]:
        """Plain values for metadata and manifest."""
        return {**msgspec.to_builtins(self), "recall": self.recall, "kind": self.kind}


def write_report(folder: Path, report: IndexReport) -> None:
    """Write `item_index.json`."""
    text = json.dumps(msgspec.to_builtins(report), indent=1)
    (folder / REPORT_FILE).write_text(text + "\n", encoding="utf-8")


def read_report(folder: Path) -> IndexReport:
    """Read `item_index.json`.

    Raises:
        BrokenReleaseError: it is missing or not what `write_report` writes.
    """
    path = folder / REPORT_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=IndexReport)
    except (OSError, msgspec.DecodeError, msgspec.ValidationError) as error:
        raise BrokenReleaseError(
            f"{path}: not a readable index report ({error}); build the index again"
        ) from error
