"""Building the item index: a small grid measured on the real embeddings, the fastest good one taken."""

import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import usearch

from recsys_assets.errors import TrainingDataError
from recsys_assets.index.exact import NormOrdered
from recsys_assets.index.graph import Graph
from recsys_assets.index.measure import Measurement, measure
from recsys_assets.index.report import (
    INDEX_FILE,
    ORDER_FILE,
    VECTORS_FILE,
    IndexReport,
    Metric,
    Trial,
    write_report,
)
from recsys_assets.settings import IndexSettings

Float32 = npt.NDArray[np.float32]

K = 100
"""Length of the lists that recall is measured on."""
QUERIES = 200
"""Searches a figure rests on."""
SAMPLE = 6_000
"""Items that the grid is tried on; the best of it is then built on all."""
GRID: tuple[tuple[Metric, str, int], ...] = (
    ("l2sq", "f32", 16),
    ("l2sq", "f32", 32),
    ("l2sq", "f16", 16),
    ("l2sq", "f16", 32),
    ("l2sq", "i8", 32),
    ("ip", "f32", 32),
    ("ip", "f16", 32),
)
"""Metric, storage type and connectivity of each graph tried."""
EXPANSION_ADD = 128
WORTHWHILE = 0.0005
"""Recall that the next expansion has to bring, else it and all after it are not tried."""
EXPANSIONS = (64, 100, 150, 200, 300, 450, 700, 1000)
"""`expansion_search` values, tried until the recall is reached."""


def build_index(
    item_embeddings: Float32,
    folder: Path,
    settings: IndexSettings,
    *,
    seed: int = 0,
    queries: Float32 | None = None,
) -> IndexReport:
    """Build the index of all items into `folder` and say how good it is.

    The usearch file is always written. Where the exact search is the faster one at the recall asked for, its
    arrays are written too and `ItemIndex` uses them.

    Args:
        item_embeddings: (I, D) float32.
        folder: where to; made if missing, files of an earlier index there are replaced.
        settings: recall target and threads.
        seed: of the samples of items and queries.
        queries: vectors that will be asked with, e.g. user embeddings, (N, D); items where there are none.

    Raises:
        TrainingDataError: no item, or a value that is not finite.
    """
    started = time.perf_counter()
    items_ID = np.ascontiguousarray(item_embeddings, dtype=np.float32)
    if not len(items_ID) or not np.isfinite(items_ID).all():
        raise TrainingDataError(
            f"item embeddings {items_ID.shape}: expected at least one row and finite values; train again"
        )
    rng = np.random.default_rng(seed)
    asked_QD = _sample(items_ID if queries is None or not len(queries) else queries, QUERIES, rng)
    grid = _grid(_sample(items_ID, SAMPLE, rng), asked_QD, settings)
    graph, graph_trial, full_trials = _best_graph(items_ID, asked_QD, grid, settings)
    ordered = NormOrdered.of(items_ID)
    exact_trial = _exact_trial(measure(ordered.search, items_ID, asked_QD, k=K), items=len(items_ID))
    good = graph_trial.recall >= settings.recall_target
    chosen = graph_trial if good and graph_trial.query_us < exact_trial.query_us else exact_trial
    report = IndexReport(
        chosen=chosen,
        grid=[*grid, *full_trials, exact_trial],
        k=K,
        queries=len(asked_QD),
        recall_target=settings.recall_target,
        items=len(items_ID),
        embedding_size=items_ID.shape[1],
        threads=settings.threads,
        largest_norm=float(-ordered.negative_norms_I[0]),
        usearch_version=usearch.__version__,
        seconds=time.perf_counter() - started,
    )
    folder.mkdir(parents=True, exist_ok=True)
    graph.save(folder / INDEX_FILE)
    if chosen.kind == "exact":
        np.save(folder / VECTORS_FILE, ordered.vectors_ID, allow_pickle=False)
        np.save(folder / ORDER_FILE, ordered.order_I, allow_pickle=False)
    write_report(folder, report)
    return report


def _grid(items_ID: Float32, asked_QD: Float32, settings: IndexSettings) -> list[Trial]:
    """Every graph of GRID on a sample of the items, each with the least expansion that reaches the target."""
    found = []
    for metric, dtype, connectivity in GRID:
        _, trials = _build_and_widen(items_ID, asked_QD, (metric, dtype, connectivity), settings)
        found.append(trials[-1])
    return found


def _best_graph(
    items_ID: Float32, asked_QD: Float32, grid: list[Trial], settings: IndexSettings
) -> tuple[Graph, Trial, list[Trial]]:
    """The grid's fastest good setting built on all items; the next one where it misses the target there."""
    good_first = sorted(grid, key=lambda trial: (trial.recall < settings.recall_target, trial.query_us))
    measured: list[tuple[Graph, Trial]] = []
    trials: list[Trial] = []
    for setting in good_first[:2]:
        graph, found = _build_and_widen(
            items_ID, asked_QD, (setting.metric, setting.dtype, setting.connectivity), settings
        )
        trials += found
        measured.append((graph, found[-1]))
        if found[-1].recall >= settings.recall_target:
            break
    graph, trial = max(measured, key=lambda pair: pair[1].recall)
    return graph, trial, trials


def _build_and_widen(
    items_ID: Float32, asked_QD: Float32, setting: tuple[Metric, str, int], settings: IndexSettings
) -> tuple[Graph, list[Trial]]:
    """A graph, and its measurements with growing `expansion_search`, the last of which is the one to use."""
    metric, dtype, connectivity = setting
    started = time.perf_counter()
    graph = Graph.build(
        items_ID,
        metric=metric,
        dtype=dtype,
        connectivity=connectivity,
        expansion_add=EXPANSION_ADD,
        threads=settings.threads,
    )
    build_seconds = time.perf_counter() - started
    trials: list[Trial] = []
    for expansion in EXPANSIONS:
        graph.expansion_search = expansion
        found = measure(graph.search, items_ID, asked_QD, k=K)
        trials.append(
            Trial(
                kind="usearch",
                metric=metric,
                dtype=dtype,
                connectivity=connectivity,
                expansion_add=EXPANSION_ADD,
                expansion_search=expansion,
                build_seconds=build_seconds,
                items=len(items_ID),
                recall=found.recall,
                query_us=found.query_us,
            )
        )
        gain = trials[-1].recall - trials[-2].recall if len(trials) > 1 else 1.0
        if trials[-1].recall >= settings.recall_target or (expansion >= K and gain < WORTHWHILE):
            break
    return graph, trials


def _exact_trial(found: Measurement, *, items: int) -> Trial:
    return Trial(kind="exact", build_seconds=0.0, items=items, recall=found.recall, query_us=found.query_us)


def _sample(rows: Float32, most: int, rng: np.random.Generator) -> Float32:
    if len(rows) <= most:
        return np.ascontiguousarray(rows, dtype=np.float32)
    return np.ascontiguousarray(rows[np.sort(rng.choice(len(rows), most, replace=False))], dtype=np.float32)
