"""Settings that cannot be used are rejected, with the place, the value and the values allowed."""

from datetime import date

import pytest

from recsys_assets.errors import SettingsError
from recsys_assets.settings import load_or_default_settings, load_settings
from recsys_assets.storage.home import Home

SOURCE = '[source]\nspec = "completejourney"\nfirst_day = 2017-01-01\nlast_day = 2017-01-31\n'


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def error_of(home: Home, text: str) -> str:
    home.settings_file.write_text(text)
    with pytest.raises(SettingsError) as raised:
        load_settings(home)
    return str(raised.value)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("[training]\nembedding_size = 0", "embedding_size: 0 is not allowed; give a whole number, 1 to 1024"),
        ("[training]\nepochs = -3", "[training] epochs: -3 is not allowed; give a whole number, 1 to 10000"),
        ("[index]\nrecall_target = 3", "[index] recall_target: 3 is not allowed; give a number, 0 to 1"),
        ("[training]\nhalf_life_days = 0", "0 is not allowed; give a number, 0.01 to 100000, or leave it out"),
        ("[training]\nregularization = nan", "nan is not allowed; give 0, or 1e-06 to 1000000"),
        ("[training]\nregularization = inf", "inf is not allowed"),
        ('[training]\ndevice = "tpu"', '"tpu" is not allowed; give `cpu` or `cuda`'),
        ("[training.softmax]\nsmoothing_layers = 9", "softmax.smoothing_layers: 9 is not allowed; give"),
        ('[quality]\nclosed_days = ["12-25", "25.12."]', "give a list, each MM-DD or YYYY-MM-DD"),
        ('[api]\ndagster_url = "localhost"', "give a URL, http:// or https://"),
        ('[api]\nlog_requests = "maybe"', '"maybe" is not allowed; give true or false'),
        ("[interactions]\nkinds = {view = -1}", "give a table, each 0, or 0.001 to 1000"),
        ("[interactions]\nkinds = {view = inf}", "give a table, each 0, or 0.001 to 1000"),
        ("[interactions]\nrating_positive = nan", "nan is not allowed; give a number, -1000000 to 1000000, or"),
        ('[interactions]\nseen = "views"', "give `all` or a list, each text of one line that is not empty, or"),
        ("[report]\ndays = -1", "-1 is not allowed; give a whole number, 0 to 100000"),
        ("[training]\nembeding_size = 8", "embeding_size: unknown; the nearest known name is `embedding_size`"),
        ("epochs = 8", "`epochs` belongs under [training]: remove the `# ` before that heading too"),
        ("[trianing]\nepochs = 8", "[trianing]: unknown; the nearest known name is `training`"),
    ],
)  # fmt: skip
def test_a_value_out_of_bounds_is_rejected_with_file_line_value_and_bounds(home, setting, said):
    message = error_of(home, SOURCE + setting + "\n")
    assert said in message
    last = len(SOURCE.splitlines()) + len(setting.splitlines())
    assert message.startswith(f"{home.settings_file}, line {last if 'trianing' not in said else last - 1}: ")
    assert len(message.splitlines()) == 1


def test_days_that_end_before_they_start_are_rejected(home):
    message = error_of(home, SOURCE.replace("2017-01-31", "2016-01-31"))
    assert "line 4: [source] last_day: 2016-01-31 is before first_day, 2017-01-01" in message


def test_a_source_without_days_is_rejected(home):
    assert "[source] last_day: missing" in error_of(home, SOURCE.replace("last_day = 2017-01-31\n", ""))


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("RECSYS_TRAINING__EPOCHS", "-3", '"-3" is not allowed; give a whole number, 1 to 10000'),
        ("RECSYS_TRAINING__EPOCHS", "many", '"many" is not allowed; give a whole number, 1 to 10000'),
        ("RECSYS_TRAINING__NOPE", "1", "unknown; the nearest known name is `score`"),
        ("RECSYS_TRAINNG__EPOCHS", "1", "unknown; the nearest known name is `training`"),
        ("RECSYS_TRAINING__SOFTMAX__EPOCHS", "0", '"0" is not allowed; give a whole number, 1 to 10000'),
    ],
)
def test_a_variable_is_named_with_its_value_and_the_bounds(home, monkeypatch, variable, value, said):
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as without_file:
        load_or_default_settings(home)
    home.settings_file.write_text(SOURCE)
    with pytest.raises(SettingsError) as with_file:
        load_settings(home)
    assert str(without_file.value) == str(with_file.value) == f"{variable}: {said}"


def test_variables_override_the_file(home, monkeypatch):
    home.settings_file.write_text(SOURCE + "[training]\nepochs = 3\n")
    monkeypatch.setenv("RECSYS_TRAINING__EPOCHS", "20")
    monkeypatch.setenv("RECSYS_TRAINING__SOFTMAX__EPOCHS", "7")
    monkeypatch.setenv("RECSYS_SOURCE__LAST_DAY", "2017-01-05")
    settings = load_settings(home)
    assert (settings.training.epochs, settings.training.softmax.epochs) == (20, 7)
    assert settings.source.last_day == date(2017, 1, 5)


def test_other_variables_of_the_name_are_no_settings(home, monkeypatch):
    for variable in ("RECSYS_HOME", "RECSYS_TEST_DATA", "RECSYS_SERVE_OPTIONS"):
        monkeypatch.setenv(variable, "x")
    home.settings_file.write_text(SOURCE)
    assert load_settings(home).training.epochs == 15


def test_a_home_without_a_file_names_the_command_that_writes_it(home):
    with pytest.raises(SettingsError, match="recsys init --home"):
        load_settings(home)


def test_the_kinds_given_are_merged_over_the_defaults(home):
    home.settings_file.write_text(SOURCE + '[interactions.kinds]\n" View " = 0.1\nbuy = 2\n')
    kinds = load_settings(home).interactions.kinds
    assert (kinds["view"], kinds["buy"], kinds["cart"], kinds["hide"]) == (0.1, 2.0, 0.5, 0.0)


def test_a_kind_may_be_weighed_by_a_variable(home, monkeypatch):
    monkeypatch.setenv("RECSYS_INTERACTIONS__KINDS__VIEW", "0.3")
    home.settings_file.write_text(SOURCE)
    assert load_settings(home).interactions.kinds["view"] == 0.3


@pytest.mark.parametrize(("seen", "read"), [('"all"', "all"), ('["purchase"]', ["purchase"]), ("[]", [])])
def test_the_kinds_that_hide_are_all_or_a_list(home, seen, read):
    home.settings_file.write_text(f"{SOURCE}[interactions]\nseen = {seen}\n")
    assert load_settings(home).interactions.seen == read
