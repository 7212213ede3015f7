"""The steps of a forget in their order: the lake first, then what is made of it, then everything that shows rows.

A step is a function `forget_in_X(home, ids, *, number) -> StepResult`. Its caller holds the build lock. It may be run
again at any time, after a kill within it too, and does nothing where nothing is left to do. What must be on the disk
for the next step is there when it returns.
"""

from typing import Final, Protocol

from recsys_assets.orchestration.forgetting.artifacts_step import ARTIFACTS, forget_in_artifacts
from recsys_assets.orchestration.forgetting.lake_step import LAKE, forget_in_lake
from recsys_assets.orchestration.forgetting.releases_step import RELEASES, forget_in_all_releases
from recsys_assets.storage.forgotten import StepResult
from recsys_assets.storage.home import Home


class ForgetStep(Protocol):
    """Remove users from one part of a home.

    A step that finds what it cannot remove says so in `StepResult.unfinished`, and the other steps still run.
    """

    def __call__(self, home: Home, ids: frozenset[str], *, number: int) -> StepResult:
        """Remove all that names the users.

        Args:
            home: the home.
            ids: the users' ids, those that were merged into them among them; at least one.
            number: of the forget, which rewritten files name.

        Raises:
            RecsysError: something cannot be read or written; the forget stays open.
        """


STEPS: Final[tuple[tuple[str, ForgetStep], ...]] = (
    (LAKE, forget_in_lake),
    (ARTIFACTS, forget_in_artifacts),
    (RELEASES, forget_in_all_releases),
)
"""Name -> step, in the order in which they are run."""
