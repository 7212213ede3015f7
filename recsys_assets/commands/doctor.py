"""`recsys doctor`: the versions installed, the places of a home, the state of its assets, and the next step."""

import platform
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil
from rich.console import Console
from rich.table import Table

from recsys_assets.commands.server_facts import facts_of_servers
from recsys_assets.commands.shared import require_nothing_landed
from recsys_assets.commands.store_facts import facts_of_store
from recsys_assets.errors import (
    BrokenReleaseError,
    ItemStatesUnavailableError,
    ObjectStoreError,
    RecsysError,
    ReleaseError,
)
from recsys_assets.intake.newest_catalogue import read_newest
from recsys_assets.intake.state_store import StateStore
from recsys_assets.intake.state_takeover import compared
from recsys_assets.intake.states_of_home import shared_states_of
from recsys_assets.intake.stored_events import read_events
from recsys_assets.notices.outbox import Outbox
from recsys_assets.release.current import check_not_recalled, read_current
from recsys_assets.release.gate_report import newest_candidate
from recsys_assets.release.manifest import MANIFEST_FILE, read_manifest
from recsys_assets.settings import Settings, load_or_default_settings, load_settings
from recsys_assets.storage.day_folders import days_under
from recsys_assets.storage.home import Home

if TYPE_CHECKING:
    from recsys_assets.orchestration.fingerprints import Inputs
    from recsys_assets.orchestration.repair.damaged_releases import Damage

_PACKAGES: Final = (
    "recsys-assets",
    "dagster",
    "polars",
    "torch",
    "usearch",
    "litestar",
    "granian",
    "pandera",
)
_GIB: Final = 1 << 30


@dataclass(kw_only=True)
class Findings:
    """Facts, in order, and the next step."""

    facts: list[tuple[str, str]] = field(default_factory=list)
    """Name and state."""
    damage: list["Damage"] = field(default_factory=list)
    """Files that are missing or not as they were written."""
    next_step: str = ""
    """One command and its reason."""
    ledger_answers: bool = True
    """False where the ledger is on a server that cannot be used, so that nothing else waits for it."""


def examine(home: Home) -> Findings:
    """Examine the machine and the home; nothing is changed, and no broken file ends the examination."""
    found = Findings()
    found.facts += [("python", platform.python_version()), *((name, version(name)) for name in _PACKAGES)]
    memory, disk = psutil.virtual_memory(), shutil.disk_usage(_existing(home.root))
    found.facts.append(
        ("memory", f"{memory.available / _GIB:.1f} of {memory.total / _GIB:.1f} GiB available")
    )
    found.facts.append(("disk", f"{disk.free / _GIB:.1f} of {disk.total / _GIB:.1f} GiB free"))
    found.facts.append(("home", str(home.root)))
    with _named(found, "store"):
        found.facts += facts_of_store(home)
    try:
        settings = load_settings(home)
    except RecsysError as error:
        found.facts.append(("settings", str(error)))
        found.next_step = _way_to_settings(home)
        return found
    source = settings.source
    found.facts.append(("source", f"{source.spec}, {source.first_day} to {source.last_day}"))
    servers = facts_of_servers(home, settings)
    found.facts += servers.facts
    found.ledger_answers = servers.ledger_answers
    with _named(found, "notices"):
        found.facts += _facts_of_notices(home)
    with _named(found, "item states"):
        found.facts += _facts_of_states(home)
    try:
        _examine_assets(home, settings, found)
    except ObjectStoreError as error:
        found.next_step = f"mend the object store, or the way to it: {error}"
    if servers.next_step:
        found.next_step = servers.next_step
    return found


def _facts_of_notices(home: Home) -> list[tuple[str, str]]:
    """Return the notices that wait or were given up, and each target that did not get some."""
    if not home.notices_db.exists():
        return []
    with Outbox(home.notices_db) as outbox:
        left = {state: outbox.deliveries(state) for state in ("waiting", "given up")}
    counts = ", ".join(f"{len(found)} {state}" for state, found in left.items() if found)
    if not counts:
        return []
    worst = {one.shown: one.problem for found in left.values() for one in found if one.problem}
    see = f"; recsys notices list{home.option}" if left["given up"] else ""
    return [("notices", f"{counts}{see}"), *(("", f"{shown}: {why}") for shown, why in worst.items())]


def _facts_of_events(inputs: "Inputs") -> list[tuple[str, str]]:
    """Return the events by HTTP that have not landed."""
    from recsys_assets.lake.event_days import taken_through  # noqa: PLC0415  polars
    from recsys_assets.orchestration.landing_plan import days_with_new_events  # noqa: PLC0415  polars

    home = inputs.home
    waiting = sum(1 for _ in read_events(home.events_db, after_seq=taken_through(home)))
    days = len(days_with_new_events(inputs))
    parts = [f"{waiting:,} new ones"] if waiting else []
    parts += [f"those of {days:,} days have not landed"] if days else []
    return [("events by HTTP", f"{', '.join(parts)}; recsys land --events{home.option}")] if parts else []


