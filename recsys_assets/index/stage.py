"""The index folder from an embeddings folder: index, candidates and neighbours, swapped in whole."""

from dataclasses import dataclass
from pathlib import Path

from recsys_assets.artifacts import replaced_folder
from recsys_assets.embeddings.artifact import load_embeddings
from recsys_assets.index.build import build_index
from recsys_assets.index.candidates import Precomputed, precompute
from recsys_assets.index.report import IndexReport
from recsys_assets.index.search import ItemIndex
from recsys_assets.settings import IndexSettings


@dataclass(frozen=True, kw_only=True)
class IndexOutcome:
    """What was built."""

    report: IndexReport
    """The search: what was tried and chosen."""
    precomputed: Precomputed
    """What serving needs not search for."""


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
        precomputed = precompute(
            staged,
            user_embeddings=found.user_embeddings,
            item_embeddings=found.item_embeddings,
            history_indptr=found.history_indptr,
            history_items=found.history_items,
            popular_items=found.popular_items,
            graph=ItemIndex.load(staged).graph,
            settings=settings,
        )
    return IndexOutcome(report=report, precomputed=precomputed)
