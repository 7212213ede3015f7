"""The index folder from an embeddings folder: index, candidates and neighbours, swapped in whole."""

from dataclasses import dataclass
from pathlib import Path

from recsys_assets.embeddings.model_files import load_embeddings
from recsys_assets.index.choose_index import build_index
from recsys_assets.index.index_report import IndexReport
from recsys_assets.index.item_index import ItemIndex
from recsys_assets.index.precompute import Method, write_candidates, write_neighbours
from recsys_assets.settings import IndexSettings
from recsys_assets.storage.atomic import replaced_folder


@dataclass(frozen=True, kw_only=True)
class Precomputed:
    """What serving needs not search for."""

    candidates_by: Method
    """How users' candidates were found."""
    candidates: int
    """Items kept for a user."""
    neighbours: int
    """Items kept for an item."""
    items_with_neighbours: int
    """Items that have neighbours, the most popular ones."""


@dataclass(frozen=True, kw_only=True)
class IndexOutcome:
    """What was built."""

    report: IndexReport
    """The search: what was tried and chosen."""
    precomputed: Precomputed
    """What was scored ahead of serving."""


def build_item_index(
    embeddings: Path, folder: Path, settings: IndexSettings, *, seed: int = 0
) -> IndexOutcome:
    """Build everything that serving looks items up in, and replace `folder` by it.

    Args:
        embeddings: the folder that `save_embeddings` wrote.
        folder: the index artifact's folder.
        settings: recall target, threads, and how much to precompute.
        seed: of the samples that the search is measured on.

    Raises:
        TrainingDataError: an embedding is not finite.
    """
    found = load_embeddings(embeddings)
    with replaced_folder(folder) as staged:
        report = build_index(
            found.item_embeddings, staged, settings, seed=seed, queries=found.user_embeddings
        )
        candidates = write_candidates(
            staged,
            user_embeddings=found.user_embeddings,
            item_embeddings=found.item_embeddings,
            history_indptr=found.history_indptr,
            history_items=found.history_items,
            index=ItemIndex.load(staged, found.item_embeddings),
            settings=settings,
        )
        neighbours = write_neighbours(
            staged,
            item_embeddings=found.item_embeddings,
            popular_items=found.popular_items,
            settings=settings,
        )
    precomputed = Precomputed(
        candidates_by=candidates.by,
        candidates=candidates.kept,
        neighbours=neighbours.kept,
        items_with_neighbours=neighbours.items,
    )
    return IndexOutcome(report=report, precomputed=precomputed)