def _facts_of_states(home: Home) -> list[tuple[str, str]]:
    """Return the number of items with a state, changes that wait, and the first that the catalogue contradicts."""
    now = datetime.now(UTC)
    waiting = None
    if (shared := shared_states_of(home)) is not None:
        with suppress(ItemStatesUnavailableError):  # an outage is a fact of the store
            shared.exchange(now)
        waiting = shared.waiting
    states = StateStore(home.item_states_db).refresh(now).states
    if not states and waiting is None:
        return []
    gone = sum(one.gone for one in states.values())
    facts = [("item states", f"{len(states)} items, {gone} of them off all lists")]
    if waiting is not None:
        facts.append(("", waiting))
    disagreements = compared(states, read_newest(home.catalogue_now)).disagreements
    if disagreements:
        more = f"; {len(disagreements)} in all: recsys items states{home.option}"
        facts.append(("", f"{disagreements[0].in_words()}{more}"))
    return facts


def _way_to_settings(home: Home) -> str:
    """Return the next step in a home without settings, or with broken ones."""
    try:
        load_or_default_settings(home)
        require_nothing_landed(home)
    except RecsysError as error:
        return str(error)
    return "recsys up: builds and serves the embedded default"


def print_findings(console: Console, found: Findings) -> None:
    """Print a table, and the next step below it."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, state in found.facts:
        table.add_row(name, state)
    console.print(table)
    lines = [*(f"Damaged: {damage}" for damage in found.damage), f"\nNext: {found.next_step}"]
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _recalled(home: Home, served: str | None) -> Iterator[str]:
    """Yield that the current release was built on recalled days, where no other was left."""
    if served is None or not (home.releases / served / MANIFEST_FILE).is_file():
        return
    try:
        check_not_recalled(home.releases, read_manifest(home.releases / served))
    except BrokenReleaseError:  # found as damage
        return
    except ReleaseError as error:
        yield str(error)


def _examine_assets(home: Home, settings: Settings, found: Findings) -> None:
    from recsys_assets.evaluation.model_choice import ModelChoice  # noqa: PLC0415  polars
    from recsys_assets.lake.home_account import home_account  # noqa: PLC0415  polars
    from recsys_assets.orchestration.fingerprints import Inputs  # noqa: PLC0415  polars
    from recsys_assets.orchestration.repair.damage import find_damage  # noqa: PLC0415  polars

    inputs = Inputs(home, settings)
    counted, partitions, landed = inputs.source_days, settings.source.days(), len(inputs.raw_store.days())
    total = len(partitions) if counted is None else sum(not counted.is_idle(day) for day in partitions)
    found.damage = list(find_damage(home, settings))
    with _named(found, "rows"):
        lines = home_account(home, settings.source).in_words() if found.ledger_answers else []
        if lines:
            headline = lines[0].removeprefix("Rows: ")
            found.facts += [("rows", headline), *(("", line) for line in lines[1:])]
    with _named(found, "events by HTTP"):
        found.facts += _facts_of_events(inputs)
    found.facts.append(("raw_interactions", f"{landed} of {total} days"))
    found.facts.append(("interactions", f"{len(inputs.interaction_store.days())} of {total} days"))
    rejected = [day.isoformat() for day in days_under(home.quarantine)]
    if rejected:
        noun = "day" if len(rejected) == 1 else "days"
        found.facts.append(("quarantine", f"{len(rejected)} {noun}, the first {rejected[0]}"))
    states = _states_of_artifacts(home, inputs)
    found.facts += states.items()
    if states["choice"] == "fresh":
        found.facts.append(("model", ModelChoice.load(home.artifact("choice")).in_words()))
    with _named(found, "current release"):
        served = read_current(home.releases)
        found.facts.append(("current release", served or "none"))
        found.facts += [("", fault) for fault in _recalled(home, served)]
    candidate = newest_candidate(home)
    if candidate is not None:
        found.facts.append(("kept back", candidate.in_words()))
    by_build = (
        landed < total or set(states.values()) != {"fresh"} or any(one.by_build for one in found.damage)
    )
    if by_build and found.damage:
        found.next_step = (
            f"recsys build{home.option}: mends the damage, and builds whatever is missing or stale"
        )
    elif rejected:
        found.next_step = f"recsys quarantine show {rejected[0]}{home.option}: see why the day was rejected"
    elif by_build:
        found.next_step = f"recsys build{home.option}: builds whatever is missing or stale"
    elif found.damage:
        found.next_step = str(found.damage[0])
    elif candidate is not None:
        found.next_step = f"recsys releases list{home.option}: see why the gate kept {candidate.release} back"
    else:
        found.next_step = f"recsys serve{home.option}, or recsys up{home.option} for the Dagster UI too"


@contextmanager
def _named(found: Findings, fact: str) -> Iterator[None]:
    """Turn an error of the block into a fact, so that the examination goes on."""
    try:
        yield
    except (RecsysError, OSError, sqlite3.Error) as error:
        found.facts.append((fact, f"cannot be read: {error}"))


def _states_of_artifacts(home: Home, inputs: "Inputs") -> dict[str, str]:
    """Return `fresh`, `stale`, `damaged` or `missing` of each artifact."""
    from recsys_assets.orchestration.planning.artifact_parts import ASSETS  # noqa: PLC0415
    from recsys_assets.orchestration.repair.made_artifacts import damaged_files, written_inputs  # noqa: PLC0415

    states = {}
    for name in ASSETS:
        artifact = home.artifact(name)
        written = written_inputs(artifact)
        states[name] = "fresh" if written == inputs.of_artifact(name) else "stale" if written else "missing"
        if artifact.exists() and any(damaged_files(artifact)):
            states[name] = "damaged"
    return states


def _existing(folder: Path) -> Path:
    return folder if folder.exists() else _existing(folder.parent)
