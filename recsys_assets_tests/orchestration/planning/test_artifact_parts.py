"""Whatever changes the fingerprint of an artifact changes a named part of it, and nothing else does."""

from datetime import date

import msgspec
import polars as pl
import pytest

from recsys_assets.interactions.contract import INTERACTIONS
from recsys_assets.orchestration import fingerprints
from recsys_assets.orchestration.fingerprints import Inputs
from recsys_assets.orchestration.planning.artifact_parts import ASSETS, parts_of
from recsys_assets.rules.rules_file import PACKAGED
from recsys_assets.settings import Settings, load_or_default_settings
from recsys_assets.storage.home import Home

DAY = date(2024, 1, 1)


def a_setting(section: str, **values: object):
    def change(_home: Home, settings: Settings) -> Settings:
        changed = msgspec.structs.replace(getattr(settings, section), **values)
        return msgspec.structs.replace(settings, **{section: changed})

    return change


def a_day(home: Home, settings: Settings) -> Settings:
    Inputs(home, settings).interaction_store.write(DAY, pl.DataFrame(schema=INTERACTIONS.polars_schema()))
    return settings


def the_catalogue(home: Home, settings: Settings) -> Settings:
    home.catalogue.parent.mkdir(parents=True, exist_ok=True)
    home.catalogue.write_bytes(b"other")
    return settings


def the_rules(home: Home, settings: Settings) -> Settings:
    home.rules_file.write_text(PACKAGED.read_text().replace('default = "home"', 'default = "plain"'))
    return settings


CHANGES = {
    "training": a_setting("training", epochs=3),
    "seen": a_setting("interactions", seen="all"),
    "index": a_setting("index", recall_target=0.5),
    "export": a_setting("export", to="lists.parquet"),
    "report": a_setting("report", days=0),
    "day": a_day,
    "catalogue": the_catalogue,
    "rules": the_rules,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_fingerprint_and_parts_change_together(tmp_path, change):
    home = Home(tmp_path)
    settings = load_or_default_settings(home)
    before = Inputs(home, settings)
    known = {name: (before.of_artifact(name), parts_of(before, name)) for name in ASSETS}
    now = Inputs(home, change(home, settings))
    for name, (fingerprint, parts) in known.items():
        assert (now.of_artifact(name) == fingerprint) == (parts_of(now, name) == parts), name


@pytest.mark.parametrize("asset", fingerprints.CODE_VERSIONS)
def test_a_version_of_code_is_a_part(tmp_path, monkeypatch, asset):
    home = Home(tmp_path)
    settings = load_or_default_settings(home)
    before = {name: parts_of(Inputs(home, settings), name) for name in ASSETS}
    known = {name: Inputs(home, settings).of_artifact(name) for name in ASSETS}
    monkeypatch.setitem(fingerprints.CODE_VERSIONS, asset, "99")
    now = Inputs(home, settings)
    for name in ASSETS:
        assert (now.of_artifact(name) == known[name]) == (parts_of(now, name) == before[name]), name
