"""The rules file in force: the home's own, a release's, or the package's; binding it, and following its changes.

The scenarios themselves are in `rules/engine`, the file's language in `rules/language`.
"""

import asyncio
import contextlib
import hashlib
import logging
import os
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from recsys_assets.errors import ReleaseError, RulesError
from recsys_assets.release.load import Release
from recsys_assets.rules.engine.pipeline import Engine
from recsys_assets.rules.engine.plain import PlainScenario
from recsys_assets.rules.language.expression_tree import columns_of
from recsys_assets.rules.language.reading import parse_rules, read_rules
from recsys_assets.rules.last_good_rules import RULES_FILE, keep_last_good
from recsys_assets.rules.rules_stamp import Stamp, rules_stamp
from recsys_assets.storage.atomic import replaced_folder
from recsys_assets.storage.home import FEATURE_DATABASE, Home
from recsys_assets.storage.toml_files import TomlError, content_of, parse_toml

log = logging.getLogger("recsys.api")

PACKAGED: Final = Path(__file__).with_name("default.toml")
"""The rules where nobody wrote any."""


def rules_source(home: Home) -> Path:
    """Return the file that the next release will hold: the home's own, else the packaged one."""
    own = home.rules_file
    return own if os.path.lexists(own) else PACKAGED


def rules_fingerprint(home: Home) -> str:
    """Return a SHA-256 of all that file says but comments and layout; a release with another one has stale rules.

    Raises:
        RulesError: the file cannot be read.
    """
    content = _content(rules_source(home))
    with contextlib.suppress(TomlError):  # else binding it names the mistake
        content = str(parse_toml(content)[1]).encode()
    return hashlib.sha256(content).hexdigest()


def require_toml(file: Path) -> None:
    """Check that rules are TOML: all that can be checked before there is a release to bind them to.

    Raises:
        RulesError: the file cannot be read, or is no TOML.
    """
    try:
        parse_toml(content_of(file))
    except (OSError, TomlError) as error:
        raise RulesError(f"{file}: {error}; mend the file") from None


def rules_part(home: Home) -> Path:
    """Check the rules against the features just built, and put them into `artifacts/rules` for the release.

    Raises:
        RulesError: the file is not valid; nothing is changed then.
        BrokenReleaseError: the features have not been built.
    """
    folder, source = home.artifact("rules"), rules_source(home)
    parse_rules(content := _content(source), path=source, columns=columns_of(home.feature_database))
    with replaced_folder(folder) as staged:
        (staged / RULES_FILE).write_bytes(content)
    return folder


def _content(file: Path) -> bytes:
    try:
        return content_of(file)
    except (OSError, TomlError) as error:
        raise RulesError(f"{file}: cannot be read ({error}); mend or remove it") from None


def rules_in_force(home: Home, release_folder: Path) -> Path:
    """Return the file that a server uses: the later of the home's last edit and the release's promotion decides.

    So an edit counts at once, and rolling back to a release rolls its rules back too. A release without rules
    (older than rules are) has the packaged ones.
    """
    own, released = home.rules_file, release_folder / RULES_FILE
    edited, promoted = _changed_ns(own), _changed_ns(home.releases / "current")
    if edited is not None and (edited >= (promoted or 0) or not released.is_file()):
        return own
    return released_rules(release_folder)


def _changed_ns(file: Path) -> int | None:
    """Return the time of a file's last change, of a broken link's own; None where there is neither."""
    for follow in (True, False):
        with contextlib.suppress(OSError):
            return file.stat(follow_symlinks=follow).st_mtime_ns
    return None


def load_engine(
    release: Release,
    *,
    home: Home,
    path: Path | None = None,
    plain: PlainScenario | None = None,
    lists_folder: Path | None = None,
) -> Engine:
    """Return the engine of the rules in force, or of the file at `path`, after one request to each scenario.

    Args:
        release: an open release.
        home: where the rules in force and their lists are.
        path: another rules file.
        plain: as for `Engine`.
        lists_folder: another folder of the lists.

    Raises:
        RulesError: the file or one of its lists is not valid, or a scenario fails, for whatever reason.
        ReleaseError: the release cannot be read.
    """
    file = path or rules_in_force(home, release.folder)
    try:
        rules = read_rules(file, columns=columns_of(release.folder / FEATURE_DATABASE))
        engine = Engine(release, rules, lists_folder=lists_folder or home.root, plain=plain)
        engine.try_out()
    except (ReleaseError, RulesError):
        raise
    except Exception as error:
        log.exception("rules cannot be bound", extra={"file": str(file)})
        found = f"{type(error).__name__}: {error}"
        raise RulesError(
            f"{file}: cannot be bound to release {release.release_id} ({found}); mend it"
        ) from error
    return engine


