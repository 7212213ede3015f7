"""The choice of an exact search, kept after a small change of the vectors: a warm replay builds no graphs to compare.

Where graphs lost on nearly the same vectors they lose again, and an exact search finds everything whatever the vectors.
The next build measures again.
"""

import time
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from recsys_assets.errors import BrokenReleaseError
from recsys_assets.index.choose_index import write_search
from recsys_assets.index.exact_search import NormOrdered
from recsys_assets.index.index_report import IndexReport, read_report
from recsys_assets.settings import IndexSettings
from recsys_assets.storage.arrays import Float32

_ALIKE: Final = 0.01
"""Share by which the number of items may differ."""


def keep_exact(
    item_embeddings: Float32, folder: Path, settings: IndexSettings, *, earlier: Path
) -> IndexReport | None:
    """Write the exact search of the items into `folder` where an earlier index chose it.

    Args:
        item_embeddings: (I, D) float32.
        folder: the folder to write to.
        settings: recall target and threads.
        earlier: the folder of the earlier index.

    Returns:
        The report, with the earlier measurements; None where all must be measured: there is no earlier index, it is a
        graph, or it is of other settings, another width or another number of items, or a value is not finite.
    """
    started = time.perf_counter()
    items, size = item_embeddings.shape
    try:
        before = read_report(earlier)
    except BrokenReleaseError:
        return None
    same = (before.embedding_size, before.recall_target, before.threads)
    if before.kind != "exact" or same != (size, settings.recall_target, settings.threads):
        return None
    if abs(before.items - items) > _ALIKE * items or not np.isfinite(item_embeddings).all():
        return None
    ordered = NormOrdered.of(np.ascontiguousarray(item_embeddings, dtype=np.float32))
    report = msgspec.structs.replace(before, items=items, seconds=time.perf_counter() - started)
    write_search(folder, None, ordered, report)
    return report
