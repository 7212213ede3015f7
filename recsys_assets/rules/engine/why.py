"""Why an item is, or is not, in a list: the rule that dropped it, or its rank."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from recsys_assets.rules.engine.filtering import BY_STATE
from recsys_assets.rules.engine.pipeline import Engine, Pipeline
from recsys_assets.rules.engine.requests import Request
from recsys_assets.rules.engine.trace import ItemRecord, RequestTrace

Verdict = Literal["shown", "ranked below", "dropped", "no candidate"]


@dataclass(frozen=True, kw_only=True)
class Why:
    """The fate of one item, and its reason."""

    verdict: Verdict
    """`shown` in the list; `ranked below` it; `dropped` by a rule; `no candidate`: no source brought it."""
    words: str
    """The same as a sentence."""
    rank: int | None
    """Its place, from 1, where it was ranked."""
    rules: list[tuple[str, str]]
    """(stage, rule) that dropped it; for `no candidate` all that would have."""
    relevance_rank: int | None
    """Its place in the whole catalogue by relevance alone, from 1; None for a stranger."""
    values: Mapping[str, Any]
    """The values that the rules that dropped it read: its columns and `user.` features."""
    record: ItemRecord
    """Its part of the trace."""
    trace: RequestTrace
    """The whole request."""


def why(engine: Engine, pipeline: Pipeline, request: Request, num: int) -> Why:
    """Return the fate of the item `num` in `pipeline` for this request."""
    answer, trace = pipeline.explain(request)
    record = trace.items.get(num, ItemRecord(num=num))
    rules: list[tuple[str, str]] = []
    k = len(answer.nums)
    if record.rank is not None:
        verdict: Verdict = "shown" if num in answer.nums else "ranked below"
        words = f"It is at place {record.rank}" + ("." if verdict == "shown" else f"; the list has {k}.")
    elif record.dropped_by is not None:
        verdict, rules = "dropped", [(record.dropped_by, record.why or "")]
        words = f"The rule “{record.dropped_by}” dropped it: {record.why}."
        if record.dropped_by == BY_STATE:
            words = f"Its state leaves it out: {record.why}."
    else:
        verdict, rules = "no candidate", _would_drop(engine, pipeline, request, num)
        words = "No source brought it."
        if rules:
            words += f" The rule “{rules[0][0]}” would drop it too: {rules[0][1]}."
    return Why(
        verdict=verdict,
        words=words,
        rank=record.rank,
        rules=rules,
        relevance_rank=_relevance_rank(engine, pipeline, request, num),
        values=_values(engine, pipeline, request, num, [name for name, _ in rules]),
        record=record,
        trace=trace,
    )


def _would_drop(engine: Engine, pipeline: Pipeline, request: Request, num: int) -> list[tuple[str, str]]:
    nums = np.array([num], dtype=np.int32)
    user = pipeline.user_features(request)
    found = [
        (bound.name, bound.rule) for bound in pipeline.filters.bound if not bound.keep(nums, request, user)[0]
    ]
    said = {BY_STATE: engine.plain.lookups.states.why_gone(num)}
    of_request = pipeline.filters.of_request(nums, request)
    return found + [(name, said.get(name) or name) for name, mask in of_request if not mask[0]]


def _relevance_rank(engine: Engine, pipeline: Pipeline, request: Request, num: int) -> int | None:
    asker = pipeline.asker(request)
    if asker is None:
        return None
    scores_I = asker.products(np.arange(len(engine.release.items), dtype=np.int32))
    return int((scores_I > scores_I[num]).sum()) + 1


def _values(
    engine: Engine, pipeline: Pipeline, request: Request, num: int, stages: list[str]
) -> dict[str, Any]:
    expressions = [
        stage.expression
        for stage in pipeline.scenario.filters
        if stage.name in stages and stage.expression is not None
    ]
    item = engine.release.features.item(engine.release.items[num]) or {}
    user = pipeline.user_features(request)
    found = {name: item.get(name) for one in expressions for name in sorted(one.item_columns())}
    return found | {
        f"user.{name}": user.get(name) for one in expressions for name in sorted(one.user_columns())
    }
