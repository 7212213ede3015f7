"""Forgetting users in the releases: each is replaced by a new, linked one, and a served one is swapped."""

from datetime import UTC, datetime
from typing import Final

from recsys_assets.errors import ForgetError
from recsys_assets.orchestration.fingerprints import Inputs
from recsys_assets.orchestration.forgetting.changed_files import name_of, planned
from recsys_assets.orchestration.forgetting.lake_step import now_named
from recsys_assets.orchestration.planning.artifact_parts import parts_of
from recsys_assets.orchestration.repair.made_artifacts import making, written_inputs, written_parts
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.release.rewrite_release import Forget, forget_in_releases
from recsys_assets.release.rewritten import Rewritten
from recsys_assets.settings import load_or_default_settings
from recsys_assets.storage.atomic import replace_file
from recsys_assets.storage.forgotten import StepResult
from recsys_assets.storage.home import Home

RELEASES: Final = "releases"
_MARKER: Final = "release"


def forget_in_all_releases(home: Home, ids: frozenset[str], *, number: int) -> StepResult:
    """Rewrite every kept release that has the users; see `ForgetStep`."""
    if not home.releases.is_dir():
        return StepResult(step=RELEASES, detail="")
    changes = planned(home, ids, number=number)
    before = changes.tables[name_of(home, home.interactions)]
    forget = Forget(
        number=number, at=datetime.now(UTC), ids=ids, checksums=now_named(home.interactions, before)
    )
    try:
        found = forget_in_releases(home, forget)
    except ForgetError as error:  # the others are rewritten, and the other steps still run
        return StepResult(step=RELEASES, detail="", unfinished=str(error))
    _follow(home, is_fresh=_MARKER in changes.fresh_artifacts)
    notes = [f"release {one.before} is {one.after} now" for one in found]
    current = ReleaseStore(home.releases).served_id()
    if current in {one.after for one in found}:
        notes.append(f"current is {current}; running servers take it up within a second")
    return StepResult(step=RELEASES, detail="; ".join(notes), changed=len(found))


def _follow(home: Home, *, is_fresh: bool) -> None:
    """Have the marker of the release that was built last name the new one; it stays as fresh as it was."""
    marker = home.artifact(_MARKER)
    if not marker.is_file():
        return
    named = marker.read_text(encoding="ascii").strip()
    newest = Rewritten.load(home.releases).newest(named)
    inputs = Inputs(home, load_or_default_settings(home))
    was, parts = written_inputs(marker), written_parts(marker)
    is_recorded = was == inputs.release
    if newest != named:
        replace_file(marker, f"{newest}\n".encode("ascii"))
    if is_fresh and not (is_recorded and newest == named):
        was, parts = inputs.release, parts_of(inputs, _MARKER)
    elif newest == named:
        return
    if was:
        with making(marker, inputs=was, parts=parts):
            pass
