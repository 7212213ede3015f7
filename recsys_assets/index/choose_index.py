"""Choice of the search method, exact or by a graph: foreseen from samples where that is clear, else measured."""

import math
import time
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import polars as pl
import usearch
from threadpoolctl import threadpool_limits

from recsys_assets.errors import TrainingDataError
from recsys_assets.index.exact_search import NormOrdered
from recsys_assets.index.forecast import MOST_EXPANSION, exact_wins, foresee
from recsys_assets.index.index_report import (
    INDEX_FILE,
    NORMS_FILE,
    ORDER_FILE,
    VECTORS_FILE,
    Forecast,
    IndexReport,
    Metric,
    Trial,
    write_report,
)
from recsys_assets.index.item_index import GraphSearch, HnswGraph
from recsys_assets.index.measurement import ExactAnswers, Measurement, measure
from recsys_assets.quality.expectations import CheckResult, expect
from recsys_assets.quality.run_expectations import evaluate
from recsys_assets.settings import IndexSettings
from recsys_assets.storage.arrays import Float32

_LIST_LENGTH: Final = 100
"""Length of the lists that recall is measured on."""
_QUERIES: Final = 200
"""Searches behind each figure."""
_SMALLER_SAMPLE: Final = 1_500
_SAMPLE: Final = 6_000
"""Items that graphs are foreseen from, and that the grid is measured on before its best setting is built on all."""
_FURTHER_SAMPLES: Final = (24_000, 96_000)
"""Items of further graphs where the smaller ones foresee no clear loss, of a larger catalogue only: the more there
are, the less is left to extrapolate."""
_FURTHER_SHARE: Final = 1 / 8
"""Largest share of the items that a further sample has: its graph costs about that share of the whole one's time."""
_GRID: Final[tuple[tuple[Metric, str, int], ...]] = (
    ("ip", "f32", 16),
    ("ip", "f32", 32),
    ("ip", "f16", 16),
    ("ip", "f16", 32),
    ("ip", "i8", 32),
    ("l2sq", "f32", 32),
)
"""Metric, storage type and connectivity of each graph measured."""
_FORESEEN: Final = (_GRID[2], _GRID[3], _GRID[5])
"""Those that are foreseen from: the others are rarely the fastest, and then by little."""
_HOPELESS: Final = 1.5
"""A search that takes N times the exact search's time is not widened any more to raise its recall."""
_EXPANSION_ADD: Final = 128
"""Nodes visited when one is added."""
_THOROUGH_CONNECTIVITY, _THOROUGH_EXPANSION_ADD = 32, 400
"""For catalogues that need more: on 60,000 vectors around 60 centres, recall@100 rises from 0.87 to 0.97 at the
same `expansion_search`, for twice the build time."""
_EXPANSIONS: Final = (100, 150, 200, 300, 450, 700, 1000, MOST_EXPANSION)
"""Values of `expansion_search`, tried until the recall target is reached; usearch visits at least k nodes."""
_MARGIN: Final = 0.9
"""A graph is chosen if its search takes less than this share of the exact search's time."""
_WORTHWHILE: Final = 0.0005
"""Least gain in recall of the next `expansion_search`; with less, no greater one is tried."""


