"""The house rules that a machine can hold: plain words, sizes, names, and the one folder that knows Dagster."""

import ast
import configparser
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "recsys_assets"
TESTS = ROOT / "recsys_assets_tests"
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    PACKAGE / "benchmarks" / "README.md",
    *sorted((ROOT / ".github").glob("*.md")),
]

QUESTION = re.compile(r"\W*(What|Which|Whether|How)\b")
TURNS = {
    r"\b(by|for|in|of|with|to|the first|at most|at least|after) so (many|much|long)\b(?! that)": "N, or the name",
    r"^so many\b": "N, or the name",
    r"\banew\b": "rebuilt, again",
    r"\btold\b": "reported, given",
    r"\basked\b(?! whether)": "requested",
    r"\b(all|both|each|most|some|many|one|two|none|\d+) of which\b|, of which\b": "two sentences",
    r"\bgo(es)? by\b": "uses",
    r"\bstands? in\b(?! for)": "is in",
    r"\blikewise\b": "also, the same",
    r"\ba person who\b": "a user, the reader",
    r"\bput(s|ting)? aside\b": "quarantine",
    r"\bwhat became of\b": "the outcome of",
}
"""Translated and archaic turns, and the plain word for each."""
REFUSED = re.compile(r"\brefus(e|es|ed|al|ing)\b(?! connection)", re.IGNORECASE)
DAILY = {"drift", "interactions", "lake", "notebooks", "orchestration", "quality"}
"""Folders that are about days; elsewhere a line is about days when it has one of `DAY`'s words."""
DAY = re.compile(r"\b(days?|deliver(y|ies)|quarantine)\b", re.IGNORECASE)
SHORT = {
    "__main__",
    "arrays",
    "cli",
    "columns",
    "day_folders",
    "definitions",
    "errors",
    "event_settings",
    "locks",
    "partitions",
    "postgres_event_log",
}
"""Modules that may have less than 40 lines, beside those in folders of assets and checks."""
SAME_NAME = {"__init__", "contract"}
MODULES, LONGEST_MODULE, SHORTEST_MODULE, LONGEST_FUNCTION = 611, 300, 40, 60


def python_files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def modules() -> list[Path]:
    return [file for file in python_files(PACKAGE) if file.name != "__init__.py"]


@cache
def source(file: Path) -> str:
    return file.read_text(encoding="utf-8")


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(source(file))


def place(file: Path, line: int) -> str:
    return f"{file.relative_to(ROOT)}:{line}"


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def docstrings(file: Path) -> Iterator[tuple[int, str]]:
    """Line and text of the docstrings of the module, its classes, functions and fields."""
    for node in ast.walk(tree(file)):
        for statement in getattr(node, "body", []) if not isinstance(node, ast.Lambda | ast.IfExp) else []:
            if isinstance(statement, ast.Expr) and is_text(statement.value):
                yield statement.lineno, statement.value.value


def comments(file: Path) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source(file)).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string.lstrip("# ")


def messages(file: Path) -> Iterator[tuple[int, str]]:
    """Line and text of strings that are sentences: of errors, log lines, help, descriptions."""
    documented = {(line, text) for line, text in docstrings(file)}
    for node in ast.walk(tree(file)):
        if is_text(node) and node.value.count(" ") > 1 and (node.lineno, node.value) not in documented:
            yield node.lineno, node.value


@cache
def prose(file: Path) -> list[tuple[int, str]]:
    """Line and text of everything in a module that is written for readers, without `code`."""
    return [
        (line + offset, re.sub(r"`[^`]*`", "``", row))
        for part in (docstrings, comments, messages)
        for line, text in part(file)
        for offset, row in enumerate(text.splitlines())
    ]


def document_lines(file: Path) -> Iterator[tuple[int, str]]:
    """Line and text of a document, without `code` and blocks of it."""
    fenced = False
    for number, row in enumerate(source(file).splitlines(), start=1):
        if row.startswith("```"):
            fenced = not fenced
        elif not fenced:
            yield number, re.sub(r"`[^`]*`", "``", row)


def written() -> Iterator[tuple[Path, int, str]]:
    """File, line and text of the package's prose and of the documents."""
    for file in python_files(PACKAGE):
        yield from ((file, *found) for found in prose(file))
    for file in DOCUMENTS:
        yield from ((file, *found) for found in document_lines(file))


def functions(file: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree(file)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def lines_of(file: Path) -> int:
    return len(source(file).splitlines())


def is_wiring(file: Path) -> bool:
    """True of `assets/<stage>` and `checks/<stage>`, which are named after their stage."""
    return file.parent.name in {"assets", "checks"}


def imported(file: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module


@pytest.mark.parametrize("folder", [PACKAGE, TESTS], ids=["package", "tests"])
def test_no_docstring_opens_as_a_question(folder):
    assert [
        f"{place(file, line)}: {text.splitlines()[0]}"
        for file in python_files(folder)
        for line, text in docstrings(file)
        if QUESTION.match(text)
    ] == []


def test_nothing_written_for_readers_has_a_translated_turn():
    assert [
        f"{place(file, line)}: {found[0]!r} -> {plain}: {text.strip()}"
        for file, line, text in written()
        for turn, plain in TURNS.items()
        if (found := re.search(turn, text, re.IGNORECASE))
    ] == []


def test_a_day_is_rejected_and_never_refused():
    assert [
        f"{place(file, line)}: {text.strip()}"
        for file, line, text in written()
        if REFUSED.search(text) and (DAY.search(text) or DAILY & set(file.relative_to(ROOT).parts))
    ] == []


def test_no_two_modules_have_one_name():
    places = defaultdict(list)
    for file in modules():
        if not is_wiring(file) and file.stem not in SAME_NAME:
            places[file.stem].append(str(file.relative_to(ROOT)))
    assert [found for found in places.values() if len(found) > 1] == []


def test_no_two_public_classes_have_one_name():
    places = defaultdict(list)
    for file in modules():
        for node in tree(file).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(place(file, node.lineno))
    assert [f"{name}: {', '.join(found)}" for name, found in places.items() if len(found) > 1] == []


def test_the_package_has_a_bounded_number_of_modules():
    assert len(modules()) <= MODULES


def test_no_module_is_too_long_or_too_short_to_stand_alone():
    assert [
        f"{place(file, lines_of(file))}: lines"
        for file in modules()
        if lines_of(file) > LONGEST_MODULE
        or (lines_of(file) < SHORTEST_MODULE and file.stem not in SHORT and not is_wiring(file))
    ] == []


def test_no_function_is_longer_than_60_lines():
    assert [
        f"{place(file, node.lineno)}: {node.name}, {node.end_lineno - node.lineno + 1} lines"
        for file in modules()
        if file.parent.name != "schemas"
        for node in functions(file)
        if node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION
    ] == []


def test_only_orchestration_and_definitions_import_dagster():
    assert [
        f"{place(file, line)}: {name}"
        for file in python_files(PACKAGE)
        if file.name != "definitions.py" and PACKAGE / "orchestration" not in file.parents
        for line, name in imported(file)
        if name.partition(".")[0] in {"dagster", "dagster_pipes"}
    ] == []


def test_packages_hold_only_a_docstring_in_their_init():
    assert [
        str(file.relative_to(ROOT))
        for file in python_files(PACKAGE)
        if file.name == "__init__.py" and (len(tree(file).body) != 1 or not ast.get_docstring(tree(file)))
    ] == []


def test_the_layers_hold_without_exceptions():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    assert [name for name in config.sections() if config.has_option(name, "ignore_imports")] == []
