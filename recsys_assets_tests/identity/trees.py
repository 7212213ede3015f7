"""Versions of the product side by side: one commit's files, or those of the working tree, in a folder each."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

WORKING_TREE: Final = "worktree"
"""The word for the files as they are now."""
_WORKING_LABEL: Final = "working-tree"


class Version(NamedTuple):
    """One side of a comparison."""

    name: str
    """As it was given."""
    label: str
    """Twelve characters, in every path of its run, so that all runs wrap and pad their output alike."""
    commit: str | None
    """The whole hash; None for the working tree."""


def resolve(repository: Path, name: str) -> Version:
    """A commit by any name that git knows, or the working tree.

    Raises:
        SystemExit: git knows no such commit.
    """
    if name == WORKING_TREE:
        return Version(name, _WORKING_LABEL, None)
    try:
        commit = _git(repository, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").decode().strip()
    except subprocess.CalledProcessError:
        raise SystemExit(f"{repository}: git knows no commit {name!r}") from None
    return Version(name, commit[:12], commit)


@contextmanager
def laid_out(repository: Path, version: Version, folder: Path) -> Iterator[Path]:
    """The version's files in `folder`, which is removed afterwards."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        if version.commit is None:
            _copy_working_tree(repository, folder)
        else:
            archive = _git(repository, "archive", "--format=tar", version.commit)
            subprocess.run(["tar", "-x", "-C", str(folder)], input=archive, check=True)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy_working_tree(repository: Path, folder: Path) -> None:
    listed = _git(repository, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in listed.decode().split("\0"):
        source = repository / name
        if name and source.is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def _git(repository: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(repository), *arguments], check=True, capture_output=True).stdout