def choose_index(
    item_embeddings: Float32,
    folder: Path,
    settings: IndexSettings,
    *,
    seed: int = 0,
    queries: Float32 | None = None,
) -> IndexReport:
    """Write the fastest search that reaches the recall target into `folder`, and report how it was chosen.

    Exact search is measured on all items, and graphs on samples. Where these foresee that no graph wins, none is
    built. Otherwise the best of a grid is built on all items and measured beside the exact search. Only the
    chosen search's files are written: the arrays of the exact search, or the usearch file.

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
    queries_QD = _sample(items_ID if queries is None or not len(queries) else queries, _QUERIES, rng)
    with threadpool_limits(limits=1, user_api="blas"):  # a search is timed on one thread
        truth = ExactAnswers.of(items_ID, queries_QD, k=_LIST_LENGTH)
        ordered = NormOrdered.of(items_ID)
        exact = _exact_trial(measure(ordered.search, truth), items=len(items_ID))
        forecast, trials = _foresee(truth, settings, exact_us=exact.query_us, rng=rng)
        graph, built, chosen = None, None, exact
        if not exact_wins(forecast, exact_us=exact.query_us, recall_target=settings.recall_target):
            sample = _fewer(truth, _SAMPLE, rng)
            graph, tried = best_graph(truth, sample, settings, exact_us=exact.query_us)
            trials, built = [*trials, *tried], tried[-1]
            if built.recall >= settings.recall_target and built.query_us < _MARGIN * exact.query_us:
                chosen = built
    report = IndexReport(
        chosen=chosen,
        graph=built,
        grid=[*trials, exact],
        forecast=forecast,
        k=truth.k,
        queries=len(queries_QD),
        recall_target=settings.recall_target,
        items=len(items_ID),
        embedding_size=items_ID.shape[1],
        threads=settings.threads,
        usearch_version=usearch.__version__,
        seconds=time.perf_counter() - started,
    )
    write_search(folder, None if chosen is exact else graph, ordered, report)
    return report


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


def _foresee(
    truth: ExactAnswers, settings: IndexSettings, *, exact_us: float, rng: np.random.Generator
) -> tuple[Forecast, list[Trial]]:
    """Foresee the best graph of all items; return the trials on samples too.

    A few settings are measured on the smallest sample. The best of each metric that reaches the target there, or
    the best of all where none does, is measured on the next one, and the best of these on further ones.
    """
    items, target = len(truth.items_ID), settings.recall_target

    def trial(sample: ExactAnswers, setting: tuple[Metric, str, int]) -> Trial:
        return _build_and_measure(sample, setting, settings, exact_us=exact_us)[1][-1]

    smallest = _fewer(truth, min(_SMALLER_SAMPLE, max(1, items // 4)), rng)
    trials = [trial(smallest, setting) for setting in _FORESEEN]
    good = [found for found in trials if found.recall >= target] or [_best_of(trials, settings)]
    metrics = dict.fromkeys(found.metric for found in good)
    smaller = [_best_of([t for t in good if t.metric == metric], settings) for metric in metrics]
    sample = _fewer(truth, _SAMPLE, rng)
    larger = [trial(sample, _setting_of(found)) for found in smaller]
    trials += larger
    many = _best_of(larger, settings)
    few = smaller[larger.index(many)]
    forecast = foresee(few, many, items=items)
    for size in _FURTHER_SAMPLES:
        clear = exact_wins(forecast, exact_us=exact_us, recall_target=target)
        if clear or size > _FURTHER_SHARE * items:
            break
        few, many = many, trial(_fewer(truth, size, rng), _setting_of(many))
        trials.append(many)
        forecast = foresee(few, many, items=items)
    return forecast, trials


def _fewer(truth: ExactAnswers, items: int, rng: np.random.Generator) -> ExactAnswers:
    """Return the answers to the same queries over a sample of the items."""
    return ExactAnswers.of(_sample(truth.items_ID, items, rng), truth.queries_QD, k=_LIST_LENGTH)


def _best_of(trials: list[Trial], settings: IndexSettings) -> Trial:
    """Return the fastest trial that reaches the target, else the fastest."""
    return min(trials, key=lambda trial: (trial.recall < settings.recall_target, trial.query_us))


def _setting_of(trial: Trial) -> tuple[Metric, str, int]:
    return trial.metric, trial.dtype, trial.connectivity


def best_graph(
    truth: ExactAnswers, sample: ExactAnswers, settings: IndexSettings, *, exact_us: float = math.inf
) -> tuple[HnswGraph, list[Trial]]:
    """Build the graph of the grid's fastest good setting; return it and all trials, its own last.

    If it misses the target on all items, a more thorough and slower graph is built, unless a search already
    takes longer than `exact_us`, so that the graph would not be chosen.

    Args:
        truth: the items to build it from, and queries.
        sample: a sample of the items that the grid is measured on, with the same queries.
        settings: recall target and threads.
        exact_us: time of an exact search of all items, microseconds.
    """
    grid = [_build_and_measure(sample, setting, settings, exact_us=exact_us)[1][-1] for setting in _GRID]
    best = _best_of(grid, settings)
    first, trials = _build_and_measure(truth, _setting_of(best), settings, exact_us=exact_us)
    if trials[-1].recall >= settings.recall_target or trials[-1].query_us > exact_us:
        return first, grid + trials
    setting = (best.metric, best.dtype, _THOROUGH_CONNECTIVITY)
    second, more = _build_and_measure(
        truth, setting, settings, exact_us=exact_us, expansion_add=_THOROUGH_EXPANSION_ADD
    )
    if more[-1].recall < trials[-1].recall:
        return first, grid + more + trials
    return second, grid + trials + more


def _build_and_measure(
    truth: ExactAnswers,
    setting: tuple[Metric, str, int],
    settings: IndexSettings,
    *,
    exact_us: float,
    expansion_add: int = _EXPANSION_ADD,
) -> tuple[HnswGraph, list[Trial]]:
    """Build a graph; return it and the trials of `_widen`."""
    metric, dtype, connectivity = setting
    started = time.perf_counter()
    graph = HnswGraph.build(
        truth.items_ID,
        metric=metric,
        dtype=dtype,
        connectivity=connectivity,
        expansion_add=expansion_add,
        threads=settings.threads,
    )
    built = Trial(
        kind="usearch",
        metric=metric,
        dtype=dtype,
        connectivity=connectivity,
        expansion_add=expansion_add,
        build_seconds=time.perf_counter() - started,
        items=len(truth.items_ID),
        recall=0.0,
        query_us=0.0,
    )
    return graph, _widen(graph, truth, built, target=settings.recall_target, hopeless_us=_HOPELESS * exact_us)


def _widen(
    graph: HnswGraph, truth: ExactAnswers, built: Trial, *, target: float, hopeless_us: float
) -> list[Trial]:
    """Measure a graph with growing `expansion_search`; the last trial is the one to use, and is set."""
    search = GraphSearch(graph, truth.items_ID).search
    trials: list[Trial] = []
    for expansion in _EXPANSIONS:
        graph.expansion_search = expansion
        found = measure(search, truth)
        if trials and found.recall - trials[-1].recall < _WORTHWHILE:
            graph.expansion_search = trials[-1].expansion_search
            break
        trials.append(
            msgspec.structs.replace(
                built, expansion_search=expansion, recall=found.recall, query_us=found.query_us
            )
        )
        if found.recall >= target or found.query_us > hopeless_us:
            break
    return trials


def _exact_trial(found: Measurement, *, items: int) -> Trial:
    return Trial(kind="exact", build_seconds=0.0, items=items, recall=found.recall, query_us=found.query_us)


def _sample(rows: Float32, most: int, rng: np.random.Generator) -> Float32:
    if len(rows) <= most:
        return np.ascontiguousarray(rows, dtype=np.float32)
    return np.ascontiguousarray(rows[np.sort(rng.choice(len(rows), most, replace=False))], dtype=np.float32)


def recall_result(recall: float, *, target: float) -> CheckResult:
    """Check the recall of the index; it blocks if it misses five times as much as the target allows."""
    least = max(1 - 5 * (1 - target), 0.0)
    bounds = expect("recall").mean_within(target, None, block_low=least)
    return evaluate([bounds], pl.DataFrame({"recall": [recall]}), table="item_index")[0]
