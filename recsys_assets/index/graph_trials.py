"""Graphs built and measured, on samples of the items and on all of them; the choice among searches is elsewhere."""

import math
import time
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from recsys_assets.index.forecast import MOST_EXPANSION, exact_wins, foresee, worthwhile_seconds
from recsys_assets.index.index_report import Forecast, Metric, Trial
from recsys_assets.index.item_index import GraphSearch, HnswGraph
from recsys_assets.index.measurement import ExactAnswers, measure
from recsys_assets.settings import IndexSettings
from recsys_assets.storage.arrays import Float32

Setting = tuple[Metric, str, int]
"""Metric, storage type and connectivity of a graph."""
LIST_LENGTH: Final = 100
"""Length of the lists that recall is measured on."""
FEW_ITEMS: Final = 1_500
"""Items of the smallest sample, and up to as many no graph is tried at all: an exact search takes some 20 µs there, a
graph hardly less, and noise would decide between two searches that no user can tell apart."""
SAMPLE: Final = 6_000
"""Items that graphs are foreseen from, and that the grid is measured on before its best setting is built on all."""
_FURTHER_SAMPLES: Final = (24_000, 96_000)
"""Items of further graphs where the smaller ones foresee no clear loss, of a larger catalogue only: the more there
are, the less is left to extrapolate."""
_FURTHER_SHARE: Final = 1 / 8
"""Largest share of the items that a further sample has: its graph costs about that share of the whole one's time."""
_GRID: Final[tuple[Setting, ...]] = (
    ("ip", "f32", 16),
    ("ip", "f32", 32),
    ("ip", "f16", 16),
    ("ip", "f16", 32),
    ("ip", "i8", 32),
    ("l2sq", "f32", 32),
)
"""Each graph measured."""
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
_WORTHWHILE: Final = 0.0005
"""Least gain in recall of the next `expansion_search`; with less, no greater one is tried."""


def foresee_graph(
    truth: ExactAnswers,
    sample: ExactAnswers,
    settings: IndexSettings,
    *,
    exact_us: float,
    rng: np.random.Generator,
) -> tuple[Forecast, list[Trial]]:
    """Foresee the best graph of all items; return the trials on samples too.

    A few settings are measured on the smallest sample. Where the fastest takes too long there already, it does on all
    items. Else the best of each metric that reaches the target there, or the best of all where none does, is
    measured on the next sample, and the best of these on further ones.

    Args:
        truth: the items, and queries.
        sample: `SAMPLE` of the items, with the same queries.
        settings: recall target and threads.
        exact_us: time of an exact search of all items, microseconds.
        rng: draws the other samples.
    """
    items, target = len(truth.items_ID), settings.recall_target

    def trial(sample: ExactAnswers, setting: Setting) -> Trial:
        return _build_and_measure(sample, setting, settings, exact_us=exact_us)[1][-1]

    def is_lost(forecast: Forecast) -> bool:
        return exact_wins(forecast, exact_us=exact_us, recall_target=target)

    smallest = fewer(truth, min(FEW_ITEMS, max(1, items // 4)), rng)
    trials = [trial(smallest, setting) for setting in _FORESEEN]
    few = _best_of(trials, settings)
    forecast = foresee(few, few, items=items)
    if is_lost(forecast):
        return forecast, trials
    good = [found for found in trials if found.recall >= target] or [few]
    metrics = dict.fromkeys(found.metric for found in good)
    smaller = [_best_of([t for t in good if t.metric == metric], settings) for metric in metrics]
    larger = [trial(sample, _setting_of(found)) for found in smaller]
    trials += larger
    many = _best_of(larger, settings)
    forecast = foresee(smaller[larger.index(many)], many, items=items)
    for size in _FURTHER_SAMPLES:
        if is_lost(forecast) or size > _FURTHER_SHARE * items:
            break
        few, many = many, trial(fewer(truth, size, rng), _setting_of(many))
        trials.append(many)
        forecast = foresee(few, many, items=items)
    return forecast, trials


def best_graph(
    truth: ExactAnswers,
    sample: ExactAnswers,
    settings: IndexSettings,
    *,
    exact_us: float = math.inf,
    known: Sequence[Trial] = (),
) -> tuple[HnswGraph, list[Trial]]:
    """Build the graph of the grid's fastest good setting; return it and all trials, its own last.

    If it misses the target on all items, a more thorough and slower graph is built, unless a search already
    takes longer than `exact_us`, so that the graph would not be chosen, or building takes more than it can save.

    Args:
        truth: the items to build it from, and queries.
        sample: a sample of the items that the grid is measured on, with the same queries.
        settings: recall target and threads.
        exact_us: time of an exact search of all items, microseconds.
        known: trials on the same sample, which are not repeated.
    """
    measured = {_setting_of(trial) for trial in known if trial.items == len(sample.items_ID)}
    grid = [
        _build_and_measure(sample, setting, settings, exact_us=exact_us)[1][-1]
        for setting in _GRID
        if setting not in measured
    ]
    best = _best_of([*grid, *(trial for trial in known if _setting_of(trial) in measured)], settings)
    first, trials = _build_and_measure(truth, _setting_of(best), settings, exact_us=exact_us)
    found = trials[-1]
    thorough_seconds = found.build_seconds * _THOROUGH_EXPANSION_ADD / _EXPANSION_ADD
    if (
        found.recall >= settings.recall_target
        or found.query_us > exact_us
        or thorough_seconds > worthwhile_seconds(found.query_us, exact_us=exact_us)
    ):
        return first, grid + trials
    setting = (best.metric, best.dtype, _THOROUGH_CONNECTIVITY)
    second, more = _build_and_measure(
        truth, setting, settings, exact_us=exact_us, expansion_add=_THOROUGH_EXPANSION_ADD
    )
    if more[-1].recall < found.recall:
        return first, grid + more + trials
    return second, grid + trials + more


def _build_and_measure(
    truth: ExactAnswers,
    setting: Setting,
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


def _best_of(trials: Sequence[Trial], settings: IndexSettings) -> Trial:
    """Return the fastest trial that reaches the target, else the fastest."""
    return min(trials, key=lambda trial: (trial.recall < settings.recall_target, trial.query_us))


def _setting_of(trial: Trial) -> Setting:
    return trial.metric, trial.dtype, trial.connectivity


def fewer(truth: ExactAnswers, items: int, rng: np.random.Generator) -> ExactAnswers:
    """Return the answers to the same queries over a sample of the items."""
    return ExactAnswers.of(sampled_rows(truth.items_ID, items, rng), truth.queries_QD, k=LIST_LENGTH)


def sampled_rows(rows: Float32, most: int, rng: np.random.Generator) -> Float32:
    """Return the rows, or `most` of them drawn without replacement where there are more, in their order."""
    if len(rows) <= most:
        return np.ascontiguousarray(rows, dtype=np.float32)
    return np.ascontiguousarray(rows[np.sort(rng.choice(len(rows), most, replace=False))], dtype=np.float32)
