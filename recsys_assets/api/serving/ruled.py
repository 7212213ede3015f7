"""Answers by a scenario of the rules: run on or off the event loop, and written as JSON."""

import asyncio
from collections.abc import Sequence

from recsys_assets.api.http.bodies import encode, quoted
from recsys_assets.api.schemas.recommendation_schemas import Effect, Item, ItemTrace, StageTrace, Trace
from recsys_assets.api.serving.live import Serving
from recsys_assets.api.serving.queries import Ranked
from recsys_assets.api.serving.scenarios import as_ranked
from recsys_assets.api.serving.service import Service
from recsys_assets.release.load import Release
from recsys_assets.rules.engine import trace as recorded
from recsys_assets.rules.engine.pipeline import NeedsTimeError
from recsys_assets.rules.engine.requests import Asked
from recsys_assets.rules.engine.trace import Recorder

HISTORY_FOR_REASONS = 300
"""Most recent items of a history that a reason may name."""


class Ruled:
    """One answer by a scenario."""

    __slots__ = ("found", "scenario", "trace", "version")

    def __init__(self, found: Ranked, *, scenario: str, version: str, trace: recorded.Trace | None) -> None:
        self.found = found
        self.scenario = scenario
        self.version = version
        self.trace = trace

    def body(self, lead: str, serving: Serving, reason_items: list[int] | None) -> bytes:
        """The JSON body; `lead` are the members of this route only, `reason_items` what reasons name."""
        found = self.found
        if reason_items is None:
            items = serving.items.scored(found.nums, found.scores)
        else:
            nearest = serving.recommender.catalogue.nearest(found.nums, reason_items[:HISTORY_FOR_REASONS])
            items = serving.items.because(found.nums, found.scores, nearest)
        body = (
            f'{{"release":"{serving.release_id}",{lead},"scenario":"{self.scenario}","rules":"{self.version}",'
            f'"source":"{found.source}","reason":{"null" if found.reason is None else quoted(found.reason)},'
            f'"items":{items}'
        ).encode()
        if self.trace is not None:
            return body + b',"trace":' + encode(trace_json(self.trace, serving.recommender.release)) + b"}"
        return body + b"}"


async def run_scenario(
    service: Service, serving: Serving, name: str | None, asked: Asked, *, explain: bool
) -> Ruled:
    """Answer by a scenario, the default one where `name` is None.

    Raises:
        RulesError: there is no scenario of that name.
        ReleaseError: the release's rules cannot be bound.
    """
    engine = await serving.scenarios.engine()
    pipeline = engine.scenario(name)
    recorder = Recorder(pipeline.scenario.name) if explain else None
    try:
        answered = pipeline.recommend(asked, recorder=recorder, may_block=False)
    except NeedsTimeError:
        recorder = Recorder(pipeline.scenario.name) if explain else None
        answered = await asyncio.to_thread(pipeline.recommend, asked, recorder=recorder)
    return Ruled(
        service.count(serving, as_ranked(answered, asked)),
        scenario=pipeline.scenario.name,
        version=engine.version,
        trace=None if recorder is None else recorder.trace,
    )


def trace_json(trace: recorded.Trace, release: Release) -> Trace:
    """A trace by item id and name: ranked candidates first, in order, then what was dropped."""
    records = sorted(
        trace.items.values(), key=lambda record: (record.rank is None, record.rank or 0, record.num)
    )
    return Trace(
        stages=[
            StageTrace(
                section=stage.section,
                name=stage.name,
                kind=stage.kind,
                rule=stage.rule,
                items_in=stage.items_in,
                items_out=stage.items_out,
                ms=round(stage.ms, 4),
            )
            for stage in trace.stages
        ],
        items=[_item_trace(record, release) for record in records],
    )


def item_json(num: int, release: Release) -> Item:
    """An item by name."""
    return Item(
        item_id=release.items[num],
        title=release.titles[num] or None,
        category=release.categories[num] or None,
    )


def effects_json(pairs: Sequence[tuple[str, str]]) -> list[Effect]:
    """(stage, effect) pairs."""
    return [Effect(stage=stage, effect=effect) for stage, effect in pairs]


def _item_trace(record: recorded.ItemRecord, release: Release) -> ItemTrace:
    return ItemTrace(
        item_id=release.items[record.num],
        title=release.titles[record.num] or None,
        category=release.categories[record.num] or None,
        sources=record.sources,
        relevance=record.relevance,
        score=record.score,
        effects=effects_json(record.effects),
        dropped_by=record.dropped_by,
        why=record.why,
        rank=record.rank,
    )
