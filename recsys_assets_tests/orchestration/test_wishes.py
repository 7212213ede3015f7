"""From a table with kinds and ratings to features: what is a wish, what is stale after a change, and older files."""

import json
from datetime import date, timedelta

import dagster as dg
import msgspec
import polars as pl
import pytest

from recsys_assets.features.feature_store import FeatureStore
from recsys_assets.interactions.contract import INTERACTIONS
from recsys_assets.lake.contract import RAW_INTERACTIONS
from recsys_assets.lake.item_catalogue import catalogue_of, write_catalogue
from recsys_assets.orchestration.assets import features
from recsys_assets.orchestration.build import land
from recsys_assets.orchestration.checks.features import kinds_of_the_settings_are_there
from recsys_assets.orchestration.fingerprints import INPUTS_KEY, Inputs
from recsys_assets.orchestration.instance import open_instance
from recsys_assets.orchestration.resources import Artifacts, Lake
from recsys_assets.settings import InteractionsSettings, ReportSettings, Settings, load_settings
from recsys_assets.storage.home import FEATURE_DATABASE, Home
from recsys_assets.storage.partition_store import PartitionStore
from recsys_assets_tests.orchestration.homes import SilentWatcher

FIRST = date(2024, 1, 1)
DAYS = [FIRST + timedelta(days=n) for n in range(6)]
KINDS = ("View", "purchase", "rating", "hide")


def events() -> pl.DataFrame:
    """90 events a day; every fourth is a rating, of 1 to 5 stars in turn."""
    rows = []
    for place in range(90 * len(DAYS)):
        day, n = divmod(place, 90)
        kind = KINDS[n % 4]
        rows.append(
            {
                "who": f"u{n % 20}",
                "what": f"i{(n * 7 + day) % 30}",
                "at": f"{DAYS[day]}T10:{n % 60:02d}:{n // 60:02d}Z",
                "stars": n // 4 % 5 + 1 if kind == "rating" else None,
                "paid": 2.5 if kind == "purchase" else None,
                "event_type": kind,
            }
        )
    return pl.DataFrame(rows, infer_schema_length=None)


MAPPING = {
    "user_id": "who", "item_id": "what", "timestamp": "at", "rating": "stars", "value": "paid", "kind": "event_type",
}  # fmt: skip


@pytest.fixture(scope="module")
def landed(recsys, tmp_path_factory) -> tuple[Home, Settings, str]:
    """Set a home up by `recsys init` and land all its days; what the command printed, too."""
    folder = tmp_path_factory.mktemp("wishes")
    source = folder / "events.csv"
    events().write_csv(source)
    home = Home(folder / "home")
    columns = [part for ours, theirs in MAPPING.items() for part in ("--column", f"{ours}={theirs}")]
    done = recsys("init", "--source", f"tabular:{source}", *columns, home=home.root)
    assert done.returncode == 0, done.stderr
    settings = without_reports(load_settings(home))
    assert not land(home, settings, SilentWatcher(), DAYS).failed
    return home, settings, done.stdout


def without_reports(settings: Settings) -> Settings:
    return msgspec.structs.replace(settings, report=ReportSettings(days=0))


def materialise_features(home: Home) -> FeatureStore:
    lake, artifacts = Lake(home_path=str(home.root)), Artifacts(home_path=str(home.root))
    write_catalogue(home.catalogue, catalogue_of(lake.source()))
    done = dg.materialize(features.ASSETS, resources={"lake": lake, "artifacts": artifacts})
    assert done.success
    return FeatureStore(home.artifact("features") / FEATURE_DATABASE)


def test_init_says_in_one_line_what_counts_as_a_wish(landed):
    _, settings, output = landed
    (line,) = (line for line in output.splitlines() if line.startswith("Wishes:"))
    assert "view 0.2" in line
    assert "purchase 1" in line
    assert "(seen, but no wish: hide); of ratings 4 and above, " in line
    assert settings.interactions.rating_positive == 4.0


def test_kinds_and_ratings_weigh_the_interactions(landed):
    home, settings, _ = landed
    rows = Inputs(home, settings).interaction_store.scan(DAYS).collect()
    distinct = rows.select("kind", pl.col("weight").cast(pl.Float64).round(3)).unique().sort(pl.all())
    assert distinct.rows() == [
        ("hide", 0.0),
        ("purchase", 1.0),
        ("rating", 0.0),
        ("rating", 1.0),
        ("view", 0.2),
    ]
    assert (rows.filter(pl.col("rating") >= 4)["weight"] == 1.0).all()
    assert rows.height == 90 * len(DAYS)


