"""A delimited file is read as its owner means it: encoding, separator, quotes, header, lines before it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.errors import SettingsError
from recsys_assets.lake.files.rows_aside import RowsAside
from recsys_assets.lake.files.tabular_files import open_tabular
from recsys_assets.source_settings import ReadingSettings

TABLE = "user,item,price\nu1,café,4.5\nu2,5 mug,3\n"


def opened(tmp_path, content, **reading):
    path = tmp_path / "f.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return open_tabular(path, ReadingSettings(**reading))


def read(file):
    aside = RowsAside()
    names = list(file.column_names())
    rows = [row for chunk in file.chunks(names, aside) for row in chunk.frame.select(names).rows()]
    return names, rows, aside.account().reasons.get("bad_row")


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1"]
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|", "^", "::"])
def test_encoding_line_ends_and_separator_are_recognised(tmp_path, encoding, end, separator):
    text = TABLE.replace(",", separator).replace("\n", end)

    names, rows, bad = read(opened(tmp_path, text.encode(encoding)))

    assert names == ["user", "item", "price"]
    assert rows == [("u1", "café", "4.5"), ("u2", "5 mug", "3")]
    assert bad is None


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1251", "Война и мир Анна Каренина Преступление и наказание Братья Карамазовы"),
        ("shift_jis", "吾輩は猫である こころ 坊っちゃん 三四郎 それから 草枕 道草 明暗"),
        ("gb18030", "红楼梦 西游记 水浒传 三国演义 儒林外史 聊斋志异 金瓶梅 围城"),
        ("cp1250", "Zażółć gęślą jaźń łódź święta książka źródło młodzież późniejszy"),
    ],
)
def test_an_encoding_beyond_western_europe_is_recognised(tmp_path, encoding, text):
    lines = "".join(f"u{n},{word} {text},2024-01-01\n" for n, word in enumerate(text.split()))

    _, rows, bad = read(opened(tmp_path, ("user,title,day\n" + lines).encode(encoding)))

    assert [row[1] for row in rows] == [f"{word} {text}" for word in text.split()]
    assert bad is None


def test_the_encoding_may_be_given(tmp_path):
    file = opened(tmp_path, "user,item\nu1,ž\n".encode("iso8859-2"), encoding="iso-8859-2")

    assert read(file)[1] == [("u1", "ž")]
    assert "iso8859-2" in file.found.in_words()
    with pytest.raises(SettingsError, match="encoding is 'utf-9'"):
        opened(tmp_path, "a,b\n", encoding="utf-9")


WORDS = st.text(alphabet="éñüçÀ€’", min_size=1, max_size=4).map(lambda text: "".join(f"ca{x}n" for x in text))


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(WORDS, min_size=1, max_size=30), late=st.booleans())
def test_a_file_in_windows_1252_is_never_misread(tmp_path_factory, rows, late):
    before = "u,plain\n" * (50_000 if late else 1)  # beyond the sample
    text = "user,item\n" + before + "".join(f"u,{row}\n" for row in rows)

    _, found, bad = read(opened(tmp_path_factory.mktemp("e"), text.encode("cp1252")))

    assert [row[1] for row in found if row[1] != "plain"] == rows
    assert bad is None


def test_a_broken_byte_after_megabytes_of_utf8_costs_one_row(tmp_path):
    content = "user,item\n" + "é,i\n" * 400_000

    _, rows, bad = read(opened(tmp_path, content.encode() + b"\xe9,i\nu,i\n"))

    assert len(rows) == 400_001
    assert (bad.rows, "line 400002 is not UTF-8" in bad.example) == (1, True)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("196\t242\t3\t881250949\n186\t302\t3\t891717742\n", ["1", "2", "3", "4"]),
        ("1,u1,view\n2,u2,buy\n", ["1", "2", "3"]),
        ("u1,i1,view\nu2,i2,buy\nu1,i3,view\n", ["1", "2", "3"]),
        ("u1|2024-01-01 10:00|x\nu2|2024-01-02 10:00|y\n", ["1", "2", "3"]),
        ("alice,pear\nbob,plum\nalice,fig\n", ["1", "2"]),
        ("user,item\nalice,pear\nbob,plum\n", ["user", "item"]),
        ("who,what,n\nalice,pear,1\nbob,plum,2\n", ["who", "what", "n"]),
        ('user_id;item_id;timestamp;rating\n"u1";"i1";"2024-01-01 10:00";"4,5"\n',
         ["user_id", "item_id", "timestamp", "rating"]),
        ("u1;i1;4,5\nu2;i1;3,0\n", ["1", "2", "3"]),
        ("0,1,2\nu1,i1,5\nu2,i2,4\n", ["0", "1", "2"]),
    ],
)  # fmt: skip
def test_a_header_is_recognised_and_columns_without_one_are_numbered(tmp_path, text, names):
    found, rows, bad = read(opened(tmp_path, text))

    assert found == names
    assert len(rows) == text.count("\n") - (names != [str(n + 1) for n in range(len(names))])
    assert bad is None


def test_header_and_separator_may_be_given(tmp_path):
    text = "a,b;c\n1,2;3\n"

    assert read(opened(tmp_path, text, header=False))[1] == [("a", "b;c"), ("1", "2;3")]
    assert read(opened(tmp_path, text, delimiter=";"))[0] == ["a,b", "c"]
    assert read(opened(tmp_path, "a\tb c\n1\t2\n", delimiter="tab"))[0] == ["a", "b c"]


@pytest.mark.parametrize(
    ("before", "after"),
    [("sep=;\n", ""), ("# made by a tracker\n# v2\n", ""), ("Report of May\n\n", ""), ("#", ""), ("% ", "")],
)
def test_lines_before_the_header_are_no_rows(tmp_path, before, after):
    names, rows, bad = read(opened(tmp_path, f"{before}user;item;n\nu1;i1;1\nu2;i2;2\n{after}"))

    assert names == ["user", "item", "n"]
    assert rows == [("u1", "i1", "1"), ("u2", "i2", "2")]
    assert bad is None


@pytest.mark.parametrize("text", ["a,b,\n1,2,\n3,4,\n", "a,b\n1,2,\n3,4,\n"])
def test_separators_at_the_end_make_a_column_without_values(tmp_path, text):
    names, rows, _ = read(opened(tmp_path, text))

    assert names == ["a", "b", "3"]
    assert rows == [("1", "2", None), ("3", "4", None)]


def test_a_name_is_trimmed_and_a_second_one_is_numbered(tmp_path):
    file = opened(tmp_path, " user , item,item\nu1,i1,x\n")

    assert file.column_names() == ["user", "item", "item (2)"]
    assert "'item'" in file.found.in_words() or "item" in file.found.in_words()


def test_quotes_escaped_by_a_backslash_are_recognised(tmp_path):
    content = b'user,title\n"u1","a \\"big\\", red one"\n"u2","plain"\n'

    assert read(opened(tmp_path, content))[1] == [("u1", 'a "big", red one'), ("u2", "plain")]


def test_a_writer_who_leaves_out_empty_fields_at_the_end_has_no_bad_rows(tmp_path):
    text = "user,item,rating,note\n" + "u1,i1\n" * 30 + "u1,i1,5,x\n"

    names, rows, bad = read(opened(tmp_path, text))

    assert (len(names), len(rows), bad) == (4, 31, None)


def test_a_truncated_last_line_is_a_bad_row(tmp_path):
    _, rows, bad = read(opened(tmp_path, "user,item,day\n" + "u1,i1,2024-01-01\n" * 50 + "u1,i"))

    assert (len(rows), bad.rows) == (50, 1)
    assert "line 52 has 2 fields instead of 3" in bad.example


@pytest.mark.parametrize(
    "second",
    [
        TABLE,
        TABLE.replace("\n", "\r\n"),
        TABLE.encode("cp1252"),
        TABLE.encode("utf-16"),
        TABLE.replace(",", ";"),
        "item,user,price\ncafé,u1,4.5\n",
        "u1,café,4.5\nu2,5 mug,3\n",
        "user,item,price\n",
        'user,item,price\nu1,"café, big",4.5\n',
        r"""user,item,price
