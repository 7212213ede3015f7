"""Experiments over HTTP: what runs, what is known about each arm after each day, and the verdict in words."""

from typing import Annotated, Any

from litestar import get
from litestar.exceptions import NotFoundException
from litestar.openapi.spec import Example
from litestar.params import Parameter
from litestar.types import ASGIApp

from recsys_assets.api.http.bodies import NO_STORE, Reply, encode
from recsys_assets.api.openapi import answers, release_headers
from recsys_assets.api.schemas.experiment_schemas import (
    ExperimentArm,
    ExperimentDetail,
    ExperimentList,
    ExperimentSummary,
)
from recsys_assets.api.serving.service import ServiceController
from recsys_assets.experiments.results import ExperimentResult, read_result
from recsys_assets.experiments.standing import Standing

NamePath = Annotated[
    str, Parameter(description="Name of the experiment.", examples=[Example(value="new_ranking")])
]


class ExperimentController(ServiceController):
    """The experiments of `experiments.toml`, and their results."""

    tags = ("Experiments",)

    @get(
        "/experiments",
        summary="The experiments and their verdicts",
        description="Those of the experiments.toml in force, in its order; a change of it counts within a second.",
        operation_id="listExperiments",
        responses=answers(ExperimentList),
        response_headers=release_headers(),
        sync_to_thread=True,
    )
    def experiments(self) -> ASGIApp:
        serving, followed = self.service.serving(), self.service.live.experiments
        found = [ExperimentSummary(**self._summary(one, self._result(one))) for one in followed.standings]
        problem = self.service.without_paths(followed.file_problem)
        body = encode(ExperimentList(release=serving.release_id, problem=problem, experiments=found))
        return Reply(body, release=serving.release_header, cache=NO_STORE)

    @get(
        "/experiments/{name:str}",
        summary="One experiment: arms, curve over days, verdict",
        description="Each arm's metric after each day, its difference from the control and an interval of it. All "
        "intervals hold together with probability 1 - alpha, so it may be looked at every day and stopped at any.",
        operation_id="showExperiment",
        responses=answers(ExperimentDetail, also=(404,)),
        response_headers=release_headers(),
        sync_to_thread=True,
    )
    def experiment(self, name: NamePath) -> ASGIApp:
        serving, followed = self.service.serving(), self.service.live.experiments
        standing = next((one for one in followed.standings if one.experiment.name == name), None)
        if standing is None:
            raise NotFoundException(f"no experiment {name!r}; see GET /v1/experiments")
        one, result = standing.experiment, self._result(standing)
        body = ExperimentDetail(
            **self._summary(standing, result),
            release=serving.release_id,
            arms=[
                ExperimentArm(
                    name=arm.name,
                    share=arm.share,
                    release=arm.release,
                    rules=arm.rules,
                    model=arm.model,
                    ended=end.at if (end := standing.ended.get(arm.name)) else None,
                    why=end.why if end else None,
                )
                for arm in one.arms
            ],
            guards=list(one.guards),
            judged_at=None if result is None else result.judged_at,
            days=[] if result is None else result.days,
        )
        return Reply(encode(body), release=serving.release_header, cache=NO_STORE)

    def _result(self, standing: Standing) -> ExperimentResult | None:
        return read_result(self.service.live.home, standing.experiment.name)

    def _summary(self, standing: Standing, result: ExperimentResult | None) -> dict[str, Any]:
        one, followed = standing.experiment, self.service.live.experiments
        return {
            "name": one.name,
            "state": standing.state(followed.today()),
            "kind": one.kind,
            "metric": one.metric,
            "scenario": one.scenario,
            "start": one.start,
            "end": one.end,
            "alpha": one.alpha,
            "problem": self.service.without_paths(followed.problems.get(one.name)),
            "stopped": None if standing.stopped is None else standing.stopped.why,
            "words": [] if result is None else result.words,
        }
