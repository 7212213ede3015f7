"""Reading a rules file; all mistakes are reported at once, each with file, line, finding and suggestion."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Final, Generic, TypeVar

import msgspec

from recsys_assets.errors import RulesError
from recsys_assets.rules.language.checking import StageError, check_stage, convert
from recsys_assets.rules.language.expression_tree import Columns, Expression
from recsys_assets.rules.language.expressions import closest
from recsys_assets.rules.language.schema import (
    FORMAT,
    SECTIONS,
    AnyStage,
    CandidateSource,
    Filter,
    Limits,
    Reranking,
    Scoring,
    stage_name,
)
from recsys_assets.storage.toml_files import Step, TomlError, content_of, line_of, parse_toml, shown

S = TypeVar("S", bound=AnyStage)
T = TypeVar("T", bound=msgspec.Struct)
C = TypeVar("C", dict[str, Any], list[Any])
Place = tuple[Step, ...]
"""Keys and array positions, outermost first."""

_TOP: Final = ("version", "default", "lists", "scenarios")
_SCENARIO: Final = ("description", "candidates", "filters", "scoring", "reranking", "limits")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_MEND: Final = "text needs quotes, a table has each key once, and long lists of items have files of their own"
_VERSION_DIGITS: Final = 12
_STAGE_DEPTH: Final = 4
_MOST_PARTS: Final = 100
"""Most scenarios of a file, lists of a file, and stages of a section."""
_MISTAKES_SHOWN: Final = 20
_CHARACTERS_OF_PLACES: Final = 400_000
"""A file of as many characters has the line of one mistake sought, which takes seconds; smaller files have more."""


@dataclass(frozen=True, kw_only=True)
class Checked(Generic[S]):
    """A checked stage, with its expression where it has one."""

    spec: S
    """The stage as written in the file."""
    expression: Expression | None = None
    """Its predicate or number."""

    @property
    def name(self) -> str:
        """The stage's name in traces."""
        return stage_name(self.spec)


@dataclass(frozen=True, kw_only=True)
class CheckedScenario:
    """One scenario of the rules: the stages of one pipeline."""

    name: str
    description: str
    candidates: tuple[Checked[CandidateSource], ...]
    filters: tuple[Checked[Filter], ...]
    scoring: tuple[Checked[Scoring], ...]
    reranking: tuple[Checked[Reranking], ...]
    limits: Limits


@dataclass(frozen=True, kw_only=True)
class Rules:
    """A whole, valid rules file."""

    path: Path
    """Path of the file."""
    version: str
    """The first 12 hexadecimal digits of the SHA-256 of its bytes."""
    default: str
    """Name of the scenario for requests that name none."""
    scenarios: Mapping[str, CheckedScenario]
    """Scenarios by name."""
    lists: Mapping[str, PurePosixPath] = field(default_factory=dict)
    """List -> path of its file, relative to the home."""


def read_rules(path: Path, *, columns: Columns) -> Rules:
    """Read and check `path`.

    Raises:
        RulesError: the file cannot be read or is not valid; one line a mistake.
    """
    try:
        content = content_of(path)
    except OSError as error:
        raise RulesError(f"{path}: cannot be read ({error.strerror}); write one or remove it") from None
    except TomlError as error:
        raise RulesError(f"{path}: {error.found}; {_MEND}") from None
    return parse_rules(content, path=path, columns=columns)


def parse_rules(content: bytes, *, path: Path, columns: Columns) -> Rules:
    """Check the content of a rules file; `path` is for messages.

    Raises:
        RulesError: the content is not valid; one line a mistake.
    """
    try:
        text, table = parse_toml(content)
    except TomlError as error:
        raise RulesError(f"{path}:{error.line}: {error.found}; {_MEND}") from None
    return _Reader(path, text, columns).read(table, hashlib.sha256(content).hexdigest()[:_VERSION_DIGITS])


