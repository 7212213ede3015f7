"""Commands on releases, plans, replays and exports under which the disk fails, and what is kept about them.

Days, events and keys are in `fault_scenarios`.
"""

import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Final

import polars as pl

from recsys_assets.benchmarks.fault_scenarios import (
    CommandEnd,
    FaultScenario,
    HomeState,
    days_state,
    digest,
    home_of,
    in_turn,
    prepare_days,
    publish_source,
    recsys,
    spoken,
)
from recsys_assets.benchmarks.serving_worlds import publish_synthetic
from recsys_assets.errors import StorageError
from recsys_assets.exports.export_lists import ExportRequest, export_lists
from recsys_assets.notices.delivery import send_notice
from recsys_assets.notices.outbox import Notice, Outbox
from recsys_assets.notify_settings import NotifySettings
from recsys_assets.orchestration.build_outcome import BuildOutcome, StageRow
from recsys_assets.orchestration.planning.applying import make_plan, read_plan
from recsys_assets.orchestration.planning.build_plan import ProposedChange
from recsys_assets.orchestration.replay_report import begin_replay, end_replay, kept_replays
from recsys_assets.release.answer_counts import HourlyAnswers, add_answers, read_answers
from recsys_assets.release.current import read_recalled
from recsys_assets.release.gate_report import GateReport, GateResult, read_gate, write_gate
from recsys_assets.release.publish import publish
from recsys_assets.release.recalls import read_recalls
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.settings import Settings, load_settings
from recsys_assets.source_settings import SourceSettings
from recsys_assets.storage.locks import build_lock

_DAY: Final = date(2024, 5, 1)
_USERS: Final = 20
_ITEMS: Final = 30
_COUNTED: Final = 4
_HOUR: Final = "2024-05-01T10"
_AT: Final = datetime(2024, 5, 2, tzinfo=UTC)
_LEAST: Final = 0.28
_WEBHOOK: Final = NotifySettings(webhooks=["http://127.0.0.1:9/hook"])


def _prepare_release(place: Path) -> None:
    publish_synthetic(home_of(place), users=_USERS, items=_ITEMS, size=8)


def prepare_releases(place: Path) -> None:
    """Publish four releases and promote two of them, so that one can be pruned."""
    _prepare_release(place)
    _publish(place, 1)
    for number in (2, 3):
        _publish(place, number, promote=False)


def _publish(place: Path, number: int = 1, *, promote: bool = True) -> str:
    """Publish the same artifacts as made from a day of other content: another release. Return its id."""
    home = home_of(place)
    manifest = publish(
        home,
        parts={name: home.artifact(name) for name in ("embeddings", "features", "index")},
        settings=Settings(source=SourceSettings(spec="tabular:synthetic", first_day=_DAY, last_day=_DAY)),
        lineage={_DAY: f"{number:064x}"},
        created_at=datetime(2030, 5, number, tzinfo=UTC),
        promote=promote,
    )
    return manifest.release_id


def newest_release(place: Path) -> str:
    """Return the id of the release that was published last."""
    found = ReleaseStore(home_of(place).releases).list()
    return max(found, key=lambda manifest: manifest.created_at).release_id


def _promote(place: Path) -> CommandEnd:
    return recsys("releases", "promote", "--home", home_of(place).root, newest_release(place))


def _prune(place: Path) -> CommandEnd:
    return recsys("releases", "prune", "--home", home_of(place).root, "--keep", "1")


def _recall(place: Path) -> CommandEnd:
    return recsys("releases", "recall", "--home", home_of(place).root, f"{_DAY}", "--why", "prices in cents")


def releases_state(place: Path) -> HomeState:
    """Return the current release, each whole release, and the recalled days.

    Raises:
        BrokenReleaseError: a release that is listed is not whole.
        ReleaseError: the current one is not there.
    """
    store = ReleaseStore(home_of(place).releases)
    state = HomeState(current=store.current_id())
    store.verify(state["current"])
    for manifest in store.list():
        state[f"release {manifest.release_id}"] = len(store.verify(manifest.release_id).files)
    for recalled in read_recalled(store.root):
        state[f"recalled {recalled.day} {recalled.checksum[-1]}"] = recalled.why
    return state


def _recalls_state(place: Path) -> HomeState:
    """Return the state of the releases, the record of each recall and its notice."""
    home = home_of(place)
    state = releases_state(place)
    for number, recall in enumerate(read_recalls(home)):
        state[f"recall {number}"] = (recall.days, recall.releases, recall.before, recall.current)
    return {**state, **_notices_state(place)}


def _answers(place: Path) -> CommandEnd:
    """Count answers, those that are not counted yet, a transaction each."""

    def act() -> None:
        file = home_of(place).answers_db
        for number in range(len(_answers_state(place)), _COUNTED):
            add_answers(file, [HourlyAnswers("20240501-0123456789", f"scenario:{number}", _HOUR, 3)])

    return spoken(act)


def _answers_state(place: Path) -> HomeState:
    """Return the number of answers of each list."""
    return {f"answers {one.list}": one.answers for one in read_answers(home_of(place).answers_db)}


def _notices(place: Path) -> CommandEnd:
    """Keep notices of two causes each."""

    def act() -> None:
        for number in range(_COUNTED):
            notice = Notice(
                id=f"notice-{number}",
                at=_AT,
                kind="failed_build",
                subject=f"Build {number} failed",
                text="Look.",
            )
            send_notice(home_of(place), _WEBHOOK, notice, causes=[f"{number} a", f"{number} b"])

    return spoken(act)


