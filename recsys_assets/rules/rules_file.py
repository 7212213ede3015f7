"""Which rules file holds: the home's own, a release's, or the package's; and the part a release keeps."""

import hashlib
from pathlib import Path
from shutil import copyfile
from typing import Final

from recsys_assets.rules.language.item_table import columns_of
from recsys_assets.rules.language.reading import read_rules
from recsys_assets.storage.atomic import replaced_folder
from recsys_assets.storage.home import Home

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
