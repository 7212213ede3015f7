"""The rules file in force: the home's own, a release's, or the package's; binding it, and following its changes.

The scenarios themselves are in `rules/engine`, the file's language in `rules/language`.
"""

import asyncio
import hashlib
import logging
import threading
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from shutil import copyfile
from typing import Final

from recsys_assets.errors import RecsysError, ReleaseError, RulesError
from recsys_assets.release.load import Release
from recsys_assets.rules.engine.pipeline import Engine
from recsys_assets.rules.engine.plain import PlainScenario
from recsys_assets.rules.language.expression_tree import columns_of
from recsys_assets.rules.language.reading import read_rules
from recsys_assets.storage.atomic import replaced_folder
from recsys_assets.storage.home import FEATURE_DATABASE, Home

log = logging.getLogger("recsys.api")

RULES_FILE: Final = "rules.toml"
"""The file's name in a home and in a release."""
PACKAGED: Final = Path(__file__).with_name("default.toml")
"""The rules where nobody wrote any."""


def rules_source(home: Home) -> Path:
    """Return the file that the next release will hold: the home's own, else the packaged one."""
    own = home.rules_file
    return own if own.is_file() else PACKAGED


def rules_fingerprint(home: Home) -> str:
    """Return the SHA-256 of that file, hexadecimal; a release with another one has stale rules."""
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
    """Return the file that a server uses: the later of the home's last edit and the release's promotion decides.

    So an edit counts at once, and rolling back to a release rolls its rules back too. A release without rules
    (older than rules are) has the packaged ones.
    """
    own, released = home.rules_file, release_folder / RULES_FILE
    promoted = (home.releases / "current").lstat().st_mtime_ns if (home.releases / "current").exists() else 0
    if own.is_file() and (own.stat().st_mtime_ns >= promoted or not released.is_file()):
        return own
    return released if released.is_file() else PACKAGED


def load_engine(
    release: Release, *, home: Home, path: Path | None = None, plain: PlainScenario | None = None
) -> Engine:
    """Return the engine of the rules in force, or of the file at `path`; `plain` as for `Engine`.

    Raises:
        RulesError: the file or one of its lists is not valid.
    """
    file = path or rules_in_force(home, release.folder)
    rules = read_rules(file, columns=columns_of(release.folder / FEATURE_DATABASE))
    return Engine(release, rules, lists_folder=home.root, plain=plain)


def packaged_engine(release: Release, *, home: Home) -> Engine:
    """Return the engine of the packaged rules, which need nothing beside the release."""
    return load_engine(release, home=home, path=PACKAGED)


@dataclass(frozen=True, kw_only=True)
class BoundRules:
    """Rules bound to a release."""

    engine: Engine
    """The last good rules."""
    problem: str | None
    """Why a newer file is not in force; None where the newest one is."""


class FollowedRules:
    """The engine of one release, as its rules change. Binding takes a moment, `plain` is served meanwhile."""

    def __init__(self, plain: PlainScenario, home: Home) -> None:
        self._plain = plain
        self._home = home
        self._stamp: Stamp = ()
        self._tried = threading.Event()
        self._failure: str | None = None
        self.bound: BoundRules | None = None
        """The rules served; None until `bind` is done."""

    def start(self) -> None:
        """Bind in the background."""
        threading.Thread(target=self.bind, name="recsys-rules", daemon=True).start()

    def bind(self) -> None:
        """Take the rules in force; where those are malformed, the release's own, then the packaged ones."""
        try:
            self._stamp = _stamp(self._files())
            self._serve(self._first_good())
        except RecsysError as error:
            self._failure = str(error)
            log.exception("no scenario can be served")
        finally:
            self._tried.set()

    def refresh(self) -> bool:
        """Take up changed files; return whether anything changed, a new problem included. Cheap where nothing did."""
        stamp = _stamp(self._files())
        if self.bound is None or stamp == self._stamp:
            return False
        # taken before reading: an edit in between is noticed at the next call
        self._stamp = stamp
        try:
            self._serve(BoundRules(engine=self._load(None), problem=None))
        except RulesError as error:
            self._serve(BoundRules(engine=self.bound.engine, problem=str(error)))
        return True

    async def engine(self) -> Engine:
        """Return the engine to answer this request from; take it once a request.

        Raises:
            ReleaseError: the release's rules cannot be bound.
        """
        if not self._tried.is_set():
            await asyncio.to_thread(self._tried.wait)
        if self.bound is None:
            raise ReleaseError(self._failure or "no rules are bound")
        return self.bound.engine

    def _first_good(self) -> BoundRules:
        folder = self._plain.release.folder
        in_force = rules_in_force(self._home, folder)
        problem: str | None = None
        for path in dict.fromkeys([in_force, folder / in_force.name]):
            try:
                return BoundRules(engine=self._load(path), problem=problem)
            except RulesError as error:
                problem = problem or str(error)
        return BoundRules(engine=self._load(PACKAGED), problem=problem)

    def _load(self, path: Path | None) -> Engine:
        return load_engine(self._plain.release, home=self._home, path=path, plain=self._plain)

    def _serve(self, bound: BoundRules) -> None:
        self.bound = bound
        if bound.problem is not None:
            log.warning("rules rejected; the last good ones stay", extra={"why": bound.problem})
        else:
            rules = {"rules": bound.engine.version, "file": str(bound.engine.rules.path)}
            log.info("rules in force", extra=rules)

    def _files(self) -> list[Path]:
        """Return the rules file and every list that it names, be it valid or not."""
        in_force = rules_in_force(self._home, self._plain.release.folder)
        named = _lists_named(in_force, _stamp([in_force]))
        return [in_force, *(self._home.root / file for file in named)]


Stamp = tuple[tuple[str, int, int], ...]
"""Path, mtime and size of each file that the rules are made of."""


@lru_cache(maxsize=8)
def _lists_named(file: Path, _: Stamp) -> list[str]:
    """Parse a file again only when its stamp is another: that takes 1 ms, and there are four calls a second."""
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
