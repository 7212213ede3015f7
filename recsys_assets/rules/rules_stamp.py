"""Stamps of a rules file and of the lists that it names, by which a change is noticed without reading them."""

from functools import lru_cache
from pathlib import Path

from recsys_assets.storage.home import Home
from recsys_assets.storage.toml_files import TomlError, content_of, parse_toml

Stamp = tuple[tuple[str | int, ...], ...]
"""Path, size, inode and times of each file that the rules are made of."""


def rules_stamp(home: Home, file: Path, *others: Path) -> Stamp:
    """Return a value that is another one after a rules file, a list that it names, or one of the others changed.

    The rules may be valid or not.
    """
    lists = (home.root / name for name in lists_named(file))
    return _stamp([file, *lists, *others])


def lists_named(file: Path) -> list[str]:
    """Return the names of the lists' files that a rules file names, as they stand there; none where it is no TOML."""
    return _lists_named(file, _stamp([file]))


@lru_cache(maxsize=8)
def _lists_named(file: Path, _: Stamp) -> list[str]:
    """Parse a file again only when its stamp is another: that takes 1 ms, and there are four calls a second."""
    try:
        named = parse_toml(content_of(file))[1].get("lists", {})
    except (OSError, TomlError):
        return []
    return [name for name in named.values() if isinstance(name, str)] if isinstance(named, dict) else []


def _stamp(files: list[Path]) -> Stamp:
    return tuple((str(file), *_times(file)) for file in files)


def _times(file: Path) -> tuple[int, ...]:
    try:
        status = file.stat()
    except (OSError, ValueError):  # a name of a list may hold any character
        return ()
    return (status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
