"""The experiments of a home, `experiments.toml`: their arms, dates, metric and guard rails, read and checked.

Nothing here knows a user, an answer or a result. The first arm of an experiment is its control.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from recsys_assets.errors import ExperimentsError
from recsys_assets.release.rewritten import id_now
from recsys_assets.storage.bounds import Line, mistake_in
from recsys_assets.storage.home import Home
from recsys_assets.storage.toml_files import Step, TomlError, content_of, line_of, parse_toml

POPULAR: Final = "popular"
"""The model of an arm that shows the popular items of the release that is served."""
INTERLEAVED: Final = "interleaved"
"""Arm of an answer in which the lists of two arms are interleaved; no arm is called so."""
MOST_EXTRA_RELEASES: Final = 3
"""Releases beside the served one that experiments running on the same day may name, models included."""
_LEAST_ARMS: Final = 2
_MOST_ARMS: Final = 10
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_LISTS: Final = ("arms", "guards")
_ROUNDING: Final = 1e-9

Metric = Literal["ctr", "conversion", "value_per_answer"]
"""Clicked answers a shown one; users with a purchase a user; value a shown answer."""


class Guard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A guard rail: an arm that does harm to this metric ends by itself."""

    metric: Metric
    """The metric that must not fall."""
    worse_than: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    """Share of the control's value that an arm may lose, 0-1; it ends once it is surely worse than that."""


class Arm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A variant: whatever answers its users. One that names nothing answers as if there were no experiment."""

    name: str
    """Its name, unique in the experiment."""
    share: Annotated[float, Meta(gt=0, le=1)]
    """Share of the users that it gets, 0-1; those left over are in no arm."""
    release: str | None = None
    """Id of the release that answers."""
    rules: Line | None = None
    """Path of the rules file that answers, from the home on."""
    model: Line | None = None
    """Name of the model whose newest whole release answers, or `popular`."""


class Experiment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One experiment."""

    name: str
    """Its name, unique in the file; a new experiment needs a new one."""
    start: date
    """First UTC day."""
    end: date
    """Last UTC day."""
    metric: Metric
    """The metric that decides."""
    arms: tuple[Arm, ...]
    """Two or more; the first one is the control."""
    kind: Literal["split", "interleave"] = "split"
    """`split`: a user sees the lists of one arm. `interleave`: a user sees the lists of both arms as one."""
    alpha: Annotated[float, Meta(ge=0.0001, le=0.5)] = 0.05
    """Probability that an experiment without a difference finds one at any of its looks."""
    salt: Line | None = None
    """Text that the users' places are drawn from; the name where None."""
    scenario: str | None = None
    """Scenario of the requests that take part; None: those that name none."""
    guards: tuple[Guard, ...] = ()
    """Its guard rails."""

    @property
    def control(self) -> Arm:
        """The arm that the others are compared with."""
        return self.arms[0]

    def runs_on(self, day: date) -> bool:
        """Return True from its first through its last day."""
        return self.start <= day <= self.end


def read_experiments(home: Home) -> tuple[Experiment, ...]:
    """Read and check a home's experiments; none where there is no file.

    The rules files and releases that arms name must be there while the experiment is not over: see `missing_parts`.

    Raises:
        ExperimentsError: the file cannot be read or is not valid; with file, line, the value found and what to write.
    """
    content = experiments_content(home)
    return () if content is None else parse_experiments(content, home.experiments_file)


def experiments_content(home: Home) -> bytes | None:
    """Return the content of a home's `experiments.toml`; None where there is none.

    Raises:
        ExperimentsError: the file cannot be read.
    """
    file = home.experiments_file
    try:
        return content_of(file)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ExperimentsError(f"{file}: cannot be read ({error.strerror}); mend or remove it") from None
    except TomlError as error:
        raise ExperimentsError(f"{file}: {error.found}; mend the file") from None


def parse_experiments(content: bytes, file: Path) -> tuple[Experiment, ...]:
    """Check the content of an experiments file; `file` is for messages.

    Raises:
        ExperimentsError: it is not valid.
    """
    try:
        text, table = parse_toml(content)
    except TomlError as error:
        place = file if error.line is None else f"{file}:{error.line}"
        raise ExperimentsError(f"{place}: {error.found}; mend the file") from None
    for path, found in _mistakes(table):
        line = line_of(text, path)
        raise ExperimentsError(f"{file}:{line or 1}: {_shown_path(path)}{found}")
    return tuple(_experiment(name, body) for name, body in table.get("experiments", {}).items())


def find_experiment(home: Home, name: str) -> Experiment:
    """Return the experiment of a name.

    Raises:
        ExperimentsError: there is none, or the file is not valid.
    """
    known = read_experiments(home)
    found = next((one for one in known if one.name == name), None)
    if found is None:
        there = ", ".join(one.name for one in known) or "none"
        raise ExperimentsError(f"{home.experiments_file}: no experiment {name!r}; there are: {there}")
    return found


def missing_parts(home: Home, experiment: Experiment) -> str | None:
    """Return why an experiment cannot run: the rules file or release of an arm that is not there; None for nothing."""
    for arm in experiment.arms:
        if arm.rules is not None and not (home.root / arm.rules).is_file():
            return f"{experiment.name}: arm {arm.name}: no rules file {home.root / arm.rules}; write it"
        if arm.release is not None and not (home.releases / id_now(home.releases, arm.release)).is_dir():
            return f"{experiment.name}: arm {arm.name}: no release {arm.release!r}; `recsys releases list` shows them"
    return None


