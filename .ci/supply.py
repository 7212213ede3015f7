"""The package's parts: an SBOM (CycloneDX) and the licences of everything that it needs at run time.

It reads the metadata of the installed packages, in a second; cyclonedx-bom takes half a minute for the same list.

    python .ci/supply.py sbom FILE     write the SBOM of this environment
    python .ci/supply.py licences      print the list of licences, .github/LICENCES.md
    python .ci/supply.py check         exit with 1 where a licence is neither permissive nor in that list
"""

import json
import re
import sys
import uuid
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PACKAGE = "recsys-assets"
EXTRAS = ("postgres", "redis", "xlsx", "scale")
"""Those of users; `dev` and `bench` are for whoever works on the package."""
LISTED = Path(__file__).parents[1] / ".github" / "LICENCES.md"
PERMISSIVE = re.compile(
    r"MIT|BSD|Apache|PSF|Python Software Foundation|ISC|MPL|Mozilla|Public Domain|CC0|Unlicense"
)
_LONGEST = 80
_UNKNOWN = "unknown"


def needed() -> dict[str, list[str]]:
    """Return package -> the packages that it needs here, of everything that is installed for a user, by name."""
    found: dict[str, list[str]] = {}
    waiting: list[tuple[str, frozenset[str]]] = [(PACKAGE, frozenset(EXTRAS))]
    done = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in done:
            continue
        done.add((name, extras))
        try:
            lines = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # an extra of a dependency, which nobody installed
            continue
        needs = found.setdefault(name, [])
        for requirement in map(Requirement, lines):
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                other = canonicalize_name(requirement.name)
                needs.append(other)
                waiting.append((other, frozenset(requirement.extras)))
    return {name: sorted(set(needs) & found.keys()) for name, needs in sorted(found.items())}


def licence_of(name: str) -> str:
    """Return a package's licence: its expression, else its classifiers, else the first line of its text."""
    found = metadata.metadata(name)
    if found.get("License-Expression"):
        return str(found["License-Expression"])
    classifiers = [
        line.split(" :: ")[-1] for line in found.get_all("Classifier") or () if "License ::" in line
    ]
    named = [line for line in classifiers if line != "OSI Approved"]
    if named:
        return "; ".join(sorted(named))
    first = (found.get("License") or "").strip().split("\n")[0].strip()
    return re.sub(r"\s+", " ", first)[:_LONGEST] or _UNKNOWN


def sbom() -> dict[str, object]:
    """Return the bill of materials as CycloneDX 1.6."""
    packages = needed()
    versions = {name: metadata.version(name) for name in packages}
    refs = {name: f"pkg:pypi/{name}@{version}" for name, version in versions.items()}
    parts = {
        name: {
            "type": "application" if name == PACKAGE else "library",
            "bom-ref": refs[name],
            "name": name,
            "version": versions[name],
            "purl": refs[name],
            "licenses": [{"license": {"name": licence_of(name)}}],
        }
        for name in packages
    }
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid4()}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
            "component": parts.pop(PACKAGE),
        },
        "components": list(parts.values()),
        "dependencies": [
            {"ref": refs[name], "dependsOn": [refs[other] for other in needs]}
            for name, needs in packages.items()
        ],
    }


def licences() -> dict[str, str]:
    """Return package -> licence."""
    return {name: licence_of(name) for name in needed() if name != PACKAGE}


def listed() -> dict[str, str]:
    """Return the committed list."""
    rows = re.findall(r"^\| `([\w.-]+)` \| (.+) \|$", LISTED.read_text(encoding="utf-8"), re.MULTILINE)
    return dict(rows)


def main(task: str, *arguments: str) -> None:
    """Do one of the tasks."""
    if task == "sbom":
        file = Path(arguments[0])
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(sbom(), indent=1) + "\n", encoding="utf-8")
        print(f"{file}: {len(needed())} packages")
    elif task == "licences":
        print("\n".join(f"| `{name}` | {licence} |" for name, licence in licences().items()))
    else:
        found, known = licences(), listed()
        wrong = [
            f"{name}: {licence}"
            for name, licence in found.items()
            if known.get(name) != licence and ("GPL" in licence or not PERMISSIVE.search(licence))
        ]
        print("\n".join(wrong) or f"{len(found)} packages, each of a known licence")
        if wrong:
            sys.exit(f"look at these licences; where they are fine, list them in {LISTED}")


if __name__ == "__main__":
    main(*sys.argv[1:])
