"""The experiments in force, as their file, the log of ends, releases and the date change.

A file that is not valid leaves the last good one in force. An experiment whose arms cannot all be served is not in
force at all: a share of its users on another list than planned would spoil the comparison without a word.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from recsys_assets.api.serving.bound_arms import BoundArm, BoundExperiment
from recsys_assets.errors import ExperimentsError, ReleaseError, RulesError
from recsys_assets.experiments.experiments_file import (
    MOST_EXTRA_RELEASES,
    POPULAR,
    Arm,
    missing_parts,
)
from recsys_assets.experiments.last_good_experiments import keep_last_good, last_good
from recsys_assets.experiments.model_releases import newest_of_models
from recsys_assets.experiments.standing import Standing, standing_of
from recsys_assets.release.answer_series import ArmName
from recsys_assets.release.current import RECALLED_FILE
from recsys_assets.release.rewritten import id_now
from recsys_assets.rules.engine.pipeline import Engine
from recsys_assets.rules.rules_file import load_engine
from recsys_assets.rules.rules_stamp import rules_stamp

if TYPE_CHECKING:
    from recsys_assets.api.serving.live import Live
    from recsys_assets.api.serving.serving_release import Serving

log = logging.getLogger("recsys.api")

_NONE: Final[Mapping[str | None, BoundExperiment]] = {}


class FollowedExperiments:
    """The experiments in force in one process."""

    def __init__(self, live: "Live", clock: Callable[[], datetime]) -> None:
        """Follow nothing yet; `clock` returns the time, UTC."""
        self._live = live
        self._clock = clock
        self.standings: Sequence[Standing] = ()
        """Every experiment of the last good file, with its ends."""
        self._seen: tuple[object, ...] | None = None
        self._was_read = False
        self.beside: Mapping[str, Serving] = {}
        """Id -> a release that answers beside the served one."""
        self._engines: dict[Path, tuple[tuple[object, ...], Engine]] = {}
        self.running: Mapping[str | None, BoundExperiment] = _NONE
        """Scenario, or None for requests without one -> the experiment that it is in."""
        self.problems: Mapping[str, str] = {}
        """Experiment -> why it is not in force though it should be."""
        self._problem: ExperimentsError | None = None

    def today(self) -> date:
        """Return the UTC day."""
        return self._clock().astimezone(UTC).date()

    @property
    def file_problem(self) -> str | None:
        """Why the newest `experiments.toml` is not in force; None where it is."""
        return None if self._problem is None else str(self._problem)

    def refresh(self) -> None:
        """Take up changes; cheap where nothing changed.

        Raises:
            ExperimentsError: the file or the log of ends cannot be read, and the last good ones stay in force; or an
                experiment is not in force, and the others are.
        """
        for serving in self.beside.values():
            serving.rules.refresh()
        seen = self._stamps()
        if seen != self._seen:
            self._seen = seen
            self._read()
            self._bind()
        if self._problem is not None:
            raise self._problem
        if self.problems:
            raise ExperimentsError("; ".join(self.problems.values()))

    def _read(self) -> None:
        home = self._live.home
        try:
            self.standings, self._problem = standing_of(home), None
            keep_last_good(home)
        except ExperimentsError as error:
            if not self._was_read:
                self.standings = last_good(home)
            self._problem = error
        self._was_read = True

    def _stamps(self) -> tuple[object, ...]:
        """Return values that are others after anything changed that decides who answers."""
        home = self._live.home
        if not self.standings and not home.experiments_file.exists():
            return ()
        files = [home.experiments_file, home.experiments_log, home.releases / RECALLED_FILE, home.releases]
        rules = {arm.rules for one in self.standings for arm in one.experiment.arms if arm.rules}
        serving = self._live.serving
        return (
            self.today(),
            serving,
            None if serving is None else serving.states.version,
            *map(_stamp, files),
            *(rules_stamp(home, home.root / name) for name in sorted(rules)),
        )

    def _bind(self) -> None:
        """Bind the arms of every experiment that runs today, and let go of what none needs any more."""
        running: dict[str | None, BoundExperiment] = {}
        problems: dict[str, str] = {}
        needed: dict[str, Serving] = {}
        today = self.today()
        for standing in self.standings:
            one = standing.experiment
            if standing.state(today) != "running":
                continue
            try:
                running[one.scenario] = self._bound(standing, needed)
            except (ExperimentsError, ReleaseError, RulesError) as error:
                problems[one.name] = str(error)
                log.warning("experiment not in force", extra={"experiment": one.name, "why": str(error)})
        self.beside = needed
        if not running:
            self._engines.clear()
        if running.keys() != self.running.keys():
            names = [one.experiment.name for one in running.values()]
            log.info("experiments in force", extra={"experiments": names})
        self.running, self.problems = running, problems

    def _bound(self, standing: Standing, needed: dict[str, "Serving"]) -> BoundExperiment:
        """Return an experiment in force; releases that it opens are added to `needed`.

        Raises:
            ExperimentsError, ReleaseError, RulesError: an arm cannot be served.
        """
        one = standing.experiment
        missing = missing_parts(self._live.home, one)
        if missing is not None:
            raise ExperimentsError(missing)
        opened = dict(needed)
        control = self._arm(one.name, one.control, opened, one.scenario)
        arms = {one.control.name: control}
        for arm in one.arms[1:]:
            if arm.name in standing.ended:
                arms[arm.name] = BoundArm(
                    name=None, serving=control.serving, engine=control.engine, popular=control.popular
                )
            else:
                arms[arm.name] = self._arm(one.name, arm, opened, one.scenario)
        needed.update(opened)
        return BoundExperiment(one, arms, ended=bool(standing.ended))

    def _arm(self, experiment: str, arm: Arm, opened: dict[str, "Serving"], scenario: str | None) -> BoundArm:
        live = self._live
        serving = live.serving
        if serving is None:
            raise ReleaseError("no release is loaded; see /health/ready")
        release_id = None if arm.release is None else id_now(live.store.root, arm.release)
        if arm.model is not None and arm.model != POPULAR:
            newest = newest_of_models(live.store)
            release_id = newest.get(arm.model)
            if release_id is None:
                known = ", ".join(sorted(newest)) or "none"
                raise ExperimentsError(
                    f"{experiment}: arm {arm.name}: no release has the model {arm.model!r}; there are: {known}"
                )
        if release_id is not None and release_id != serving.release_id:
            serving = self._opened(release_id, opened)
        engine = None if arm.rules is None else self._engine(serving, live.home.root / arm.rules)
        if engine is not None:
            engine.scenario(scenario)
        return BoundArm(
            name=ArmName(experiment, arm.name), serving=serving, engine=engine, popular=arm.model == POPULAR
        )

    def _opened(self, release_id: str, opened: dict[str, "Serving"]) -> "Serving":
        if release_id not in opened:
            if len(opened) >= MOST_EXTRA_RELEASES:
                raise ExperimentsError(
                    f"release {release_id}: experiments need more than {MOST_EXTRA_RELEASES} releases beside the"
                    " served one on this day; end one of them"
                )
            kept = self.beside.get(release_id)
            if kept is not None and (fault := self._live.store.fault(release_id)) is not None:
                raise ReleaseError(fault)
            opened[release_id] = kept or self._live.load_beside(release_id)
        return opened[release_id]

    def _engine(self, serving: "Serving", file: Path) -> Engine:
        stamp = (*rules_stamp(self._live.home, file), serving.states.version)
        kept = self._engines.get(file)
        if kept is not None and kept[0] == stamp and kept[1].release is serving.release:
            return kept[1]
        engine = load_engine(serving.release, home=self._live.home, path=file, plain=serving.plain)
        self._engines[file] = (stamp, engine)
        return engine


def _stamp(file: Path) -> tuple[int, ...]:
    try:
        found = file.stat()
    except OSError:
        return ()
    return (found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns)
