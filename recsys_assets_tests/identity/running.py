"""Commands of one version in processes of their own, with an environment that is always the same."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from recsys_assets_tests.identity import normalise

_KEPT: Final = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "USER", "LOGNAME")
_FIXED: Final = {
    "COLUMNS": "300",
    "LC_ALL": "C.UTF-8",
    "NO_COLOR": "1",
    "OMP_NUM_THREADS": "2",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "TERM": "dumb",
    "TZ": "UTC",
}
_LONGEST_SECONDS: Final = 900


class Done(NamedTuple):
    """One command that ended."""

    code: int
    out: str
    err: str

    def as_json(self) -> dict[str, Any]:
        """For the transcript, lines as lists so that a difference names its line."""
        return {"code": self.code, "out": self.out.splitlines(), "err": self.err.splitlines()}


class Product(NamedTuple):
    """One version's files, and what its output says in place of where they are."""

    tree: Path
    """Its root; the first place that Python imports from."""
    scratch: Path
    """The folder that commands run in; nothing to import lies there."""
    places: Mapping[str, str]
    """Path of this run -> what the transcript says."""

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """All variables that a process gets."""
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        return {**kept, **_FIXED, "PYTHONPATH": str(self.tree), **(more or {})}

    def recsys(self, *arguments: str, more: Mapping[str, str] | None = None) -> Done:
        """Run `recsys …`; the output is normalised."""
        return self.python("-m", "recsys_assets", *arguments, more=more)

    def python(self, *arguments: str, more: Mapping[str, str] | None = None) -> Done:
        """Run `python …`; the output is normalised."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.scratch,
            env=self.environment(more),
            capture_output=True,
            text=True,
            timeout=_LONGEST_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        out, err = (normalise.text(raw, self.places) for raw in (done.stdout, done.stderr))
        return Done(done.returncode, out, err)
