"""Fingerprints of the code that makes each asset, and the command that accepts them.

    python -m recsys_assets_tests.orchestration.code_fingerprints

The code of an asset is every definition of the package that is reached by name from the asset's body, across
modules. Its normal form leaves out comments, docstrings, annotations, imports, formatting, the texts of raised
errors, and the module that a definition stands in: moving or documenting code changes no fingerprint.
"""

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from recsys_assets.orchestration.fingerprints import CODE_VERSIONS

ROOT = Path(__file__).parents[2]
PACKAGE = "recsys_assets"
ACCEPTED = Path(__file__).with_name("code_fingerprints.json")
COMMAND = "python -m recsys_assets_tests.orchestration.code_fingerprints"

_ASSETS = f"{PACKAGE}.orchestration.assets"
BODIES = {
    "raw_interactions": [(f"{_ASSETS}.lake", "raw_interactions")],
    "item_catalogue": [(f"{_ASSETS}.lake", "item_catalogue")],
    "interactions": [(f"{_ASSETS}.interactions", "interactions")],
    "increment_report": [
        (f"{_ASSETS}.interactions", "increment_report"),
        (f"{PACKAGE}.notebooks.increment_report", None),  # executed as a file, not imported
    ],
    "model_choice": [(f"{_ASSETS}.embeddings", "model_choice")],
    "embeddings": [(f"{_ASSETS}.embeddings", "embeddings")],
    "evaluation": [(f"{_ASSETS}.embeddings", "evaluation")],
    "features": [(f"{_ASSETS}.features", "feature_tables")],
    "item_index": [(f"{_ASSETS}.index", "item_index")],
    "release": [(f"{_ASSETS}.release", "release")],
    "exported_lists": [(f"{_ASSETS}.exports", "exported_lists")],
    "impressions": [(f"{_ASSETS}.online", "impressions")],
    "online_metrics": [(f"{_ASSETS}.online", "online_metrics")],
}
"""Key of `CODE_VERSIONS` -> module and name of the asset's body; no name: the whole module."""
_WITHOUT_RESULTS = (
    f"{PACKAGE}.orchestration.fingerprints",
    f"{PACKAGE}.orchestration.metadata",
    f"{PACKAGE}.orchestration.partitions",
    f"{PACKAGE}.orchestration.planning",
    f"{PACKAGE}.storage",
    f"{PACKAGE}.settings",  # the values are in the fingerprint of an asset's inputs
    f"{PACKAGE}.errors",
)
"""Modules and folders that decide nothing about an asset's content."""
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def fingerprint_of(asset: str) -> str:
    """Return the first 20 hexadecimal digits of the SHA-256 of the asset's code in normal form."""
    reached = _Reached()
    for module, name in BODIES[asset]:
        reached.visit(module, name)
    digests = sorted({hashlib.sha256(form.encode()).hexdigest() for form in reached.forms})
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()[:20]


def current() -> dict[str, dict[str, str]]:
    """Return asset -> its code's version and fingerprint now."""
    return {
        asset: {"version": version, "code": fingerprint_of(asset)} for asset, version in CODE_VERSIONS.items()
    }


def accepted() -> dict[str, dict[str, str]]:
    """Return asset -> the version and fingerprint that were accepted last."""
    return json.loads(ACCEPTED.read_text(encoding="utf-8"))


@dataclass
class _Module:
    """The top-level statements of one module, by the names that they bind."""

    name: str
    defined: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imported: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    unnamed: list[ast.stmt] = field(default_factory=list)


