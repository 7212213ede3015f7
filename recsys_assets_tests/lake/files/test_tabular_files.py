"""A table is read out of whatever it is packed in; each container gives the same rows."""

import bz2
import gzip
import lzma
import sys
import zipfile
from datetime import UTC, date, datetime

import polars as pl
import pytest

from recsys_assets.errors import EmptySourceError, InputError, SourceFormatError, SourceNotFoundError
from recsys_assets.lake.files.rows_aside import RowsAside
from recsys_assets.lake.files.tabular_files import expand, open_tabular
from recsys_assets.source_settings import ReadingSettings

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TEXT = "user,item\nu1,i1\nu2,i2\n"
ROWS = [("u1", "i1"), ("u2", "i2")]


def read(path, *columns, **reading):
    file, aside = open_tabular(path, ReadingSettings(**reading)), RowsAside()
    names = columns or list(file.column_names())
    return [row for chunk in file.chunks(names, aside) for row in chunk.frame.select(names).rows()]


def zipped(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__DOT__", ".").replace("__SLASH__", "/"), content)
    return path


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress, zstd.compress])
def test_every_compression_is_read_whatever_the_name(tmp_path, pack):
    path = tmp_path / "events"
    path.write_bytes(pack(TEXT.encode()))

    assert read(path) == ROWS


@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress, zstd.compress])
def test_raises_when_a_compressed_file_is_truncated(tmp_path, pack):
    path = tmp_path / "events"
    path.write_bytes(pack("".join(f"u{n},i{n * n}\n" for n in range(9999)).encode())[:-300])

    with pytest.raises(SourceFormatError, match=r"events: the file is truncated or damaged"):
        read(path)


def test_the_files_of_a_zip_are_files_of_their_own(tmp_path):
    path = zipped(
        tmp_path / "a.zip",
        b__DOT__csv=TEXT,
        sub__SLASH__c__DOT__csv=TEXT,
        README__DOT__md="x",
        __MACOSX__SLASH____DOT___b__DOT__csv="x",
    )

    files = expand(path)

    assert files == [path / "b.csv", path / "sub" / "c.csv"]
    assert read(files[1]) == ROWS
    assert expand(path / "b.csv") == [path / "b.csv"]
    assert expand(path / "*.csv") == files[:1]
    assert len({open_tabular(file, ReadingSettings()).fingerprint() for file in files}) == 2


def test_a_member_of_a_zip_may_be_compressed_again_or_parquet(tmp_path):
    pl.DataFrame(ROWS, schema=["user", "item"], orient="row").write_parquet(tmp_path / "p")
    path = zipped(
        tmp_path / "a.zip", b__DOT__csv__DOT__gz=gzip.compress(TEXT.encode()), c=(tmp_path / "p").read_bytes()
    )

    assert [read(file) for file in expand(path)] == [ROWS, ROWS]


def test_raises_when_a_zip_has_no_such_member_or_is_damaged(tmp_path):
    path = zipped(tmp_path / "a.zip", b__DOT__csv=TEXT)
    with pytest.raises(SourceNotFoundError, match=r"has no such file, only b\.csv"):
        read(path / "none.csv")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(SourceFormatError, match="truncated or damaged"):
        expand(path)


def test_raises_when_a_zip_unpacks_to_far_too_much(tmp_path, monkeypatch):
    monkeypatch.setattr("recsys_assets.lake.files.compressed_files._BOMB_BYTES", 1 << 20)
    monkeypatch.setattr("recsys_assets.lake.files.compressed_files._BOMB_RATIO", 100)
    path = zipped(tmp_path / "a.zip", b__DOT__csv=TEXT + "\n" * (4 << 20))

    with pytest.raises(SourceFormatError, match="unpacks to 4 MiB from"):
        read(expand(path)[0])


def test_raises_when_a_member_is_encrypted(tmp_path):
    path = zipped(tmp_path / "a.zip", b__DOT__csv=TEXT)
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02")
    content[at + 8] |= 1
    path.write_bytes(content)

    with pytest.raises(SourceFormatError, match=r"a\.zip/b\.csv: is encrypted"):
        expand(path)


def test_a_folder_is_its_data_files(tmp_path):
    for name in ("b.csv", "a.csv", ".hidden.csv", "README.md", "LICENSE", "_SUCCESS", "day=1/c.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(TEXT)

    assert expand(tmp_path) == [tmp_path / "a.csv", tmp_path / "b.csv", tmp_path / "day=1" / "c.csv"]


def test_raises_when_a_folder_has_no_data(tmp_path):
    (tmp_path / "README.md").write_text("x")

    with pytest.raises(SourceNotFoundError, match="holds no data file"):
        expand(tmp_path)


SHEET = '<worksheet xmlns="{0}"><sheetData>{1}</sheetData></worksheet>'
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def workbook(path, **sheets):
    """Write an XLSX file of text, numbers and (style 1) dates."""
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    numbers = range(1, len(sheets) + 1)
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r" '
        f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{office}"><sheets>'
        + "".join(
            f'<sheet name="{name}" sheetId="{n}" r:id="s{n}"/>'
            for n, name in zip(numbers, sheets, strict=True)
        )
        + "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">'
        + "".join(
            f'<Relationship Id="s{n}" Type="{office}/worksheet" Target="worksheets/sheet{n}.xml"/>'
            for n in numbers
        )
        + f'<Relationship Id="y" Type="{office}/styles" Target="styles.xml"/></Relationships>',
        "xl/styles.xml": f'<styleSheet xmlns="{MAIN}"><cellXfs><xf numFmtId="0"/><xf numFmtId="22"/></cellXfs>'
        "</styleSheet>",
    }
    for n, rows in zip(numbers, sheets.values(), strict=True):
        cells = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
        parts[f"xl/worksheets/sheet{n}.xml"] = SHEET.format(MAIN, cells)
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return path