def released_rules(release_folder: Path) -> Path:
    """Return the file of a release's own rules; the packaged ones for one that is older than rules are."""
    released = release_folder / RULES_FILE
    return released if released.is_file() else PACKAGED


def released_engine(release: Release, *, home: Home) -> Engine:
    """Return the engine of a release's own rules; errors as in `load_engine`."""
    return load_engine(release, home=home, path=released_rules(release.folder))


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
        self._swapping = threading.Lock()
        self._failure: str | None = None
        self.bound: BoundRules | None = None
        """The rules served; None until `bind` is done."""

    def start(self) -> None:
        """Bind in the background."""
        threading.Thread(target=self.bind, name="recsys-rules", daemon=True).start()

    @property
    def problem(self) -> str | None:
        """Why the newest rules are not in force, or why none are; None where they are, or `bind` is not done."""
        return self._failure if self.bound is None else self.bound.problem

    @property
    def failed(self) -> bool:
        """True where no rules can be bound, so that no scenario can be served."""
        return self.bound is None and self._failure is not None

    def bind(self) -> None:
        """Take the rules in force; where those fail, the last good ones, the release's own, then the packaged ones."""
        try:
            self._stamp = self._stamp_now()
            self._serve(self._first_good())
        except Exception as error:
            self._failure = str(error)
            log.exception("no scenario can be served")
        finally:
            self._tried.set()

    def refresh(self) -> bool:
        """Take up changed files; return whether anything changed, a new problem included. Cheap where nothing did."""
        stamp = self._stamp_now()
        if stamp == self._stamp or not self._tried.is_set():
            return False
        # taken before reading: an edit in between is noticed at the next call
        self._stamp = stamp
        if self.bound is None:
            self.bind()
            return True
        try:
            self._serve(BoundRules(engine=self._load(None), problem=None))
        except (ReleaseError, RulesError) as error:
            self._serve(BoundRules(engine=self.bound.engine, problem=str(error)))
        return True

    def rebind(self) -> None:
        """Bind the rules in force to the item states in force, where they see a difference; takes a moment then."""
        with self._swapping:  # so that no newer rules are replaced by these
            if self.bound is not None:
                self.bound = replace(self.bound, engine=self.bound.engine.under_states())

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
        folder, kept = self._plain.release.folder, self._home.last_good_rules
        in_force = rules_in_force(self._home, folder)
        choices = {in_force: self._home.root, folder / RULES_FILE: self._home.root}
        if in_force == self._home.rules_file:
            choices = {in_force: self._home.root, kept / RULES_FILE: kept, **choices}
        problem: str | None = None
        for path, lists_folder in choices.items():
            try:
                return BoundRules(engine=self._load(path, lists_folder), problem=problem)
            except (ReleaseError, RulesError) as error:
                problem = problem or str(error)
        return BoundRules(engine=self._load(PACKAGED), problem=problem)

    def _load(self, path: Path | None, lists_folder: Path | None = None) -> Engine:
        release, home = self._plain.release, self._home
        return load_engine(release, home=home, path=path, plain=self._plain, lists_folder=lists_folder)

    def _serve(self, bound: BoundRules) -> None:
        with self._swapping:
            self.bound = bound
        rules = bound.engine.rules
        if bound.problem is not None:
            log.warning("rules rejected; the last good ones stay", extra={"why": bound.problem})
            return
        log.info("rules in force", extra={"rules": bound.engine.version, "file": str(rules.path)})
        try:
            keep_last_good(self._home, rules)
        except (OSError, TomlError) as error:  # the home may be read-only, or its disk full
            log.warning("the last good rules cannot be kept for the next start", extra={"why": str(error)})

    def _stamp_now(self) -> Stamp:
        return rules_stamp(self._home, rules_in_force(self._home, self._plain.release.folder))
