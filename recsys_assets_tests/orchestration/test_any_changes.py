"""Whatever happens to the files of a source, following it ends where a first landing would."""

import msgspec
import polars as pl
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from recsys_assets.lake.follow import follow_source
from recsys_assets.lake.initialise import initialise
from recsys_assets.orchestration.fingerprints import Inputs
from recsys_assets.orchestration.resources import Lake
from recsys_assets.settings import load_settings
from recsys_assets.storage.home import Home
from recsys_assets_tests.orchestration.growing_sources import (
    build,
    land_stale,
    write,
)

STEP = st.dictionaries(
    st.sampled_from("abc"),
    st.none() | st.lists(st.tuples(st.integers(1, 6), st.integers(0, 3)), max_size=6),
    min_size=1,
)


@settings(
    max_examples=6,  # each builds six times
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking would take minutes
    suppress_health_check=[HealthCheck.too_slow],
)
@given(steps=st.lists(STEP, min_size=1, max_size=4))
@example(
    steps=[{"a": [(2, 0)]}, {"a": None}, {"a": [(1, 0)]}]
)  # the first day is gone, then an older one comes
def test_the_lake_is_that_of_a_first_landing_but_for_days_that_are_gone(tmp_path_factory, steps):
    """A step maps a file to its new rows, or to none where it goes; after each of them the source is followed."""
    root = tmp_path_factory.mktemp("case")
    folder, home, fresh = root / "log", Home(root / "home"), Home(root / "fresh")
    folder.mkdir()
    write(folder, "z", [(3, 9)])
    spec = f"tabular:{folder}/*.csv"
    initialise(home, spec)
    land_stale(home)
    for step in steps:
        for name, rows in step.items():
            if rows is None:
                (folder / f"{name}.csv").unlink(missing_ok=True)
            else:
                write(folder, name, rows)
        build(home)
        assert build(home) == ([], [])
    initialise(fresh, spec)
    land_stale(fresh)

    found, expected = (Lake(home_path=str(place.root)).raw() for place in (home, fresh))
    for day in load_settings(fresh).source.days():
        rows = expected.read(day).sort(pl.all())  # the order of a day's files may be another
        assert found.read(day).sort(pl.all()).equals(rows) or not rows.height
    inputs = Inputs(home, load_settings(home))
    for day in inputs.source_changes(inputs.source_days).gone:
        assert found.read(day).height
    stored = follow_source(home, load_settings(home)).counted.account(load_settings(home).source)
    assert stored.rows == sum(len(pl.read_csv(path)) for path in folder.glob("*.csv"))
    assert msgspec.json.encode(stored) == home.source_account.read_bytes()
