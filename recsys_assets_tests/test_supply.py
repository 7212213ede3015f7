"""All that the package needs is written down: constraints, licences, the way out where one person keeps it."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = ("postgres", "redis", "xlsx")
DIRECT = [
    Requirement(line)
    for lines in (PROJECT["dependencies"], *(PROJECT["optional-dependencies"][extra] for extra in EXTRAS))
    for line in lines
]
PINNED = re.compile(r"([\w.-]+)==(\S+)( ; .+)?")


def pins(name: str) -> dict[str, list[Requirement]]:
    """Package -> its pins, several where they differ between systems."""
    found: dict[str, list[Requirement]] = {}
    for line in (ROOT / ".ci" / "constraints" / f"{name}.txt").read_text().splitlines():
        assert PINNED.fullmatch(line), line
        pin = Requirement(line)
        found.setdefault(canonicalize_name(pin.name), []).append(pin)
    return found


@pytest.mark.parametrize("constraints", ["newest", "lowest"])
@pytest.mark.parametrize("needed", DIRECT, ids=str)
def test_every_direct_dependency_is_pinned_within_its_bounds(constraints, needed):
    versions = [
        next(iter(pin.specifier)).version for pin in pins(constraints)[canonicalize_name(needed.name)]
    ]
    assert all(needed.specifier.contains(version) for version in versions)


def test_the_lowest_are_the_lowest_of_pyproject_or_of_what_needs_them():
    newest, lowest = (pins(name) for name in ("newest", "lowest"))
    older = [
        needed.name
        for needed in DIRECT
        if lowest[canonicalize_name(needed.name)] != newest[canonicalize_name(needed.name)]
    ]
    assert len(older) > len(DIRECT) * 0.7


def test_every_direct_dependency_has_its_keepers_noted():
    noted = (ROOT / ".github" / "DEPENDENCIES.md").read_text()
    assert [needed.name for needed in DIRECT if f"`{needed.name}`" not in noted] == []


def test_the_sbom_names_what_is_installed_and_every_licence_is_known(tmp_path):
    tool = [sys.executable, ROOT / ".ci" / "supply.py"]
    subprocess.run([*tool, "check"], check=True, cwd=ROOT)
    subprocess.run([*tool, "sbom", tmp_path / "sbom.json"], check=True, cwd=ROOT)
    found = json.loads((tmp_path / "sbom.json").read_text())
    names = {part["name"] for part in found["components"]}
    assert (found["bomFormat"], found["metadata"]["component"]["name"]) == ("CycloneDX", "recsys-assets")
    assert {canonicalize_name(needed.name) for needed in DIRECT if needed.marker is None} <= names
    refs = {part["bom-ref"] for part in found["components"]} | {found["metadata"]["component"]["bom-ref"]}
    assert {ref for one in found["dependencies"] for ref in one["dependsOn"]} <= refs