def cell(value):
    if isinstance(value, date):
        return f'<c s="1"><v>{(value - datetime.fromisoformat("1899-12-30")).total_seconds() / 86400}</v></c>'
    if isinstance(value, str):
        return f'<c t="inlineStr"><is><t>{value}</t></is></c>'
    return "<c/>" if value is None else f"<c><v>{value}</v></c>"


HEADER = ["Invoice", "CustomerID", "InvoiceDate", "Price"]
DAY = datetime.fromisoformat("2010-12-01T08:26")


def test_sheets_with_one_header_are_read_and_others_are_named(tmp_path):
    path = workbook(
        tmp_path / "retail.xlsx",
        May=[["Online Retail"], HEADER, [536365, 17850.0, DAY, 2.55], ["C536379", None, DAY, -1]],
        June=[HEADER, [1, 2, DAY, 3], [None] * 4],
        Notes=[["written by", "hand"], ["x", "y"]],
    )

    assert expand(path) == [path]
    assert read(path) == [
        ("536365", "17850", DAY, "2.55"),
        ("C536379", None, DAY, "-1"),
        ("1", "2", DAY, "3"),
    ]
    assert "Notes" in open_tabular(path, ReadingSettings()).found.in_words()


def test_a_bad_cell_is_named_by_sheet_and_row(tmp_path):
    path = workbook(tmp_path / "f.xlsx", May=[HEADER, [1, 2, DAY, 3], [1, 2, DAY, "x"]])

    (chunk,) = open_tabular(path, ReadingSettings()).chunks(["Price"], RowsAside())

    assert chunk.place(1) == "sheet 'May', row 3"


def test_raises_when_a_workbook_is_empty_damaged_or_the_extra_is_missing(tmp_path, monkeypatch):
    path = workbook(tmp_path / "f.xlsx", May=[])
    with pytest.raises(EmptySourceError, match="no sheet has a row"):
        read(path)
    path.write_bytes(b"\xd0\xcf\x11\xe0" + b"x" * 600)
    with pytest.raises(SourceFormatError, match="damaged or encrypted"):
        read(path)
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    with pytest.raises(InputError, match=r"pip install 'recsys-assets\[xlsx\]'"):
        read(path)


@pytest.mark.parametrize("write", ["write_parquet", "write_ipc"])
def test_columns_within_columns_are_read(tmp_path, write):
    frame = pl.DataFrame(
        {
            "id": [1, 2],
            "user": [{"id": "u1"}, None],
            "items": [[{"sku": "a", "n": 1}, {"sku": "b", "n": 2}], []],
            "tags": [["x", "y"], None],
            "params": [[{"key": "page", "value": {"s": "/"}}, {"key": "ms", "value": {"s": "7"}}], []],
            "at": [datetime(2024, 1, 1, tzinfo=UTC), None],
            "price": pl.Series(["1.50", None]).cast(pl.Decimal(10, 2)),
            "kind": pl.Series(["view", "buy"], dtype=pl.Categorical),
            "dotted.name": [1, 2],
        }
    )
    path = tmp_path / "f"
    getattr(frame, write)(path)

    names = open_tabular(path, ReadingSettings()).column_names()

    assert {"id", "user.id", "items[].sku", "tags", "params[key=page].value.s", "dotted.name"} <= set(names)
    columns = (
        "id",
        "user.id",
        "items[].sku",
        "tags",
        "params[key=ms].value.s",
        "price",
        "kind",
        "dotted.name",
    )
    assert read(path, *columns) == [
        (1, "u1", "a", "x | y", "7", 1.5, "view", 1),
        (1, "u1", "b", "x | y", "7", 1.5, "view", 1),
        (2, None, None, None, None, None, "buy", 2),
    ]


def test_the_format_is_said_in_words(tmp_path):
    path = tmp_path / "f.csv"
    path.write_bytes("a;1,5;x\r\nb;2,5;é\r\n".encode("cp1252"))

    words = open_tabular(path, ReadingSettings()).found.in_words()

    assert words == r"CSV in cp1252, ';' between fields, no header, line ends \r\n"


def test_a_summary_before_the_sheets_of_rows_is_left_out(tmp_path):
    rows = [[1, 2, DAY, 3]] * 3
    path = workbook(
        tmp_path / "f.xlsx", Summary=[["Sales"], ["Total", 6]], Jan=[HEADER, *rows], Feb=[HEADER, *rows]
    )

    file = open_tabular(path, ReadingSettings())

    assert sum(chunk.frame.height for chunk in file.chunks(HEADER, RowsAside())) == 6
    assert "Summary" in file.found.in_words()
