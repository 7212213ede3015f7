"""Which rules file holds: the home's own, a release's, or the package's; and the part a release keeps."""

import hashlib
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from shutil import copyfile
from typing import Final

from recsys_assets.errors import RulesError
from recsys_assets.release.load import Release
from recsys_assets.rules.engine.item_facts import gather_facts
from recsys_assets.rules.engine.pipeline import Pipeline
from recsys_assets.rules.language.evaluator import Evaluator
from recsys_assets.rules.language.expressions import closest
from recsys_assets.rules.language.item_table import columns_of, load_items
from recsys_assets.rules.language.reading import Rules, read_rules
from recsys_assets.storage.atomic import replaced_folder
from recsys_assets.storage.home import FEATURE_DATABASE, Home

RULES_FILE: Final = "rules.toml"
"""The file's name in a home and in a release."""
PACKAGED: Final = Path(__file__).with_name("default.toml")
"""What holds where nobody wrote rules."""


def rules_source(home: Home) -> Path:
    """The file that the next release will hold: the home's own, else the packaged one."""
    own = home.rules_file
    return own if own.is_file() else PACKAGED


def rules_fingerprint(home: Home) -> str:
    """SHA-256 of that file, hexadecimal; what tells that a release's rules are stale."""
    return hashlib.sha256(rules_source(home).read_bytes()).hexdigest()


def rules_part(home: Home) -> Path:
    """Check the rules against the features just built, and put them into `artifacts/rules` for the release.

    Raises:
        RulesError: the file is not valid; nothing is changed then.
        BrokenReleaseError: the features have not been built.
    """
    source = rules_source(home)
    read_rules(source, columns=columns_of(home.feature_database))
    folder = home.artifact("rules")
    with replaced_folder(folder) as staged:
        copyfile(source, staged / RULES_FILE)
    return folder


def rules_in_force(home: Home, release_folder: Path) -> Path:
    """The file that a server goes by: the later of the home's last edit and the release's promotion decides.

    So an edit counts at once, and rolling back to a release rolls its rules back too. A release without rules
    (older than rules are) has the packaged ones.
    """
    own, released = home.rules_file, release_folder / RULES_FILE
    promoted = (home.releases / "current").lstat().st_mtime_ns if (home.releases / "current").exists() else 0
    if own.is_file() and (own.stat().st_mtime_ns >= promoted or not released.is_file()):
        return own
    return released if released.is_file() else PACKAGED


_VERSION_DIGITS = 12


class Engine:
    """Scenarios, bound to a release. It never changes; threads may share it."""

    def __init__(self, release: Release, rules: Rules, *, lists_folder: Path) -> None:
        """Bind `rules` to `release`; the files of `[lists]` are below `lists_folder`.

        Raises:
            RulesError: a list cannot be read.
        """
        self.release = release
        self.rules = rules
        facts = gather_facts(release, rules, lists_folder)
        self.facts = facts
        self.pipelines = {name: Pipeline(scenario, facts) for name, scenario in rules.scenarios.items()}
        lists = b"".join(facts.lists[name].tobytes() for name in sorted(facts.lists))
        self.version = hashlib.sha256(rules.version.encode() + lists).hexdigest()[:_VERSION_DIGITS]
        """Changes with the file's content and its lists'; belongs into every entity tag."""

    def with_columns(self, names: set[str]) -> Evaluator:
        """An evaluator over item columns that the rules themselves may not read."""
        table = load_items(self.release.folder / FEATURE_DATABASE, self.release.items, names)
        return Evaluator(table, self.facts.lists)

    def scenario(self, name: str | None = None) -> Pipeline:
        """A scenario by name, the file's default where None.

        Raises:
            RulesError: there is none of that name.
        """
        wanted = name or self.rules.default
        found = self.pipelines.get(wanted)
        if found is None:
            raise RulesError(f"no scenario {wanted!r}; {closest(wanted, self.pipelines)}")
        return found


def load_engine(release: Release, *, home: Home, path: Path | None = None) -> Engine:
    """The engine of the rules in force, or of the file at `path`.

    Raises:
        RulesError: the file or one of its lists is not valid.
    """
    file = path or rules_in_force(home, release.folder)
    rules = read_rules(file, columns=columns_of(release.folder / FEATURE_DATABASE))
    return Engine(release, rules, lists_folder=home.root)


def packaged_engine(release: Release, *, home: Home) -> Engine:
    """The engine of the packaged rules, which need nothing beside the release."""
    return load_engine(release, home=home, path=PACKAGED)


Stamp = tuple[tuple[str, int, int], ...]
"""Path, mtime and size of each file that the rules are made of."""


@dataclass(frozen=True, kw_only=True)
class Followed:
    """What a follower serves."""

    engine: Engine
    """The last good rules."""
    problem: str | None
    """Why a newer file is not in force; None where the newest one is."""


class RulesFollower:
    """The engine of one release, as its rules change. `look` is cheap where nothing changed."""

    def __init__(self, release: Release, home: Home) -> None:
        """Take the rules in force; where those are malformed, the release's own, then the packaged ones."""
        self._release = release
        self._home = home
        self._stamp = _stamp(self._files())
        self.followed = self._first()

    def look(self) -> bool:
        """Take up changed files; whether anything changed, a new problem included."""
        stamp = _stamp(self._files())
        if stamp == self._stamp:
            return False
        # taken before reading: an edit in between is seen by the next look
        self._stamp = stamp
        try:
            engine = load_engine(self._release, home=self._home)
        except RulesError as error:
            self.followed = Followed(engine=self.followed.engine, problem=str(error))
        else:
            self.followed = Followed(engine=engine, problem=None)
        return True

    def _first(self) -> Followed:
        in_force = rules_in_force(self._home, self._release.folder)
        released = self._release.folder / in_force.name
        problem: str | None = None
        for path in dict.fromkeys([in_force, released]):
            try:
                engine = load_engine(self._release, home=self._home, path=path)
            except RulesError as error:
                problem = problem or str(error)
                continue
            return Followed(engine=engine, problem=problem)
        return Followed(engine=packaged_engine(self._release, home=self._home), problem=problem)

    def _files(self) -> list[Path]:
        """The rules file and every list that it names, be it valid or not."""
        in_force = rules_in_force(self._home, self._release.folder)
        named = _lists_named(in_force, _stamp([in_force]))
        return [in_force, *(self._home.root / file for file in named)]


@lru_cache(maxsize=8)
def _lists_named(file: Path, _: Stamp) -> list[str]:
    """Read again only when the stamp is another: parsing takes a millisecond, and four looks are taken a second."""
    try:
        named = tomllib.loads(file.read_text(encoding="utf-8")).get("lists", {})
    except (OSError, ValueError):
        return []
    return [name for name in named.values() if isinstance(name, str)] if isinstance(named, dict) else []


def _stamp(files: list[Path]) -> Stamp:
    found = []
    for file in files:
        try:
            status = file.stat()
        except OSError:
            found.append((str(file), 0, -1))
        else:
            found.append((str(file), status.st_mtime_ns, status.st_size))
    return tuple(found)
