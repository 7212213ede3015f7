"""Choice of the search method, exact or by a graph: foreseen from samples where that is clear, else measured."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import polars as pl
import usearch
from threadpoolctl import threadpool_limits

from recsys_assets.errors import TrainingDataError
from recsys_assets.index.exact_search import NormOrdered
from recsys_assets.index.forecast import exact_wins
from recsys_assets.index.graph_trials import (
    FEW_ITEMS,
    LIST_LENGTH,
    SAMPLE,
    best_graph,
    fewer,
    foresee_graph,
    sampled_rows,
)
from recsys_assets.index.index_report import (
    INDEX_FILE,
    NORMS_FILE,
    ORDER_FILE,
    VECTORS_FILE,
    Forecast,
    IndexReport,
    Trial,
    write_report,
)
from recsys_assets.index.item_index import HnswGraph
from recsys_assets.index.measurement import ExactAnswers, Measurement, measure
from recsys_assets.quality.expectations import CheckResult, expect
from recsys_assets.quality.run_expectations import evaluate
from recsys_assets.settings import IndexSettings
from recsys_assets.storage.arrays import Float32

_QUERIES: Final = 200
"""Searches behind each figure."""
_MARGIN: Final = 0.9
"""A graph is chosen if its search takes less than this share of the exact search's time."""


def choose_index(
    item_embeddings: Float32,
    folder: Path,
    settings: IndexSettings,
    *,
    seed: int = 0,
    queries: Float32 | None = None,
) -> IndexReport:
    """Write the fastest search that reaches the recall target into `folder`, and report how it was chosen.

    Exact search is measured on all items, and graphs on samples of them, where they are more than `FEW_ITEMS`. Where
    these foresee that no graph wins, none is built. Otherwise the best of a grid is built on all items and measured
    beside the exact search. Only the chosen search's files are written: the arrays of the exact search, or the usearch
    file.

    Args:
        item_embeddings: (I, D) float32.
        folder: the folder to write to; created if missing. Files of an earlier index are replaced.
        settings: recall target and threads.
        seed: seed of the samples of items and queries.
        queries: (N, D) vectors like those of later searches, e.g. user embeddings; None takes the items.

    Raises:
        TrainingDataError: there is no item, or a value is not finite.
    """
    started = time.perf_counter()
    items_ID = np.ascontiguousarray(item_embeddings, dtype=np.float32)
    if not len(items_ID) or not np.isfinite(items_ID).all():
        raise TrainingDataError(
            f"item embeddings {items_ID.shape}: expected at least one row and finite values; train again"
        )
    rng = np.random.default_rng(seed)
    queries_QD = sampled_rows(items_ID if queries is None or not len(queries) else queries, _QUERIES, rng)
    with threadpool_limits(limits=1, user_api="blas"):  # a search is timed on one thread
        truth = ExactAnswers.of(items_ID, queries_QD, k=LIST_LENGTH)
        ordered = NormOrdered.of(items_ID)
        exact = _exact_trial(measure(ordered.search, truth), items=len(items_ID))
        tried = _Tried() if len(items_ID) <= FEW_ITEMS else _try_graphs(truth, settings, exact, rng)
        chosen, built = exact, tried.built
        if built is not None and built.recall >= settings.recall_target:
            chosen = built if built.query_us < _MARGIN * exact.query_us else exact
    report = IndexReport(
        chosen=chosen,
        graph=built,
        grid=[*tried.trials, exact],
        forecast=tried.forecast,
        k=truth.k,
        queries=len(queries_QD),
        recall_target=settings.recall_target,
        items=len(items_ID),
        embedding_size=items_ID.shape[1],
        threads=settings.threads,
        usearch_version=usearch.__version__,
        seconds=time.perf_counter() - started,
    )
    write_search(folder, None if chosen is exact else tried.graph, ordered, report)
    return report


class _Tried(NamedTuple):
    """Graphs that were tried beside an exact search."""

    trials: Sequence[Trial] = ()
    forecast: Forecast | None = None
    graph: HnswGraph | None = None
    """The graph of all items, where it was not foreseen to lose."""
    built: Trial | None = None
    """Its measurement."""


def _try_graphs(
    truth: ExactAnswers, settings: IndexSettings, exact: Trial, rng: np.random.Generator
) -> _Tried:
    sample = fewer(truth, SAMPLE, rng)
    forecast, trials = foresee_graph(truth, sample, settings, exact_us=exact.query_us, rng=rng)
    if exact_wins(forecast, exact_us=exact.query_us, recall_target=settings.recall_target):
        return _Tried(trials, forecast)
    graph, tried = best_graph(truth, sample, settings, exact_us=exact.query_us, known=trials)
    return _Tried([*trials, *tried], forecast, graph, tried[-1])


def write_search(folder: Path, graph: HnswGraph | None, ordered: NormOrdered, report: IndexReport) -> None:
    """Write the report and the files of a search, the graph or, where that is None, the exact one."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {
        VECTORS_FILE: ordered.vectors_ID,
        ORDER_FILE: ordered.order_I,
        NORMS_FILE: ordered.negative_norms_I,
    }
    for name in (INDEX_FILE, *arrays):
        (folder / name).unlink(missing_ok=True)
    if graph is not None:
        graph.save(folder / INDEX_FILE)
    else:
        for name, array in arrays.items():
            np.save(folder / name, array, allow_pickle=False)
    write_report(folder, report)


def _exact_trial(found: Measurement, *, items: int) -> Trial:
    return Trial(kind="exact", build_seconds=0.0, items=items, recall=found.recall, query_us=found.query_us)


def recall_result(recall: float, *, target: float) -> CheckResult:
    """Check the recall of the index; it blocks if it misses five times as much as the target allows."""
    least = max(1 - 5 * (1 - target), 0.0)
    bounds = expect("recall").mean_within(target, None, block_low=least)
    return evaluate([bounds], pl.DataFrame({"recall": [recall]}), table="item_index")[0]