def _notices_state(place: Path) -> HomeState:
    """Return the subject of each notice, and the state of each delivery."""
    home = home_of(place)
    if not home.notices_db.exists():
        return {}
    with Outbox(home.notices_db) as outbox:
        state = {f"notice {n}": notice.subject for n, notice in enumerate(outbox.notices())}
        return {**state, **{f"delivery {n}": one.state for n, one in enumerate(outbox.deliveries())}}


def _gate(place: Path) -> CommandEnd:
    """Write the gate's report on each release again."""

    def act() -> None:
        for manifest in ReleaseStore(home_of(place).releases).list():
            _report(place, manifest.release_id, ndcg=0.3)

    return spoken(act)


def _prepare_gate(place: Path) -> None:
    prepare_releases(place)
    for manifest in ReleaseStore(home_of(place).releases).list()[:2]:
        _report(place, manifest.release_id, ndcg=0.1)


def _report(place: Path, release: str, *, ndcg: float) -> None:
    result = GateResult(name="held_out", passed=ndcg > _LEAST, value=ndcg, bound=_LEAST, detail="NDCG@10")
    report = GateReport(release=release, against=None, at=_AT, passed=result.passed, results=[result])
    write_gate(home_of(place).releases, report)


def _gate_state(place: Path) -> HomeState:
    """Return the figure in the report on each release."""
    root = home_of(place).releases
    reports = (read_gate(root, manifest.release_id) for manifest in ReleaseStore(root).list())
    return {f"gate of {one.release}": one.results[0].value for one in reports if one is not None}


def _plan(place: Path) -> CommandEnd:
    return spoken(lambda: make_plan(home_of(place), ProposedChange(), seconds=0))


def _plan_state(place: Path) -> HomeState:
    """Return the stages of the plan that is kept, and the landed days, which it leaves alone."""
    home = home_of(place)
    plan = {"plan": [step.stage for step in read_plan(home).build.steps]} if home.plan.exists() else {}
    return {**plan, **days_state(place)}


def _replay(place: Path) -> CommandEnd:
    """Land the days again, and report on it as a replay does, without what follows from them."""

    def act() -> None:
        home = home_of(place)
        settings = load_settings(home)
        with build_lock(home):
            begun = begin_replay(home, settings, settings.source.days(), at=_AT, training="full", who="ann")
            end = publish_source(place)
            if end.failed:
                raise StorageError((end.text or end.traceback).strip())
            end_replay(home, settings, _Silent(), begun, BuildOutcome())

    return spoken(act)


class _Silent:
    """Shows nothing."""

    def begin(self, stage: str, detail: str) -> None: ...
    def report(self, stage: str, done: int, total: int) -> None: ...
    def end(self, row: StageRow) -> None: ...
    def say(self, text: str) -> None: ...


def _replay_state(place: Path) -> HomeState:
    """Return the days, and the report on each replay."""
    reports = {
        f"replay {report.replay}": [
            (day.day, day.state, day.raw_before, day.raw_after) for day in report.days
        ]
        for report in kept_replays(home_of(place))
    }
    return {**days_state(place), **reports}


def _targets(place: Path) -> list[str]:
    database = f"sqlite:{place / 'lists.db'}?table=lists"
    return [*(f"{place / name}" for name in ("lists.parquet", "lists.csv.gz", "lists.jsonl")), database]


def _prepare_exports(place: Path) -> None:
    """Export lists of three items."""
    _prepare_release(place)
    for target in _targets(place):
        export_lists(home_of(place), ExportRequest(to=target, k=3))


def _export(place: Path) -> CommandEnd:
    """Export lists of five items."""
    home = home_of(place).root
    return in_turn(
        partial(recsys, "export", "--home", home, "--to", target, "-k", "5") for target in _targets(place)
    )


def exports_state(place: Path) -> HomeState:
    """Return the lists in each target."""
    with closing(sqlite3.connect(place / "lists.db")) as connection:
        rows = connection.execute("SELECT user_id, item_id FROM lists ORDER BY 1, 2").fetchall()
    files = {
        "parquet": pl.read_parquet(place / "lists.parquet"),
        "csv": pl.read_csv(place / "lists.csv.gz"),
        "jsonl": pl.read_ndjson(place / "lists.jsonl"),
    }
    found = {name: digest(lists.select("user_id", "item_id").rows()) for name, lists in files.items()}
    return {**found, "sqlite": digest(rows)}


SCENARIOS: Final = (
    FaultScenario(
        name="publish",
        prepare=_prepare_release,
        run=lambda place: spoken(lambda: _publish(place)),
        state=releases_state,
    ),
    FaultScenario(name="promote", prepare=prepare_releases, run=_promote, state=releases_state),
    FaultScenario(name="recall", prepare=prepare_releases, run=_recall, state=_recalls_state),
    FaultScenario(name="gate", prepare=_prepare_gate, run=_gate, state=_gate_state),
    FaultScenario(
        name="answers", prepare=lambda place: home_of(place).root.mkdir(), run=_answers, state=_answers_state
    ),
    FaultScenario(
        name="notices", prepare=lambda place: home_of(place).root.mkdir(), run=_notices, state=_notices_state
    ),
    FaultScenario(name="plan", prepare=prepare_days, run=_plan, state=_plan_state),
    FaultScenario(name="replay", prepare=prepare_days, run=_replay, state=_replay_state),
    FaultScenario(name="prune", prepare=prepare_releases, run=_prune, state=releases_state),
    FaultScenario(name="export", prepare=_prepare_exports, run=_export, state=exports_state),
)