def _experiment(name: str, body: Mapping[str, Any]) -> Experiment:
    return msgspec.convert({**body, "name": name}, Experiment)


Found = tuple[tuple[Step, ...], str]


def _mistakes(table: Mapping[str, Any]) -> Iterator[Found]:
    """Yield place and words of each mistake, the first ones first; after one, later ones may be missing."""
    for key in table:
        if key != "experiments":
            yield (key,), "unknown; write [experiments.NAME]"
    named = table.get("experiments", {})
    if not isinstance(named, dict):
        yield ("experiments",), "a table is expected; write [experiments.NAME]"
        return
    bad = False
    for name, body in named.items():
        for path, found in _mistakes_of(name, body):
            bad = True
            yield ("experiments", name, *path), found
    if not bad:
        yield from _overlaps([_experiment(name, body) for name, body in named.items()])


def _mistakes_of(name: str, body: Any) -> Iterator[Found]:
    if not _NAME.fullmatch(name):
        yield (), f"{name!r} is no name; write lower-case letters, digits and _, 40 at most"
    if not isinstance(body, dict):
        yield (), "a table is expected; write [experiments.NAME]"
        return
    lists = {key: body.get(key, []) for key in _LISTS}
    structs: tuple[type[msgspec.Struct], ...] = (Arm, Guard)
    for key, struct in zip(_LISTS, structs, strict=True):
        rows = lists[key]
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            yield (key,), f"tables are expected; write [[experiments.{name}.{key}]]"
            return
        for number, row in enumerate(rows):
            if mistake := mistake_in(row, struct):
                yield (key, number, *mistake.path), mistake.text
                return
    plain = {key: value for key, value in body.items() if key not in _LISTS}
    if "name" in plain:
        yield ("name",), "unknown; the heading has the name"
    elif mistake := mistake_in({**plain, "name": name, "arms": []}, Experiment):
        yield mistake.path, mistake.text
    else:
        yield from _contradictions(_experiment(name, body))


def _contradictions(one: Experiment) -> Iterator[Found]:
    if one.end < one.start:
        yield ("end",), f"{one.end} is before the start, {one.start}"
    if not _LEAST_ARMS <= len(one.arms) <= _MOST_ARMS:
        yield ("arms",), f"{len(one.arms)} arms; write {_LEAST_ARMS} to {_MOST_ARMS}, the control first"
    if one.kind == "interleave" and len(one.arms) != _LEAST_ARMS:
        yield ("arms",), f"{len(one.arms)} arms; two can be interleaved"
    if one.kind == "interleave" and one.metric != "ctr":
        yield ("metric",), f"`{one.metric}` has no team in an interleaved list, clicks have; write `ctr`"
    for number, guard in enumerate(one.guards if one.kind == "interleave" else ()):
        if guard.metric != "ctr":
            yield ("guards", number, "metric"), "an interleaved list has teams of clicks only; write `ctr`"
    if one.scenario is not None and not _NAME.fullmatch(one.scenario):
        yield ("scenario",), f"{one.scenario!r} is no scenario's name"
    total = sum(arm.share for arm in one.arms)
    if total > 1 + _ROUNDING:
        yield ("arms",), f"the shares are {total:g} together; write 1 at most"
    yield from _wrong_arms(one)


def _wrong_arms(one: Experiment) -> Iterator[Found]:
    seen = set[str]()
    for number, arm in enumerate(one.arms):
        place = ("arms", number)
        if arm.name in seen:
            yield (*place, "name"), f"two arms are called {arm.name!r}"
        if not _NAME.fullmatch(arm.name) or arm.name == INTERLEAVED:
            yield (
                (*place, "name"),
                f"{arm.name!r} cannot be an arm's name; write lower-case letters, digits and _",
            )
        seen.add(arm.name)
        given = [key for key in ("release", "rules", "model") if getattr(arm, key) is not None]
        if len(given) > 1:
            yield (*place, given[1]), f"`{given[0]}` is given too; write one of release, rules and model"
        if arm.rules is not None and (Path(arm.rules).is_absolute() or ".." in Path(arm.rules).parts):
            yield (*place, "rules"), f"{arm.rules!r} is outside of the home; write a path from the home on"
        if arm.release is not None and Path(arm.release).name != arm.release:
            yield (*place, "release"), f"{arm.release!r} is no release's id"


def _overlaps(experiments: Sequence[Experiment]) -> Iterator[Found]:
    """Yield each pair that would want the same requests on the same day."""
    for one, other in combinations(experiments, 2):
        if one.scenario == other.scenario and one.start <= other.end and other.start <= one.end:
            requests = "requests without a scenario" if one.scenario is None else f"scenario {one.scenario}"
            yield (
                ("experiments", other.name),
                f"runs together with {one.name} on {requests}; give it other days or another scenario",
            )


def _shown_path(path: Sequence[Step]) -> str:
    """Return where a value is, as `[experiments.home] arms, second: share: `."""
    heading = ".".join(str(step) for step in path[:2])
    rest = [f"number {step + 1}" if isinstance(step, int) else str(step) for step in path[2:]]
    return f"[{heading}] {' '.join(rest)}{': ' if rest else ''}"
