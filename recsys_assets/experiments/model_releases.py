"""Releases by model: the newest release of each that can be served, for arms that name a model."""

from collections.abc import Mapping

from recsys_assets.embeddings.score_recipe import ScoreRecipe
from recsys_assets.errors import ReleaseError
from recsys_assets.release.release_store import ReleaseStore


def model_of(store: ReleaseStore, release_id: str) -> str | None:
    """Return the name of the model of a release; None where its files are broken."""
    try:
        return ScoreRecipe.load(store.path(release_id)).model
    except ReleaseError:
        return None


def newest_of_models(store: ReleaseStore) -> Mapping[str, str]:
    """Return model -> id of the last published release of it that is whole, not recalled and passed the gate.

    Sizes are compared here; whoever opens a release verifies its checksums.
    """
    found: dict[str, str] = {}
    for manifest in store.list():
        model = model_of(store, manifest.release_id)
        if model is None or model in found:
            continue
        if store.fault(manifest.release_id, read=False) is None:
            found[model] = manifest.release_id
    return found


def named_models(store: ReleaseStore) -> str:
    """Return the models that releases have, for messages."""
    return ", ".join(sorted(newest_of_models(store))) or "none"
