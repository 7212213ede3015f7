"""The launcher of the settings: what it needs is looked for before work begins, and only where it is configured."""

import subprocess
import sys

import pytest

from recsys_assets.errors import LauncherError, SettingsError
from recsys_assets.launching.chosen import require_launcher
from recsys_assets.launching.launcher import free_port
from recsys_assets.scale_settings import LauncherSettings

WITHOUT = """
import sys
sys.modules[{package!r}] = None
from recsys_assets.launching.chosen import require_launcher
from recsys_assets.scale_settings import LauncherSettings
require_launcher(LauncherSettings(kind={kind!r}))
assert not any(name.split(".")[0] == "ray" for name in sys.modules if name != {package!r})
"""


def run(package: str, kind: str) -> subprocess.CompletedProcess[str]:
    program = WITHOUT.format(package=package, kind=kind)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("kind", ["in_process", "torchrun"])
def test_nothing_of_ray_is_needed_or_imported_for_another_kind(kind):
    assert run("dagster_ray", kind).returncode == 0


@pytest.mark.parametrize("package", ["ray", "dagster_ray"])
def test_a_missing_package_is_named_with_the_command_that_installs_it(package):
    last = run(package, "ray").stderr.strip().splitlines()[-1]
    assert last.startswith(f"{SettingsError.__module__}.SettingsError: [launcher] kind = ")
    assert "pip install 'recsys-assets[scale]'" in last


def test_an_address_at_which_nobody_listens_is_named_in_a_line():
    address = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(LauncherError, match=f"^{address}: no Ray cluster answers; start one") as found:
        require_launcher(LauncherSettings(kind="ray", address=address))
    assert "\n" not in str(found.value)
