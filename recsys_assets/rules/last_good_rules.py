"""A copy of a home's own rules as they were bound last, from which a server starts while they are broken."""

import contextlib
from shutil import rmtree
from typing import Final

from recsys_assets.rules.language.reading import Rules
from recsys_assets.storage.atomic import read_file, replaced_folder
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import locked
from recsys_assets.storage.toml_files import content_of

RULES_FILE: Final = "rules.toml"
"""The file's name in a home, in a release and in the copy."""


def keep_last_good(home: Home, rules: Rules) -> None:
    """Keep a home's own rules and their lists for a start while they are broken; remove those where others are bound.

    Raises:
        OSError, TomlError: a file cannot be read or written.
    """
    kept = home.last_good_rules
    with (
        contextlib.suppress(BlockingIOError),
        locked(home.lock("rules"), wait=False),
    ):  # a worker's turn is enough
        if rules.path != home.rules_file:
            rmtree(kept, ignore_errors=True)
            return
        lists = {str(file): read_file(home.root / file) for file in rules.lists.values()}
        files = {**lists, RULES_FILE: content_of(rules.path)}
        if all(
            (kept / name).is_file() and (kept / name).read_bytes() == text for name, text in files.items()
        ):
            return
        with replaced_folder(kept) as staged:
            for name, text in files.items():
                (staged / name).parent.mkdir(parents=True, exist_ok=True)
                (staged / name).write_bytes(text)
