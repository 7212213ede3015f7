"""The releases and rules files that a replica needs beside the current release: those of the arms of experiments."""

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import date

import msgspec

from recsys_assets.embeddings.score_recipe import ScoreRecipe
from recsys_assets.errors import ExperimentsError, ObjectMissingError
from recsys_assets.experiments.experiments_file import POPULAR, Arm, read_experiments
from recsys_assets.experiments.standing import standing_of
from recsys_assets.release.release_objects import read_release_manifest, release_key, releases_in
from recsys_assets.release.rewritten import Rewritten
from recsys_assets.storage.home import Home
from recsys_assets.storage.object_store import ObjectStore


class ReplicaArms:
    """The arms of experiments, as a cache has their files."""

    def __init__(self, store: ObjectStore, home: Home, today: Callable[[], date]) -> None:
        """Take the store, the cache, and the day that decides which experiments run."""
        self._store, self._home, self._today = store, home, today
        self._seen: object = None
        self._found: Sequence[str] = ()

    def rules_files(self) -> Collection[str]:
        """Return the names of the rules files that arms name; none where the experiments are not valid."""
        try:
            experiments = read_experiments(self._home)
        except ExperimentsError:  # each worker says why
            return ()
        return {arm.rules for one in experiments for arm in one.arms if arm.rules is not None}

    def releases(self, version: object) -> Sequence[str]:
        """Return the ids of the releases of arms that run or are planned, as far as the store has them.

        Args:
            version: of the documents and of `current`; what was found is kept while it is the same.

        Raises:
            StoreUnavailableError: the store does not answer.
        """
        seen = version, self._today()
        if seen != self._seen:
            self._found = [*dict.fromkeys(self._look())]
            self._seen = seen
        return self._found

    def _look(self) -> Iterator[str]:
        arms = self._arms()
        rewritten = Rewritten.load(self._home.releases)
        yield from (rewritten.newest(arm.release) for arm in arms if arm.release is not None)
        models = {arm.model for arm in arms if arm.model not in {None, POPULAR}}
        if models:
            published = {
                release: read_release_manifest(self._store, release) for release in releases_in(self._store)
            }
            newest_first = sorted(published, key=lambda release: published[release].sequence, reverse=True)
            for release in newest_first:
                model = self._model(release)
                if model in models:
                    models.discard(model)
                    yield release

    def _arms(self) -> Sequence[Arm]:
        try:
            standing = standing_of(self._home)
        except ExperimentsError:  # each worker says why
            return ()
        lasting = [one for one in standing if one.state(self._today()) in {"planned", "running"}]
        return [arm for one in lasting for arm in one.arms_left()]

    def _model(self, release: str) -> str | None:
        try:
            content = self._store.get(release_key(release, "scoring.json")).content
            return msgspec.json.decode(content, type=ScoreRecipe).model
        except (ObjectMissingError, msgspec.DecodeError):
            return None
