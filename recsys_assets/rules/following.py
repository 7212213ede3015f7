"""Following the rules in force: a changed file is taken up, a malformed one keeps the last good rules."""

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from recsys_assets.errors import RulesError
from recsys_assets.release.load import Release
from recsys_assets.rules.engine import Engine, load_engine, packaged_engine
from recsys_assets.rules.publish import rules_in_force
from recsys_assets.storage.home import Home

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
