"""Releases that experiments need: the newest of each model that can be served, and those that arms name."""

from collections.abc import Collection, Mapping
from datetime import date

from recsys_assets.embeddings.score_recipe import ScoreRecipe
from recsys_assets.errors import ReleaseError
from recsys_assets.experiments.experiments_file import POPULAR
from recsys_assets.experiments.standing import standing_of
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.release.rewritten import id_now
from recsys_assets.storage.home import Home


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


def needed_releases(home: Home, *, today: date) -> Collection[str]:
    """Return the ids of the releases of arms whose experiment is neither over nor stopped; pruning keeps them.

    Raises:
        ExperimentsError: the file is not valid, or the log of ends cannot be read.
    """
    lasting = [one for one in standing_of(home) if one.state(today) in {"planned", "running"}]
    arms = [arm for one in lasting for arm in one.arms_left()]
    models = {arm.model for arm in arms if arm.model not in {None, POPULAR}}
    newest = newest_of_models(ReleaseStore(home.releases)) if models else {}
    named = {id_now(home.releases, arm.release) for arm in arms if arm.release is not None}
    return named | {newest[model] for model in models if model is not None and model in newest}
