"""`recsys init` shows how it understands a table, asks on a terminal, and names the option elsewhere."""

import os
import pty
import subprocess
import sys

import pytest
from click.testing import CliRunner

from recsys_assets.cli import main
from recsys_assets.settings import load_settings
from recsys_assets.storage.home import Home

SHOP = (
    "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
    "1,85123A,MUG,6,12/13/2010 8:26,2.55,17850.0,UK\n2,POST,POSTAGE,1,12/14/2010 8:26,18.00,17850.0,UK\n"
    "3,85123A,MUG,1,12/14/2010 9:00,2.55,,UK\n"
)
AMBIGUOUS = "user_id,item_id,timestamp\n" + "".join(f"u{n},i,{n}/1/2020\n" for n in range(1, 13))


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


@pytest.fixture
def init(home, tmp_path):
    """Return a caller of `recsys init` on a file with a text."""

    def called(text, *options):
        encoding = options[options.index("--encoding") + 1] if "--encoding" in options else None
        (tmp_path / "f.csv").write_text(text, encoding=encoding)
        spec = f"tabular:{tmp_path / 'f.csv'}"
        result = CliRunner().invoke(main, ["init", "--home", str(home.root), "--source", spec, *options])
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return called


def test_the_proposal_shows_columns_example_rows_and_the_rows_left_out(init):
    said = init(SHOP, "--yes").output

    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert "f.csv: CSV in utf-8, ',' between fields" in lines
    assert "timestamp InvoiceDate 12/13/2010 8:26 %m/%d/%Y %H:%M, in UTC" in lines
    assert "Not read: Country" in lines
    assert "user item time quantity" in lines
    assert "17850 85123A 2010-12-13 08:26:00 UTC 6" in lines
    assert "Of the first 3 rows 1 would be left out or joined with another:" in lines
    assert any(line.startswith("1 without a user (no_user)") for line in lines)
    assert 'write [interactions] not_products = ["POST"]' in " ".join(lines)
    assert "All 3 rows are events, from 2010-12-13 to 2010-12-14." in lines


def test_the_decisions_are_written_and_nothing_else(init, home):
    init(SHOP, "--yes", "--bad-rows", "0.01", "--time-zone", "Europe/London")

    source = load_settings(home).source
    assert source.columns["user_id"] == "CustomerID"
    assert (source.reading.time_format, source.reading.time_zone) == ("%m/%d/%Y %H:%M", "Europe/London")
    assert source.bad_rows == 0.01
    written = [line for line in home.settings_file.read_text().splitlines() if line and line[0] != "#"]
    assert not [line for line in written if line.startswith(("decimal", "header", "encoding", "kind"))]


@pytest.mark.parametrize("chosen", [[], ["--force"]])
def test_pieces_are_written_for_orders_without_a_count(init, home, chosen):
    text = "order_id,user_id,item_id,timestamp\n1,u,i,2024-01-01\n1,u,i,2024-01-01\n"
    said = init(text).output
    again = init("user_id,item_id,timestamp\nu,i,2024-01-01\n", "--force") if chosen else None

    assert "Identical rows of one order are pieces of it" in said
    assert load_settings(home).interactions.identical_rows == ("duplicates" if again else "pieces")


def test_a_script_must_take_other_names_by_yes(init, home):
    result = init("User_ID,Item_ID,Timestamp\nu,i,2024-01-01\n")

    assert result.exit_code == 2
    error = result.stderr.splitlines()[-1]
    assert "no column 'user_id' (did you mean 'User_ID'?); give --column user_id=User_ID" in error
    assert error.endswith("or --yes to take that")
    assert not home.settings_file.exists()


def test_a_question_in_a_script_is_an_error_that_names_the_option(init):
    error = init(AMBIGUOUS).stderr.splitlines()[-1]

    assert "give --time-format '%d/%m/%Y' or --time-format '%m/%d/%Y'" in error


@pytest.mark.parametrize(
    ("options", "text", "fields"),
    [
        (["--time-format", "%d/%m/%Y"], AMBIGUOUS, {"time_format": "%d/%m/%Y"}),
        (["--decimal", ","], 'user_id,item_id,timestamp,value\nu,i,2024-01-01,"1,234"\n', {"decimal": ","}),
        (["--no-time", "2020-02-29"], "user_id,item_id\nu,i\n", {"snapshot": "2020-02-29"}),
        (["--no-time", "file"], "user_id,item_id\nu,i\n", {"snapshot": "file"}),
        (["--kind", "purchase"], "user_id,item_id,timestamp\nu,i,2024-01-01\n", {"kind": "purchase"}),
        (
            ["--kind", "zap=hide"], "user_id,item_id,timestamp,kind\nu,i,2024-01-01,ZAP\n",
            {"kinds": {"zap": "hide"}},
        ),
        (
            ["--no-header", "--delimiter", "tab", "--encoding", "utf-16", "--column", "user_id=1",
             "--column", "item_id=2", "--column", "timestamp=3"],
            "ü\ti\t2024-01-01\n", {"header": False, "delimiter": "\t", "encoding": "utf-16"},
        ),
    ],
)  # fmt: skip
def test_an_option_is_a_decision(init, home, options, text, fields):
    assert init(text, *options).exit_code == 0

    reading = load_settings(home).source.reading
    assert {name: getattr(reading, name) for name in fields} == fields


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--column", "user_id"], "give --column OURS=THEIRS, for example --column user_id=customer"),
        (["--column", "a=x", "--column", "a=y"], "give --column each name once"),
        (["--kind", "view", "--kind", "cart"], "all events have one kind already, view"),
        (["--time-format", "DD.MM"], "time format 'DD.MM': no format; give iso, seconds"),
        (["--time-zone", "Mars"], "time zone 'Mars': no such zone"),
        (["--from", "1.1.2020"], "'%Y-%m-%d'"),
        (["--column", "timestmp=x"], "none of ours (did you mean 'timestamp'?)"),
    ],
)
def test_a_wrong_option_is_named(init, options, message):
    result = init("user_id,item_id,timestamp\nu,i,2024-01-01\n", *options)

    assert result.exit_code == 2
    assert message in result.stderr


def test_settings_stay_as_they_were_when_the_source_cannot_be_read(init, home):
    init("user_id,item_id,timestamp\nu,i,2024-01-01\n")
    before = home.settings_file.read_text()

    assert init("user_id,item_id,timestamp\nu,i,soon\n", "--force").exit_code == 2
    assert home.settings_file.read_text() == before


def test_help_lists_our_columns_and_a_table_as_an_example():
    said = CliRunner().invoke(main, ["init", "--help"]).output

    assert "user_id, item_id, timestamp" in said
    assert "recsys init --source tabular:orders.csv" in said
    assert "--from YYYY-MM-DD" in said


def test_on_a_terminal_an_open_question_is_answered_by_a_number(home, tmp_path):
    (tmp_path / "f.csv").write_text(AMBIGUOUS)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "recsys_assets", "init", "--home", str(home.root)]
    process = subprocess.Popen(
        [*command, "--source", f"tabular:{tmp_path / 'f.csv'}"], stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    os.write(ours, b"9x\n2\n")
    said = b""
    while True:
        try:
            said += os.read(ours, 4096)
        except OSError:  # the other end is closed
            break

    assert process.wait() == 0, said.decode()
    assert b"2/1/2020 is 01 February 2020" in said
    assert load_settings(home).source.reading.time_format == "%m/%d/%Y"
