"""Transcripts of versions, section by section: made where they are missing, else taken from the cache.

The cache holds `transcripts/`, the built homes that sections share (`homes/`), the generated sources, and while
a version runs its files (`trees/`) and what its commands write (`scratch/`).
"""

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click

from recsys_assets_tests.identity import commands, graph, homes, serving, sources
from recsys_assets_tests.identity.running import Product
from recsys_assets_tests.identity.trees import Version, laid_out

FORMAT: Final = 1
"""Raised when what is asked or kept changes, so that older transcripts are not compared with newer ones."""
SECTIONS: Final = ("graph", "builds", "api", "cli")


class Recorder:
    """Makes the transcripts of versions, or takes them from the cache."""

    def __init__(self, repository: Path, cache: Path, *, again: bool) -> None:
        """`again`: make transcripts and homes even where the cache has them."""
        self._repository = repository
        self._cache = cache
        self._again = again
        kind = f"v{FORMAT}" if sources.test_data() else f"v{FORMAT}-without-data"
        self._transcripts = cache / "transcripts" / kind
        self._homes = cache / "homes" / kind
        self._sources = cache / "sources"
        sources.generate(self._sources)

    def sections(self, version: Version, wanted: list[str]) -> dict[str, Any]:
        """The transcript of each section; those of a commit are kept."""
        files = {name: self._transcripts / version.label / f"{name}.json" for name in wanted}
        fresh = self._again or version.commit is None
        if fresh:
            shutil.rmtree(self._homes / version.label, ignore_errors=True)
        missing = [name for name, file in files.items() if fresh or not file.exists()]
        if missing:
            with self._product(version) as product:
                for name in missing:
                    self._record(version, name, product, files[name])
        return {name: json.loads(file.read_text(encoding="utf-8")) for name, file in files.items()}

    def _record(self, version: Version, name: str, product: Product, file: Path) -> None:
        started = time.monotonic()
        found = self._makers(product, self._homes / version.label)[name]()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False), encoding="utf-8")
        click.echo(f"{version.name} {name}: {time.monotonic() - started:.0f} s", err=True)

    def _makers(self, product: Product, folder: Path) -> dict[str, Callable[[], Any]]:
        def home(name: str) -> Path:
            return homes.ensure(product, self._sources, folder, name)

        return {
            "graph": lambda: graph.transcript(product),
            "builds": lambda: homes.transcript(product, self._sources, folder),
            "api": lambda: serving.transcript(product, home(homes.DEFAULT)),
            "cli": lambda: commands.transcript(product, home(homes.DEFAULT), home(homes.SHOP)),
        }

    @contextmanager
    def _product(self, version: Version) -> Iterator[Product]:
        tree, scratch = (self._cache / part / version.label for part in ("trees", "scratch"))
        places = {
            str(tree): "<tree>",
            str(scratch): "<scratch>",
            str(self._homes): "<homes>",
            str(self._sources): "<sources>",
            str(Path(sys.prefix)): "<environment>",
            version.label: "<version>",
        }
        shutil.rmtree(scratch, ignore_errors=True)
        try:
            with laid_out(self._repository, version, tree):
                yield Product(tree, scratch, places)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
