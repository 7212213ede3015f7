"""The plan that was shown, kept in the home, and running just that: rejected where its inputs changed since."""

import hashlib
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from recsys_assets.errors import BuildInterruptedError, PlanError
from recsys_assets.lake.follow import state_on_disk
from recsys_assets.lake.sources.registry import source_of
from recsys_assets.launching.chosen import require_launcher
from recsys_assets.orchestration.build import build
from recsys_assets.orchestration.build_outcome import BuildOutcome, Watcher
from recsys_assets.orchestration.fingerprints import CODE_VERSIONS, Inputs, fingerprint
from recsys_assets.orchestration.planning.artifact_parts import ASSETS
from recsys_assets.orchestration.planning.build_plan import BuildPlan, ProposedChange
from recsys_assets.orchestration.planning.expected_model import by_model, expected_model
from recsys_assets.orchestration.planning.plan import Staged, planned
from recsys_assets.orchestration.planning.preview import Preview, preview
from recsys_assets.orchestration.planning.stages import CATALOGUE, CLEANED, RAW
from recsys_assets.orchestration.repair.made_artifacts import written_inputs
from recsys_assets.rules.rules_file import rules_fingerprint
from recsys_assets.rules.testing.cases import CASES_FILE
from recsys_assets.settings import Settings, load_or_default_settings, read_settings
from recsys_assets.storage.atomic import make_folder, remove_file, replace_file
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import SHORTLY, build_lock

_VERSION: Final = 2
_SETTINGS: Final = "the settings"
_RULES: Final = "the rules"
_RESULTS: Final = {
    CATALOGUE: "the item catalogue",
    RAW: "the landed days",
    CLEANED: "the cleaned days",
    **{name: f"the artifact `{name}`" for name in ASSETS},
}
"""Stage -> the input, in words, that it replaces."""


class StoredPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A plan as it was shown."""

    at: datetime
    """When, UTC."""
    proposal: ProposedChange
    """The proposed change."""
    build: BuildPlan
    """The part that is built."""
    preview: Preview
    """Its effect."""
    state: dict[str, str]
    """Input in words -> fingerprint; `--apply` wants each as it was."""
    results: dict[str, list[str]] = {}
    """Input in words -> fingerprints that it may have too once the plan is being applied: the plan changes it."""
    begun: datetime | None = None
    """When it was last applied, UTC, where that did not end; None where it was not."""
    version: int = _VERSION
    """Of this format."""


def make_plan(home: Home, proposal: ProposedChange, *, seconds: float) -> StoredPlan:
    """Plan a build, measure its effect, and keep the plan as the one that was shown.

    Args:
        home: the home.
        proposal: the proposed files, absolute paths.
        seconds: time of the sample of users; 0 takes none.

    Raises:
        BuildRunningError: another process builds this home.
        RecsysError: as in `planned` and `preview`; no plan is kept then.
    """
    with build_lock(home, patience=SHORTLY):
        remove_file(home.plan)  # else the plan before could be applied where this one ends in an error
    state = state_of(home, proposal)  # before: what changes meanwhile is noticed
    with planned(home, proposal) as staged:
        found = preview(home, staged, proposal, seconds=seconds)
        plan = StoredPlan(
            at=datetime.now(UTC),
            proposal=proposal,
            build=_foreseen_again(home, staged, found),
            preview=found,
            state=state,
            results=_results(staged, proposal),
        )
    with build_lock(home, patience=SHORTLY):
        _keep(home, plan)
    return plan


def _foreseen_again(home: Home, staged: Staged, found: Preview) -> BuildPlan:
    """Return the plan with the costs of the model that the build will choose by what the preview shows."""
    training = staged.settings.training
    if not any(step.stage == "choice" for step in staged.plan.steps):
        return staged.plan
    before, after = (expected_model(home, training, recipe) for recipe in (None, found.recipe))
    plan = by_model(staged.plan, training=training, before=before, after=after)
    if before == after:
        return plan
    note = (
        f"time is foreseen for {after}: by the sample and the last choice, {before} will not be chosen again"
    )
    return msgspec.structs.replace(plan, notes=[*plan.notes, note])


def _keep(home: Home, plan: StoredPlan) -> None:
    replace_file(home.plan, msgspec.json.encode(plan, enc_hook=str))


def apply_plan(home: Home, watcher: Watcher) -> BuildOutcome:
    """Run the plan that was shown last, and forget it where it succeeded.

    Proposed files are written to the home first; those that they replace are kept in `Home.before_plan`. A plan that
    did not end goes on where it is applied again: what its own stages made meanwhile is no change.

    Raises:
        PlanError: no plan was shown, or an input changed since.
        RecsysError: as in `build`.
    """
    with build_lock(home):
        plan = read_plan(home)
        now = state_of(home, plan.proposal)
        changed = [name for name in plan.state if plan.state[name] != now.get(name)]
        if plan.begun is not None:
            changed = [name for name in changed if not _is_own(plan, name, now.get(name, ""))]
        if changed:
            raise PlanError(
                f"{home.plan}: since the plan was shown, {plan.at:%Y-%m-%d %H:%M:%S} UTC, something else changed: "
                f"{', '.join(changed)}; look at another `recsys plan{home.option}`"
            )
        require_launcher(_proposed_settings(home, plan.proposal).launcher)
        if plan.begun is not None:
            watcher.say(f"Going on with the plan that was begun {plan.begun:%Y-%m-%d %H:%M:%S} UTC.")
        _keep(home, msgspec.structs.replace(plan, begun=datetime.now(UTC)))
        written = _write_files(home, plan.proposal)
        for line in written:
            watcher.say(line)
        try:
            through = plan.proposal.through
            outcome = build(home, load_or_default_settings(home), watcher, through=through)
        except BuildInterruptedError:
            raise
        except Exception:
            watcher.say("\n".join(["The build did not end, and these files stay as they are now:", *written]))
            raise
        if not outcome.failed:
            remove_file(home.plan)
        return outcome


def read_plan(home: Home) -> StoredPlan:
    """Return the plan that was shown last.

    Raises:
        PlanError: there is none, or it is of another version.
    """
    try:
        plan = msgspec.json.decode(
            home.plan.read_bytes(), type=StoredPlan, dec_hook=lambda kind, text: kind(text)
        )
    except FileNotFoundError:
        raise PlanError(f"{home.plan}: no plan was shown; run `recsys plan{home.option}` first") from None
    except (OSError, msgspec.MsgspecError) as error:
        raise PlanError(
            f"{home.plan}: cannot be read ({error}); run `recsys plan{home.option}` again"
        ) from None
    if plan.version != _VERSION:
        raise PlanError(f"{home.plan}: of another version; run `recsys plan{home.option}` again")
    return plan


def state_of(home: Home, proposal: ProposedChange) -> dict[str, str]:
    """Return each input of a plan in words, and its fingerprint now.

    Raises:
        RecsysError: the settings, the rules or the source cannot be read.
    """
    settings = load_or_default_settings(home)
    inputs, source = Inputs(home, settings), _proposed_settings(home, proposal).source
    state: dict[str, Any] = {
        _SETTINGS: _settings_content(settings),
        _RULES: rules_fingerprint(home),
        "the golden users": _content(home.golden_file),
        "the cases of the rules": _content(home.rules_file.with_name(CASES_FILE)),
        "the files of the source": state_on_disk(source) or source_of(source).fingerprint(),
        _RESULTS[RAW]: [(day, file.checksum) for day, file in inputs.raw_files.items()],
        _RESULTS[CLEANED]: [(day, file.checksum) for day, file in inputs.interaction_files.items()],
        _RESULTS[CATALOGUE]: written_inputs(home.catalogue),
        "the code": sorted(CODE_VERSIONS.items()),
        "the proposed settings": _content(proposal.settings_file),
        "the proposed rules": _content(proposal.rules_file),
    }
    state |= {_RESULTS[name]: written_inputs(home.artifact(name)) for name in ASSETS}
    return {name: fingerprint([value]) for name, value in state.items()}


def _results(staged: Staged, proposal: ProposedChange) -> dict[str, list[str]]:
    """Return the fingerprints of the files that a plan writes: the settings, then those with the source's days."""
    wanted = [staged.settings]
    if proposal.settings_file is not None:
        wanted.append(read_settings(proposal.settings_file))
    return {
        _SETTINGS: [fingerprint([_settings_content(settings)]) for settings in wanted],
        _RULES: [fingerprint([rules_fingerprint(staged.home)])],
    }


def _is_own(plan: StoredPlan, name: str, now: str) -> bool:
    """Return whether an input that is not as it was shown is the work of the plan itself."""
    made = {_RESULTS[step.stage] for step in plan.build.steps if step.stage in _RESULTS}
    return name in made or now in plan.results.get(name, [])


def _settings_content(settings: Settings) -> bytes:
    return msgspec.json.encode(settings)


def _proposed_settings(home: Home, proposal: ProposedChange) -> Settings:
    """Return the settings that will be; the home's where the proposed file is not there any more."""
    if proposal.settings_file is None or not proposal.settings_file.is_file():
        return load_or_default_settings(home)
    return read_settings(proposal.settings_file)


def _content(file: Path | None) -> str:
    if file is None:
        return ""
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "gone"


def _write_files(home: Home, proposal: ProposedChange) -> list[str]:
    """Write the proposed files to the home, and return a line on each."""
    lines = []
    for given, target in (
        (proposal.settings_file, home.settings_file),
        (proposal.rules_file, home.rules_file),
    ):
        if given is None or given == target:
            continue
        kept = home.before_plan / target.name
        said = f"{target}: written from {given}"
        if target.exists():
            make_folder(home.before_plan)
            shutil.copyfile(target, kept)
            said += f"; the one before is {kept}"
        replace_file(target, given.read_bytes())
        lines.append(said)
    return lines