u1,"a \"big\" café",4.5
u2,"x",1
""",
        'user,item,price\nu1,5" mug,4.5\nu2,6" mug,3\n',
        "user,item,price\nu1,café\nu2\nu3,mug\n",
        "user,item,price\nu1,café,4.5,more\nu2,mug,3,more\n",
        "Sales\nuser,item,price\nu1,café,4.5\n",
    ],
)
@pytest.mark.parametrize("first", [TABLE, 'user,item,price\nu0,"a ""big"" mug",1\n', "sep=,\n" + TABLE])
def test_a_file_after_another_of_its_source_is_read_as_if_it_were_alone(tmp_path, first, second):
    before, alone = opened(tmp_path, first), opened(tmp_path, second)

    beside = open_tabular(alone.path, ReadingSettings(), like=before)

    assert read(beside) == read(alone)
    assert beside.found.in_words() == alone.found.in_words()


def test_a_title_filled_up_with_separators_stands_before_the_header(tmp_path):
    text = (
        '"Shop: Mugs & More",,\nPeriod: March,,\n,,\nCustomer,Product,Date\nu,i,2024-03-01\nu,,2024-03-02\n'
    )

    names, rows, _ = read(opened(tmp_path, text.encode()))

    assert names == ["Customer", "Product", "Date"]
    assert rows == [("u", "i", "2024-03-01"), ("u", None, "2024-03-02")]
