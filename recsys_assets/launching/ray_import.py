"""The one place that imports Ray, an optional package, with what keeps its import from ending the process."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Final

from recsys_assets.errors import SettingsError

_NEEDS_RAY: Final = "Ray is not installed: pip install 'recsys-assets[scale]'"
_OWN_SETTING: Final = re.compile(r"RAY_[a-z]")


def import_ray() -> Any:
    """Return the module `ray`.

    Its library reads its own settings (`RAY_memory_monitor_refresh_ms` and others in lower case) as it is loaded. Ray
    2.60 then crashes in a process that has loaded other libraries of this package, so they are hidden meanwhile: they
    are for the nodes, which have them from `ray start`.

    Raises:
        SettingsError: Ray is not installed.
    """
    with _hidden_settings():
        try:
            import ray  # noqa: PLC0415  an optional package
            import ray.job_submission  # noqa: PLC0415  as above
        except ModuleNotFoundError as error:
            raise SettingsError(_NEEDS_RAY) from error
    return ray


def require_ray() -> None:
    """Check that the packages of a cluster are installed; nothing is imported.

    Raises:
        SettingsError: one is not.
    """
    for name in ("ray", "dagster_ray"):
        if find_spec(name) is None:
            raise SettingsError(f'[launcher] kind = "ray": {_NEEDS_RAY}')


def import_pipes_client() -> Any:
    """Return dagster-ray's `PipesRayJobClient`.

    Raises:
        SettingsError: dagster-ray is not installed.
    """
    import_ray()
    try:
        from dagster_ray import PipesRayJobClient  # noqa: PLC0415  an optional package
    except ModuleNotFoundError as error:
        raise SettingsError(_NEEDS_RAY) from error
    return PipesRayJobClient


@contextmanager
def _hidden_settings() -> Iterator[None]:
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if _OWN_SETTING.match(name)}
    try:
        yield
    finally:
        os.environ.update(hidden)