class _Reader:
    """Converts and checks the parsed file, and collects the mistakes, so that all are reported at once."""

    def __init__(self, path: Path, text: str, columns: Columns) -> None:
        self._path = path
        self._text = text
        self._columns = columns
        self._mistakes: dict[tuple[Place, int, str], None] = {}

    def read(self, table: dict[str, Any], version: str) -> Rules:
        self._keys((), table, _TOP)
        found_format = table.get("version")
        if found_format != FORMAT:
            found = "no version" if found_format is None else f"version {shown(found_format)}"
            self._wrong(("version",), f"{found}, this package reads {FORMAT}", f"write version = {FORMAT}")
        lists = self._lists(table.get("lists", {}))
        self._columns = Columns(items=self._columns.items, users=self._columns.users, lists=frozenset(lists))
        given = table.get("scenarios", {})
        if not isinstance(given, dict) or not given:
            self._wrong(("scenarios",), "no scenario", "write [scenarios.home] and its candidates")
            given = {}
        given = self._some(("scenarios",), given)
        scenarios = {name: self._scenario(name, body) for name, body in given.items()}
        default = table.get("default", next(iter(given), ""))
        if given and not (isinstance(default, str) and default in given):
            self._wrong(("default",), f"there is no scenario {shown(default)}", closest(str(default), given))
        if self._mistakes:
            raise RulesError("\n".join(self._lines_of_mistakes()))
        return Rules(path=self._path, version=version, default=default, scenarios=scenarios, lists=lists)

    def _lines_of_mistakes(self) -> list[str]:
        some = [*self._mistakes][:_MISTAKES_SHOWN]
        with_line = max(1, _CHARACTERS_OF_PLACES // len(self._text))
        placed = {((line_of(self._text, at) or 1) + below, what) for at, below, what in some[:with_line]}
        found = [f"{self._path}:{line}: {what}" for line, what in sorted(placed)]
        found += [f"{self._path}: {what}" for _, _, what in some[with_line:]]
        left = len(self._mistakes) - len(some)
        return [*found, f"{self._path}: {left} more mistakes"] if left else found

    def _lists(self, given: Any) -> dict[str, PurePosixPath]:
        if not isinstance(given, dict):
            self._wrong(("lists",), "`lists` is no table", 'write [lists] and NAME = "FILE"')
            return {}
        found = {}
        for name, file in self._some(("lists",), given).items():
            place = PurePosixPath(file) if isinstance(file, str) else PurePosixPath()
            inside = place.name and not place.is_absolute() and ".." not in place.parts
            if not isinstance(file, str) or not inside or not file.isprintable():
                self._wrong(
                    ("lists", name), f"{shown(file)} is no file below the home", "e.g. lists/sold_out.txt"
                )
            else:
                found[name] = place
        return found

    def _scenario(self, name: str, body: Any) -> CheckedScenario:
        at: Place = ("scenarios", name)
        if not _NAME.fullmatch(name):
            self._wrong(at, f"scenario {shown(name)} is no name", "small letters, digits and _, at most 40")
        if not isinstance(body, dict):
            self._wrong(at, f"scenario {name} is no table", f"write [scenarios.{name}]")
            body = {"candidates": None}
        self._keys(at, body, _SCENARIO)
        description = body.get("description", "")
        if not isinstance(description, str):
            self._wrong((*at, "description"), f"{shown(description)} is no text", "put it in quotes")
        candidates = self._stages((*at, "candidates"), body.get("candidates", []), None)
        if body.get("candidates") == [] or "candidates" not in body:
            self._wrong(at, f"scenario {name} has no candidates", f"write [[scenarios.{name}.candidates]]")
        sections = {
            section: self._stages((*at, section), body.get(section, []), kinds)
            for section, kinds in SECTIONS.items()
        }
        self._reject_duplicate_names(
            {(*at, "candidates"): candidates} | {(*at, key): sections[key] for key in sections}
        )
        return CheckedScenario(
            name=name,
            description=str(description),
            candidates=tuple(stage for stage in candidates if stage is not None),
            filters=tuple(stage for stage in sections["filters"] if stage is not None),
            scoring=tuple(stage for stage in sections["scoring"] if stage is not None),
            reranking=tuple(stage for stage in sections["reranking"] if stage is not None),
            limits=self._convert((*at, "limits"), body.get("limits", {}), Limits) or Limits(),
        )

    def _stages(self, at: Place, given: Any, kinds: Mapping[str, Any] | None) -> list[Checked[Any] | None]:
        if not isinstance(given, list):
            if given is not None:
                self._wrong(at, f"`{at[-1]}` is no list of stages", f"write [[{'.'.join(map(str, at))}]]")
            return []
        return [
            self._stage((*at, position), body, kinds) for position, body in enumerate(self._some(at, given))
        ]

    def _some(self, at: Place, given: C) -> C:
        """Return what is given, or nothing of it where there is too much: binding takes time and memory for each."""
        if len(given) <= _MOST_PARTS:
            return given
        self._wrong(at, f"{len(given):,} {at[-1]}, at most {_MOST_PARTS} are read", "leave some out")
        return type(given)()

    def _stage(self, at: Place, body: Any, kinds: Mapping[str, Any] | None) -> Checked[Any] | None:
        if not isinstance(body, dict):
            self._wrong(at, f"{shown(body)} is no stage", f"write [[{'.'.join(map(str, at[:-1]))}]]")
            return None
        struct: Any = CandidateSource
        if kinds is not None:
            kind = body.get("kind")
            if not isinstance(kind, str) or kind not in kinds:
                found = "no kind" if kind is None else f"{shown(kind)} is no kind of {at[-2]}"
                self._wrong((*at, "kind"), found, closest(str(kind or ""), kinds))
                return None
            struct = kinds[kind]
        spec = self._convert(at, body, struct)
        if spec is None:
            return None
        try:
            return Checked(spec=spec, expression=check_stage(spec, self._columns))
        except StageError as error:
            self._wrong_field(at, body, error)
            return None

    def _convert(self, at: Place, body: Any, struct: type[T]) -> T | None:
        if isinstance(body, dict) and self._keys(at, body, msgspec.structs.fields(struct)):
            return None
        try:
            return convert(body, struct)
        except StageError as error:
            self._wrong_field(at, body, error)
            return None

    def _keys(self, at: Place, body: Mapping[str, Any], known: Any) -> list[str]:
        names = [field if isinstance(field, str) else field.encode_name for field in known]
        unknown = [key for key in body if key not in names]
        for key in unknown:
            where = _named(at, body) + ": " if at else ""
            self._wrong((*at, key), f"{where}there is no `{key}` here", closest(key, names))
        return unknown

    def _reject_duplicate_names(self, sections: Mapping[Place, list[Checked[Any] | None]]) -> None:
        names: set[str] = set()
        for at, stages in sections.items():
            for position, stage in enumerate(stages):
                if stage is not None and stage.name in names:
                    self._wrong(
                        (*at, position),
                        f"{at[1]}: two stages are called {shown(stage.name)}",
                        "give one a `name`, so that the trace can tell them apart",
                    )
                elif stage is not None:
                    names.add(stage.name)

    def _wrong(self, at: Place, found: str, suggestion: str | None, *, lines_below: int = 0) -> None:
        self._mistakes[at, lines_below, f"{found}; {suggestion}" if suggestion else found] = None

    def _wrong_field(self, at: Place, body: Any, error: StageError) -> None:
        place = (*at, error.field) if error.field else at
        self._wrong(place, f"{_named(at, body)}: {error.found}", error.suggestion, lines_below=error.line)


def _named(at: Place, body: Any) -> str:
    """Name a place for a message: `home, filters 2 "no fuel"`."""
    if len(at) < _STAGE_DEPTH:
        return ".".join(map(str, at))
    name = body.get("name") if isinstance(body, dict) else None
    return f"{at[1]}, {at[2]} {int(at[3]) + 1}" + (f' "{name}"' if isinstance(name, str) else "")