def test_the_share_of_wishes_is_shown_with_each_day_and_the_run(landed):
    home, settings, _ = landed
    store = Inputs(home, settings).interaction_store
    with open_instance(home) as instance:
        key = dg.AssetKey("interactions")
        records = instance.fetch_materializations(key, limit=100).records
        shown = {r.partition_key: r.asset_materialization.metadata["wishes"].value for r in records}
    for day in DAYS:
        frame = store.read(day)
        wishes = frame.filter(pl.col("weight") > 0).height
        assert shown[day.isoformat()] == f"{wishes:,} of {frame.height:,} ({wishes / frame.height:.1%})"


def test_features_rules_and_registry_have_the_kinds(landed):
    home, _, _ = landed
    store = materialise_features(home)
    user = store.user("u0")
    assert user["events_28d"] == sum(user[f"events_28d.{kind.lower()}"] for kind in KINDS)
    named = [row["name"] for row in json.loads((home.artifact("features") / "features.json").read_text())]
    assert named.count("events_28d.purchase") == 2


def test_a_mistyped_kind_is_reported_where_the_kinds_are_known(landed, monkeypatch):
    home, _, printed = landed
    materialise_features(home)
    lake = Lake(home_path=str(home.root))
    assert (kinds_of_the_settings_are_there(lake).passed, "no event is of the kind" in printed) == (
        True,
        False,
    )
    monkeypatch.setenv("RECSYS_INTERACTIONS__KINDS__PURCHSE", "2")
    found = kinds_of_the_settings_are_there(lake)
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "the kind `purchse` (do you mean `purchase`?); the source has hide, purchase" in found.description


def test_another_rule_makes_interactions_stale_and_nothing_before(landed):
    home, settings, _ = landed
    before = Inputs(home, settings)
    for changed in (
        InteractionsSettings(rating_positive=3.0),
        InteractionsSettings(rating_positive=4.0, kinds={"view": 0.0}),
    ):
        after = Inputs(home, msgspec.structs.replace(settings, interactions=changed))
        assert after.raw_interactions(FIRST) == before.raw_interactions(FIRST)
        assert after.item_catalogue == before.item_catalogue
        assert after.interactions(FIRST) != before.interactions(FIRST)


def test_what_hides_an_item_changes_no_interaction(landed):
    home, settings, _ = landed
    seen = InteractionsSettings(rating_positive=settings.interactions.rating_positive, seen="all")
    after = Inputs(home, msgspec.structs.replace(settings, interactions=seen))
    assert after.interactions(FIRST) == Inputs(home, settings).interactions(FIRST)


def older(store: PartitionStore, name: str, days: list[date]) -> None:
    """Write days as a version without the column wrote them."""
    columns = [column for column in store.schema if column != "kind"]
    schema = pl.Schema({column: store.schema[column] for column in columns})
    written = PartitionStore(
        root=store.root, schema=schema, provenance=lambda _: {INPUTS_KEY: f"older {name}"}
    )
    for day in days:
        written.write(day, store.read(day).select(columns))


def stale(home: Home, settings: Settings) -> list[date]:
    """Return the days that `recsys build` would land again."""
    inputs = Inputs(home, settings)
    written = {day: file.provenance[INPUTS_KEY] for day, file in inputs.raw_store.files().items()}
    return [day for day in DAYS if written[day] != inputs.raw_interactions(day)]


def test_a_home_of_files_without_kinds_is_built_again(landed, tmp_path):
    _, settings, _ = landed
    home = Home(tmp_path / "older")
    home.root.mkdir()
    home.settings_file.write_text(landed[0].settings_file.read_text())
    assert not land(home, settings, SilentWatcher(), DAYS).failed
    inputs = Inputs(home, settings)
    whole = inputs.interaction_store.scan(DAYS).collect()
    older(inputs.raw_store, RAW_INTERACTIONS.name, DAYS[:4])
    older(inputs.interaction_store, INTERACTIONS.name, DAYS[:4])

    # files of both versions side by side, as where a day was rejected: days land, features are computed
    assert not land(home, settings, SilentWatcher(), DAYS[4:]).failed
    assert materialise_features(home).user("u1")["events_total.purchase"] > 0

    assert stale(home, settings) == DAYS[:4]
    assert not land(home, settings, SilentWatcher(), DAYS[:4]).failed
    assert stale(home, settings) == []
    after = Inputs(home, settings)
    assert after.interaction_store.scan(DAYS).collect().equals(whole)
