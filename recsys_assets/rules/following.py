"""Following the rules in force: a changed file is taken up, a malformed one keeps the last good rules."""

from dataclasses import dataclass
from pathlib import Path

from recsys_assets.errors import RulesError
from recsys_assets.release.load import Release
from recsys_assets.rules.engine import Engine, load_engine, packaged_engine
from recsys_assets.rules.publish import rules_in_force
from recsys_assets.settings import Home

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
        self._stamp: Stamp = ()
        self.followed = self._first()

    def look(self) -> bool:
        """Take up changed files; whether anything changed, a new problem included."""
        files = self._files()
        stamp = _stamp(files)
        if stamp == self._stamp:
            return False
        try:
            engine = load_engine(self._release, home=self._home, path=files[0])
        except RulesError as error:
            self.followed = Followed(engine=self.followed.engine, problem=str(error))
            self._stamp = stamp
        else:
            self.followed = Followed(engine=engine, problem=None)
            self._stamp = _stamp(self._files())
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
            return self._set(Followed(engine=engine, problem=problem), in_force)
        return self._set(
            Followed(engine=packaged_engine(self._release, home=self._home), problem=problem), in_force
        )

    def _set(self, followed: Followed, in_force: Path) -> Followed:
        lists = [self._home.root / file for file in followed.engine.rules.lists.values()]
        self._stamp = _stamp([in_force, *lists])
        return followed

    def _files(self) -> list[Path]:
        in_force = rules_in_force(self._home, self._release.folder)
        engine = self.followed.engine
        return [in_force, *(self._home.root / file for file in engine.rules.lists.values())]


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
