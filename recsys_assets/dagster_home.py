"""The home's own Dagster storage: made where it isn't there, and named to this process and its children."""

import os
from typing import Final

from recsys_assets.settings import HOME_VARIABLE, Home

_DAGSTER_YAML: Final = """\
telemetry:
  enabled: false
nux:
  enabled: false
"""
"""Nothing is sent to Dagster's makers, and the UI opens without asking to join them."""


def prepare_dagster(home: Home) -> None:
    """Make the home's Dagster storage and point this process, and its children, at the home."""
    home.dagster.mkdir(parents=True, exist_ok=True)
    configuration = home.dagster / "dagster.yaml"
    if not configuration.exists():
        configuration.write_text(_DAGSTER_YAML, encoding="utf-8")
    os.environ["DAGSTER_HOME"] = str(home.dagster)
    os.environ[HOME_VARIABLE] = str(home.root)
