"""The index artifact: the search, and the lists scored ahead of serving, from which a request starts.

These are each user's best unseen items (`candidate_rows`) and each item's nearest ones by cosine (`neighbour_rows`).
"""

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from recsys_assets.embeddings.model_files import load_embeddings
from recsys_assets.index.candidate_rows import CandidateInputs, Method, write_candidates
from recsys_assets.index.choose_index import choose_index
from recsys_assets.index.index_report import IndexReport
from recsys_assets.index.kept_choice import keep_exact
from recsys_assets.index.list_shards import ListsApart, ListWorkers
from recsys_assets.index.neighbour_rows import item_factors, write_neighbours
from recsys_assets.settings import IndexSettings
from recsys_assets.storage.atomic import replaced_folder


@dataclass(frozen=True, kw_only=True)
class Precomputed:
    """Lists scored ahead of serving."""

    candidates_by: Method
    """Method that found the users' candidates."""
    candidates: int
    """Items kept for a user."""
    neighbours: int
    """Items kept for an item."""
    items_with_neighbours: int
    """Items that have neighbours, the most popular ones."""


@dataclass(frozen=True, kw_only=True)
class IndexOutcome:
    """Result of an index build."""

    report: IndexReport
    """Searches measured and the one chosen."""
    precomputed: Precomputed
    """Lists scored ahead of serving."""


def build_item_index(
    embeddings: Path,
    folder: Path,
    settings: IndexSettings,
    *,
    seed: int = 0,
    workers: ListWorkers | None = None,
    keep_choice: bool = False,
) -> IndexOutcome:
    """Build the search and the precomputed lists, and replace the artifact in `folder` by them.

    Args:
        embeddings: a folder that `save_embeddings` wrote.
        folder: the index artifact.
        settings: recall target, threads, and sizes of the precomputed lists.
        seed: seed of the samples that the search is measured on.
        workers: compute the lists; None: this process. The bytes are the same.
        keep_choice: search exactly without measuring graphs where the index in `folder` does, see `keep_exact`.

    Raises:
        TrainingDataError: an embedding is not finite.
        LauncherError: the workers of a part of the lists were killed.
    """
    found = load_embeddings(embeddings)
    with replaced_folder(folder) as staged:
        kept = keep_exact(found.item_embeddings, staged, settings, earlier=folder) if keep_choice else None
        report = kept or choose_index(
            found.item_embeddings, staged, settings, seed=seed, queries=found.user_embeddings
        )
        with nullcontext() if workers is None else ListsApart(workers, embeddings, staged, settings) as apart:
            candidates = write_candidates(
                staged,
                CandidateInputs.of(found, staged),
                settings,
                elsewhere=None if apart is None else apart.fill_candidates,
            )
            neighbours = write_neighbours(
                staged,
                item_factors=item_factors(found),
                popular_items=found.popular_items,
                settings=settings,
                elsewhere=None if apart is None else apart.fill_neighbours,
            )
    precomputed = Precomputed(
        candidates_by=candidates.by,
        candidates=candidates.kept,
        neighbours=neighbours.kept,
        items_with_neighbours=neighbours.items,
    )
    return IndexOutcome(report=report, precomputed=precomputed)