@dataclass
class _Reached:
    """The definitions reached so far."""

    forms: list[str] = field(default_factory=list)
    _seen: set[tuple[str, str | None]] = field(default_factory=set)

    def visit(self, module: str, name: str | None) -> None:
        """Follow one name of a module; None follows all of them."""
        if (module, name) in self._seen or module.startswith(_WITHOUT_RESULTS):
            return
        self._seen.add((module, name))
        here = parsed(module)
        if here is not None:
            self._visit_in(here, module, name)
            for statement in here.unnamed if (module, "") not in self._seen else ():
                self._follow(statement, here)
            self._seen.add((module, ""))

    def _visit_in(self, here: _Module, module: str, name: str | None) -> None:
        if name is None:
            for one in here.defined:
                self.visit(module, one)
        elif name in here.defined:
            for statement in here.defined[name]:
                self._follow(statement, here)
        elif name in here.imported:
            self.visit(*here.imported[name])
        elif parsed(f"{module}.{name}") is not None:
            self.visit(f"{module}.{name}", None)

    def _follow(self, statement: ast.stmt, here: _Module) -> None:
        names = here.imported | dict(_imports(ast.walk(statement)))
        plain = without_notes(statement)
        self.forms.append(normal_form(plain))
        for node in ast.walk(plain):
            if isinstance(node, ast.Name) and node.id in names:
                self.visit(*names[node.id])
            elif isinstance(node, ast.Name) and node.id in here.defined:
                self.visit(here.name, node.id)
            elif isinstance(node, ast.Constant) and str(node.value).startswith(f"{PACKAGE}."):
                self.visit(str(node.value), None)  # a module to run in another process
        for owner, member in _resource_members(statement, names):
            self._follow_member(owner, member)

    def _follow_member(self, owner: tuple[str, str | None], member: str) -> None:
        """Follow the method or property of a resource that an asset's body uses."""
        module, name = owner
        here = parsed(module)
        key = (module, f"{name}.{member}")
        if here is None or key in self._seen or module.startswith(_WITHOUT_RESULTS):
            return
        self._seen.add(key)
        for statement in here.defined.get(str(name), []):
            for part in getattr(statement, "body", []):
                if isinstance(part, ast.FunctionDef) and part.name == member:
                    self._follow(part, here)
                    for used in _attributes_of(part, "self"):
                        self._follow_member(owner, used)


@cache
def parsed(module: str) -> _Module | None:
    """Return a module of the package in parts; None where there is none of that name."""
    folder = ROOT.joinpath(*module.split("."))
    path = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    if not module.startswith(PACKAGE) or not path.is_file():
        return None
    found = _Module(module)
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        names = [*_bound(statement)]
        found.imported.update(_imports([statement]))
        for name in names:
            found.defined.setdefault(name, []).append(statement)
        is_import = isinstance(statement, ast.Import | ast.ImportFrom)
        if not names and not is_import and not _is_docstring(statement) and not _is_for_types(statement):
            found.unnamed.append(statement)
    return found


def without_notes(statement: ast.stmt) -> ast.stmt:
    """Return a copy of a statement without docstrings, annotations, imports and the texts of raised errors."""
    return _Plain().visit(deepcopy(statement))


def normal_form(node: object) -> str:
    """Return a tree as text, the same in every version of Python that the package runs on."""
    match node:
        case ast.AST():
            left_out = {"ctx", "kind", "type_comment", "type_params"}
            fields = [
                f"{name}={normal_form(value)}"
                for name, value in ast.iter_fields(node)
                if name not in left_out and value is not None and value != []
            ]
            return f"{type(node).__name__}({', '.join(fields)})"
        case list():
            return f"[{', '.join(map(normal_form, node))}]"
        case _:
            return repr(node)


class _Plain(ast.NodeTransformer):
    """Leaves out whatever does not decide a result."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        return ast.arg(node.arg)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        node.returns = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self.generic_visit(node)
        target = [node.target]
        return ast.Assign(target, node.value) if node.value is not None else ast.Expr(node.target)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return ast.Raise(raised, None)

    def visit_Import(self, _node: ast.Import) -> None:
        return None

    def visit_ImportFrom(self, _node: ast.ImportFrom) -> None:
        return None

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if _is_docstring(node) else self.generic_visit(node)


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def _bound(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, _DEFINITIONS):
        yield statement.name
    elif isinstance(statement, ast.Assign | ast.AnnAssign):
        for target in getattr(statement, "targets", None) or [statement.target]:
            yield from (node.id for node in ast.walk(target) if isinstance(node, ast.Name))


def _imports(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, tuple[str, str | None]]]:
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith(PACKAGE):
            for alias in node.names:
                yield alias.asname or alias.name, (str(node.module), alias.name)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith(PACKAGE) and alias.asname:
                    yield alias.asname, (alias.name, None)


def _resource_members(
    statement: ast.stmt, names: dict[str, tuple[str, str | None]]
) -> Iterator[tuple[tuple[str, str | None], str]]:
    """Yield the class of each annotated resource among the arguments, and the members used of it."""
    if not isinstance(statement, ast.FunctionDef):
        return
    for argument in (*statement.args.args, *statement.args.kwonlyargs):
        annotation = argument.annotation
        owner = names.get(annotation.id) if isinstance(annotation, ast.Name) else None
        if owner is not None and owner[0] == f"{PACKAGE}.orchestration.resources":
            yield from ((owner, member) for member in _attributes_of(statement, argument.arg))


def _attributes_of(statement: ast.stmt, name: str) -> Iterator[str]:
    for node in ast.walk(statement):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == name:
            yield node.attr


if __name__ == "__main__":
    ACCEPTED.write_text(json.dumps(current(), indent=1) + "\n", encoding="utf-8")
