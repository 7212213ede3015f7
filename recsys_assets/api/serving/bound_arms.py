"""Arms of experiments, ready to answer: each bound to a release and, where it names one, to a rules file."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from recsys_assets.experiments.arms import ArmDraw
from recsys_assets.experiments.experiments_file import INTERLEAVED, Experiment
from recsys_assets.release.answer_counts import PLAIN, POPULAR
from recsys_assets.release.answer_series import ArmName, by_scenario
from recsys_assets.rules.engine.pipeline import Engine
from recsys_assets.rules.engine.requests import Answer, Request

if TYPE_CHECKING:
    from recsys_assets.api.serving.serving_release import Serving


class Made(NamedTuple):
    """A list that an arm made."""

    answer: Answer
    """By item number of the arm's release."""
    kind: str
    """The kind of list, as `HourlyAnswers.list`."""
    scenario: str | None
    """Name of the scenario that made it; None without rules."""
    rules: str | None
    """Version of its rules."""
    seen_version: str = ""
    """Of the item states that its rules see as columns."""
    by_showings: bool = False
    """The items shown to the user count."""


Maker = Callable[[Request, bool], Made]
"""Makes the list for a request; the second argument says whether it may take long, else `WouldBlockError` is raised."""


class BoundArm(msgspec.Struct, frozen=True, kw_only=True):
    """One arm."""

    name: ArmName | None
    """Its experiment and name; None for users of an ended arm, who get the control's lists."""
    serving: "Serving"
    """The release that answers."""
    engine: Engine | None = None
    """The rules file that answers; None for the rules in force."""
    popular: bool = False
    """Answer with popular items."""
    other: "BoundArm | None" = None
    """The second arm, where the lists of two are interleaved."""
    teams: tuple[str, str] = ("", "")
    """Names of both arms then."""

    @property
    def is_served_anyway(self) -> bool:
        """True where an unnamed arm answers as the release with the rules in force does."""
        return self.name is None and self.engine is None and not self.popular

    @property
    def tag(self) -> str:
        """Its part of an entity tag."""
        return "" if self.name is None else f"-{self.name.experiment}.{self.name.arm}"

    @property
    def members(self) -> str:
        """JSON members of an answer, each followed by a comma."""
        if self.name is None:
            return ""
        return f'"experiment":"{self.name.experiment}","arm":"{self.name.arm}",'

    async def maker(self, scenario: str | None) -> Maker:
        """Return the function that makes this arm's lists.

        Args:
            scenario: name of the scenario that the request names; None for none.

        Raises:
            RulesError: the rules have no such scenario.
            ReleaseError: the release's rules cannot be bound.
        """
        plain = self.serving.plain
        if self.popular:
            return lambda request, _: Made(
                plain.popular(request, seen=self._seen(request)), POPULAR, None, None
            )
        if self.engine is None and scenario is None:
            return lambda request, may_block: Made(
                plain.recommend(request, may_block=may_block), PLAIN, None, None
            )
        engine = self.engine or await self.serving.rules.engine()
        pipeline = engine.scenario(scenario)
        name = pipeline.scenario.name
        return lambda request, may_block: Made(
            pipeline.recommend(request, may_block=may_block),
            by_scenario(name),
            name,
            engine.version,
            engine.seen_version,
            bool(pipeline.fatigue),
        )

    def request_of(self, request: Request, asker: "Serving") -> Request:
        """Return a request by the numbers of this arm's release, which another one's numbers are not.

        Args:
            request: by the numbers of `asker`.
            asker: the release that the request was made for.
        """
        if asker is self.serving or request.user_id is None:
            return request
        ids = asker.release.items
        return msgspec.structs.replace(
            request,
            user_num=self.serving.release.users.num_of(request.user_id),
            session=self.serving.since(request.user_id).wishes,
            exclude=self.serving.item_nums([ids[num] for num in request.exclude]),
            features=None,
        )

    def _seen(self, request: Request) -> list[int]:
        num = request.user_num
        seen = [] if num is None else self.serving.release.seen(num).tolist()
        return [*request.session, *seen]


class BoundExperiment:
    """An experiment in force: whose list comes from where. It never changes; threads may share it."""

    def __init__(self, experiment: Experiment, arms: Mapping[str, BoundArm], *, ended: bool) -> None:
        """Prepare the draw of arms.

        Args:
            experiment: the experiment.
            arms: an arm's name -> the arm that answers its users.
            ended: a guard rail ended an arm.
        """
        self.experiment = experiment
        self._draw = ArmDraw(experiment)
        self._arms = arms
        self._both: BoundArm | None = None
        if experiment.kind == "interleave" and not ended:
            first, second = (arms[arm.name] for arm in experiment.arms)
            name = ArmName(experiment.name, INTERLEAVED)
            teams = (experiment.arms[0].name, experiment.arms[1].name)
            self._both = msgspec.structs.replace(first, name=name, other=second, teams=teams)

    def arm_of(self, user_id: str) -> BoundArm | None:
        """Return the arm that answers a user; None where nothing is different for this one."""
        drawn = self._draw.of(user_id)
        if drawn is None:
            return None
        if self._both is not None:
            return self._both
        arm = self._arms[drawn.name]
        return None if arm.is_served_anyway else arm
