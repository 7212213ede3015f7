"""A change of the code that makes an asset does not go unnoticed; moving and documenting code is no change."""

import ast
import re

import pytest

from recsys_assets.orchestration.fingerprints import CODE_VERSIONS
from recsys_assets_tests.orchestration import code_fingerprints
from recsys_assets_tests.orchestration.code_fingerprints import (
    BODIES,
    COMMAND,
    accepted,
    current,
    normal_form,
    parsed,
    without_notes,
)

BARE = """\
def scaled(values, factor=2):
    if factor < 0:
        raise ValueError("negative")
    return [factor * value for value in values]
"""
DOCUMENTED = '''\
def scaled(values: list[float], factor: float = 2) -> list[float]:
    """Scale.

    Args:
        values: numbers.
    """
    # the sign is checked first
    if factor < 0:
        raise ValueError(f"factor is {factor}; give at least 0") from None
    return [
        factor * value
        for value in values
    ]
'''


def form_of(source: str) -> str:
    (statement,) = ast.parse(source).body
    return normal_form(without_notes(statement))


def test_the_code_of_every_asset_is_the_accepted_one():
    before, now = accepted(), current()
    changed = [asset for asset in now if now[asset] != before.get(asset)]
    unraised = [asset for asset in changed if now[asset]["version"] == before.get(asset, {}).get("version")]
    assert not changed, (
        f"the code that makes {', '.join(changed)} changed. Where a result changes with it, raise its version in "
        f"CODE_VERSIONS (not raised: {', '.join(unraised) or 'none'}), so that homes build it again; where "
        f"results stay the same, don't. Then accept the code: {COMMAND}"
    )


def test_every_version_has_a_body():
    assert BODIES.keys() == CODE_VERSIONS.keys()


def test_comments_docstrings_annotations_messages_and_formatting_are_no_change():
    assert form_of(BARE) == form_of(DOCUMENTED)


@pytest.mark.parametrize(
    ("before", "after"),
    [("< 0", "<= 0"), ("factor=2", "factor=3"), ("ValueError", "TypeError"), ("* value", "+ value")],
)
def test_another_result_is_a_change(before, after):
    assert form_of(BARE) != form_of(BARE.replace(before, after))


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Write modules, and return the fingerprint of an asset whose body is `made` of the module `body`."""

    def fingerprint(**modules: str) -> str:
        parsed.cache_clear()
        for name, source in modules.items():
            (tmp_path / f"{name}.py").write_text(source)
        return code_fingerprints.fingerprint_of("asset")

    monkeypatch.setattr(code_fingerprints, "ROOT", tmp_path)
    monkeypatch.setattr(code_fingerprints, "PACKAGE", "")
    monkeypatch.setitem(BODIES, "asset", [("body", "made")])
    yield fingerprint
    parsed.cache_clear()


BODY = "from {} import scaled\n\n\ndef made():\n    return scaled([1])\n"


def test_code_that_moved_to_another_module_is_no_change(package):
    assert package(body=BODY.format("one"), one=BARE) == package(body=BODY.format("two"), two=BARE)
    assert package(body=BODY.format("one"), one=BARE) == package(
        body=BARE + "def made():\n    return scaled([1])\n"
    )


def test_code_reached_through_another_module_counts(package):
    through = "from {} import FACTOR\n\n\ndef scaled(values):\n    return FACTOR\n".format("deep")
    given = {"body": BODY.format("one"), "one": through}
    assert package(**given, deep="FACTOR = 2\n") != package(**given, deep="FACTOR = 3\n")


def test_code_that_the_asset_does_not_use_does_not_count(package):
    assert package(body=BODY.format("one"), one=BARE) == package(
        body=BODY.format("one"), one=BARE + "\n\ndef other():\n    return 1\n"
    )


def test_what_trains_in_other_processes_counts_too():
    reached = code_fingerprints._Reached()
    for body in BODIES["embeddings"]:
        reached.visit(*body)
    modules = {re.sub(r"^recsys_assets\.", "", module) for module, _ in reached._seen}
    assert {"embeddings.ials", "embeddings.softmax", "embeddings.ials_half_step"} <= modules
