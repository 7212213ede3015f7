"""The lengths of a release's arrays: rows of users, items and pairs that have to fit each other."""

from typing import TYPE_CHECKING

from recsys_assets.errors import BrokenReleaseError
from recsys_assets.release.manifest import WAY_OUT

if TYPE_CHECKING:
    from recsys_assets.release.load import Release


def check_lengths(release: "Release") -> None:
    """Compare the lengths of a release's arrays with each other.

    Raises:
        BrokenReleaseError: two of them do not fit.
    """
    users, items = len(release.users), len(release.items)
    lengths = {
        "user_embeddings": (len(release.user_embeddings), users),
        "item_embeddings": (len(release.item_embeddings), items),
        "history_indptr": (len(release.history_indptr), users + 1),
        "history_items": (len(release.history_items), int(release.history_indptr[-1])),
        "seen_indptr": (len(release.seen_indptr), users + 1),
        "seen_items": (len(release.seen_items), int(release.seen_indptr[-1])),
        "popular_items": (len(release.popular_items), items),
        "titles": (len(release.titles), items),
        "item_index": (len(release.index), items),
    }
    score = release.score
    optional = {
        "candidates_items": (release.candidates_items, users),
        "neighbours_items": (release.neighbours_items, items),
        "related_items": (None if score.related is None else score.related.items_IN, items),
        "like_items": (score.like_items, items),
    }
    lengths |= {
        name: (len(rows), expected) for name, (rows, expected) in optional.items() if rows is not None
    }
    for name, (found, expected) in lengths.items():
        if found != expected:
            raise BrokenReleaseError(
                f"{release.folder}: {name} has {found} rows, expected {expected}; {WAY_OUT}"
            )
    size = release.item_embeddings.shape[1]
    if score.recipe.size != size:
        raise BrokenReleaseError(
            f"{release.folder}: scoring.json names {score.recipe.size} dimensions, the embeddings have {size};"
            f" {WAY_OUT}"
        )
