"""Malformed rules files: each is rejected with file, line, finding and suggestion."""

# ruff: noqa: E501  a table reads better with a row a line

from pathlib import Path

import pytest

from recsys_assets.errors import RulesError
from recsys_assets.rules.language.expression_tree import Columns
from recsys_assets.rules.language.reading import parse_rules, read_rules

COLUMNS = Columns(
    items={"item_id": "text", "price": "number", "department": "text", "category": "text", "brand": "text",
           "title": "text", "popularity_trend": "number", "events_28d": "number", "days_since_first": "number",
           "events_28d.purchase": "number"},
    users={"user_id": "text", "median_price": "number", "favourite_category": "text",
           "events_7d.view": "number"},
)  # fmt: skip
GOOD = """\
version = 1
default = "home"
[lists]
sold_out = "lists/sold_out.txt"
[scenarios.home]
description = "The first page."
[[scenarios.home.candidates]]
source = "user"
quota = 200
[[scenarios.home.filters]]
name = "cheap"
kind = "where"
keep = "price <= 20 and department != 'FUEL'"
[[scenarios.home.scoring]]
kind = "boost"
where = "price <= user.median_price * 2"
by = 0.2
[[scenarios.home.reranking]]
kind = "diversity"
strength = 0.3
[[scenarios.home.reranking]]
kind = "at_most"
n = 2
by = "category"
[scenarios.home.limits]
fallback = ["catalogue"]
"""
PREDICATE = "price <= 20 and department != 'FUEL'"

# what is replaced, by what, the line, words of the message
MALFORMED = {
    "no version": ("version = 1\n", "\n", 1, "no version", "version = 1"),
    "version of tomorrow": ("version = 1", "version = 2", 1, "version 2", "version = 1"),
    "unknown key at the top": ("default =", "defualt =", 2, "`defualt`", "did you mean `default`?"),
    "default that is not there": ('default = "home"', 'default = "hom"', 2, "'hom'", "did you mean `home`?"),
    "default that is a list": ('"home"\n', '["home"]\n', 2, "there is no scenario ['home']", "did you mean `home`?"),
    "no scenario": (GOOD, "version = 1\n", 1, "no scenario", "[scenarios.home]"),
    "list outside the home": ("lists/sold_out.txt", "../sold_out.txt", 4, "'../sold_out.txt'", "lists/"),
    "list that is a number": ('"lists/sold_out.txt"', "3", 4, "3 is no file", "lists/"),
    "unknown section": ('home.reranking]]\nkind = "at', 'home.rerank]]\nkind = "at', 21, "`rerank`", "`reranking`?"),
    "description that is a list": ('"The first page."', "[]", 6, "[] is no text", "quotes"),
    "no candidates": ('[[scenarios.home.candidates]]\nsource = "user"\nquota = 200\n', "", 5, "no candidates", "write [["),
    "one bracket too few": ("[[scenarios.home.filters]]", "[scenarios.home.filters]", 10, "no list of stages", "[["),
    "not TOML": ("quota = 200", "quota = ", 9, "not valid TOML", "quotes"),
    "quote left open": ('"user"', '"user', 8, "not valid TOML", "quotes"),
    "key twice": ("quota = 200", "quota = 200\nquota = 300", 10, "not valid TOML", "once"),
    "unknown source": ('"user"', '"usr"', 8, "'usr'", "did you mean `user`?"),
    "quota in quotes": ("quota = 200", 'quota = "200"', 9, "expected `int`", "`quota`"),
    "quota below 1": ("quota = 200", "quota = 0", 9, ">= 1", "write 1 to"),
    "no quota": ("quota = 200\n", "", 7, "quota", "missing"),
    "unknown field": ("quota = 200", "quata = 200", 9, "`quata`", "did you mean `quota`?"),
    "field of another kind": ("strength = 0.3", "n = 3", 20, "`n`", "there are: "),
    "unknown kind": ('kind = "diversity"', 'kind = "diversty"', 19, "'diversty'", "did you mean `diversity`?"),
    "kind of another section": ('kind = "where"', 'kind = "boost"', 12, "no kind of filters", "there are: "),
    "no kind": ('kind = "where"\n', "", 10, "no kind", "there are: "),
    "strength above 1": ("strength = 0.3", "strength = 3", 20, "<= 1", "write 0 to 1"),
    "boost out of bounds": ("by = 0.2", "by = 20", 17, "<= 1.0", "write -1 to 1"),
    "unknown fallback": ('["catalogue"]', '["catalog"]', 26, "'catalog'", "catalogue"),
    "unknown item column": (PREDICATE, "prize <= 20", 13, "`prize`", "did you mean `price`?"),
    "unknown kind of an item's events": (PREDICATE, "events_28d.purchse > 1", 13, "`events_28d.purchse`", "did you mean `events_28d.purchase`?"),
    "unknown kind of a user's events": (PREDICATE, "user.events_7d.vew > 1", 13, "a user has no feature `events_7d.vew`", "did you mean `events_7d.view`?"),
    "a kind that is a word of the language": (PREDICATE, "events_28d.return > 1", 13, "cannot be read", "write `return_`"),
    "a kind of a kind": (PREDICATE, "events_28d.purchase.x > 1", 13, "not part of the language", "write columns"),
    "a user's feature as an item's": (PREDICATE, "median_price <= 20", 13, "`median_price`", "`user.median_price`"),
    "unknown feature of the user": ("user.median_price", "user.medianprice", 16, "`medianprice`", "`median_price`?"),
    "text compared with a number": (PREDICATE, "price <= '20'", 13, "compares a number with a text", "quotes"),
    "text ordered": (PREDICATE, "department < 'FUEL'", 13, "< takes numbers", "== and !="),
    "one equals sign": (PREDICATE, "price = 20", 13, "cannot be read", "`==`"),
    "SQL's not equal": (PREDICATE, "price <> 20", 13, "cannot be read", "`!=`"),
    "capital AND": (PREDICATE, "price > 2 AND price < 4", 13, "cannot be read", "write `and`"),
    "bracket left open": (PREDICATE, "(price > 2", 13, "cannot be read", "close the bracket"),
    "a number for a predicate": (PREDICATE, "price * 2", 13, "is a number", "compare it"),
    "null compared": (PREDICATE, "price == null", 13, "nothing equals null", "is null"),
    "Python that is no predicate": (PREDICATE, "__import__('os').system('id')", 13, "not part of the language", "write columns"),
    "an attribute": (PREDICATE, "price.__class__ == 1", 13, "not part of the language", "write columns"),
    "unknown function": (PREDICATE, "contain(title, 'tea')", 13, "`contain`", "did you mean `contains`?"),
    "unknown list": (PREDICATE, "item_id in lists.sold", 13, "`sold`", "`sold_out`"),
    "list of another column": (PREDICATE, "brand in lists.sold_out", 13, "in a list", "item_id in lists.sold_out"),
    "a number of 400 digits": (PREDICATE, "price < " + "9" * 400, 13, "is too large", "1e+15"),
    "a number of 1,900 hexadecimal digits": (PREDICATE, "price < 0x" + "f" * 1_900, 13, "is too large", "1e+15"),
    "a number that is none": (PREDICATE, "price < 1e999", 13, "`1e999` is too large", "1e+15"),
    "1,900 minuses": (PREDICATE, "price < " + "-" * 1_900 + "1", 13, "within one another", "several stages"),
    "480 nots": (PREDICATE, "not " * 480 + "price < 1", 13, "within one another", "several stages"),
    "300 sums": (PREDICATE, "price < 1" + " + 1" * 300, 13, "within one another", "several stages"),
    "80 functions": (PREDICATE, "abs(" * 80 + "price" + ")" * 80 + " < 1", 13, "within one another", "several stages"),
    "100 powers of Python": (PREDICATE, "1" + " ** 1" * 50 + " < 1", 13, "not part of the language", "write columns"),
    "half of a character": (PREDICATE, "item_id == '\\\\ud800'", 13, "half of a character", "whole"),
    "a half life that never ends": ('kind = "boost"\nwhere = "price <= user.median_price * 2"\nby = 0.2', 'kind = "newness"\nweight = 1\nhalf_life_days = inf', 17, "half_life_days", "write 0.001 to 100000"),
    "a half life of no time": ('kind = "boost"\nwhere = "price <= user.median_price * 2"\nby = 0.2', 'kind = "newness"\nweight = 1\nhalf_life_days = 1e-300', 17, "half_life_days", "write 0.001 to 100000"),
    "a share that is no number": ("strength = 0.3", "strength = nan", 20, ">= 0", "write 0 to 1"),
    "a seed of 30 digits": ('kind = "at_most"\nn = 2\nby = "category"', 'kind = "explore"\nshare = 0.1\nseed = ' + "9" * 30, 24, "18 digits", "own"),
    "101 stages": ('[[scenarios.home.reranking]]\nkind = "at_most"\nn = 2\nby = "category"', "".join(f'[[scenarios.home.reranking]]\nname = "s{n}"\nkind = "at_most"\nn = 2\nby = "category"\n' for n in range(100)), 18, "101 reranking, at most 100", "leave some out"),
    "a filter of own items by the item": ('kind = "where"\nkeep = "' + PREDICATE + '"', 'kind = "own"\ncolumn = "item_id"', 13, "`item_id` is no user", "offers it"),
    "a list with a tab in its name": ('"lists/sold_out.txt"', '"lists/\\tsold.txt"', 4, "no file below the home", "lists/"),
    "an error on the second line": (f'"{PREDICATE}"', "'''price > 2 and\nprize < 3'''", 14, "`prize`", "`price`?"),
    "keep and drop": ("keep =", 'drop = "price > 3"\nkeep =', 12, "either `keep` or `drop`", "keep ="),
    "unknown column to limit": ('by = "category"', 'by = "categry"', 24, "`categry`", "did you mean `category`?"),
    "number column to limit": ('by = "category"', 'by = "price"', 24, "is a number", "there are: "),
    "two stages of a name": ('kind = "at_most"', 'name = "cheap"\nkind = "at_most"', 21, "two stages", "`name`"),
    "a promotion that reads the user": (
        'kind = "at_most"\nn = 2\nby = "category"', 'kind = "promote"\nshare = 0.2\nwhere = "price < user.median_price"',
        24, "reads a feature of the user", "boost",
    ),
    "an item at two places": (
        'kind = "at_most"\nn = 2\nby = "category"', 'kind = "pin"\nslots = {"1" = "a", "2" = "a"}',
        23, "two places", "pin it once",
    ),
    "place 0": (
        'kind = "at_most"\nn = 2\nby = "category"', 'kind = "pin"\nslots = {"0" = "a"}', 23, "'0' is no place", '"1"',
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_file_is_rejected_with_line_and_suggestion(case):
    old, new, line, found, suggestion = MALFORMED[case]
    assert old in GOOD
    with pytest.raises(RulesError) as caught:
        parse_rules(GOOD.replace(old, new, 1).encode(), path=Path("rules.toml"), columns=COLUMNS)
    first = str(caught.value).splitlines()[0]
    assert first.startswith(f"rules.toml:{line}: "), str(caught.value)
    assert found in first
    assert suggestion in first


@pytest.mark.parametrize("case", MALFORMED)
def test_no_line_of_a_message_is_longer_than_a_paragraph(case):
    old, new, *_ = MALFORMED[case]
    with pytest.raises(RulesError) as caught:
        parse_rules(GOOD.replace(old, new, 1).encode(), path=Path("rules.toml"), columns=COLUMNS)
    assert max(map(len, str(caught.value).splitlines())) < 500


def test_of_many_mistakes_the_first_twenty_are_shown_and_the_others_counted():
    text = GOOD + "".join(f"[scenarios.s{n}]\n" for n in range(60))
    with pytest.raises(RulesError) as caught:
        parse_rules(text.encode(), path=Path("rules.toml"), columns=COLUMNS)
    lines = str(caught.value).splitlines()
    assert (len(lines), lines[-1]) == (21, "rules.toml: 40 more mistakes")


def test_a_large_file_of_mistakes_has_the_line_of_the_first():
    content = "".join(f"[s{number}]\nx = 1\n" for number in range(20_000)).encode()
    with pytest.raises(RulesError) as caught:
        parse_rules(content, path=Path("rules.toml"), columns=COLUMNS)
    first, second, *_ = str(caught.value).splitlines()
    assert first.startswith("rules.toml:1: ")
    assert second.startswith("rules.toml: there is no `s1` here")


def test_a_valid_file_is_accepted():
    rules = parse_rules(GOOD.encode(), path=Path("rules.toml"), columns=COLUMNS)
    assert [stage.name for stage in rules.scenarios["home"].filters] == ["cheap"]


def test_every_mistake_is_reported_at_once():
    text = (
        GOOD.replace("quota = 200", "quota = 0").replace("by = 0.2", "by = 2").replace("strength", "strenght")
    )
    with pytest.raises(RulesError) as caught:
        parse_rules(text.encode(), path=Path("rules.toml"), columns=COLUMNS)
    assert [line.split(": ")[0] for line in str(caught.value).splitlines()] == [
        "rules.toml:9", "rules.toml:17", "rules.toml:20",
    ]  # fmt: skip


def test_a_file_that_is_not_utf8_is_rejected_with_its_line():
    with pytest.raises(RulesError, match=r"rules\.toml:2: not UTF-8"):
        parse_rules(b"version = 1\ndefault = '\xff'\n", path=Path("rules.toml"), columns=COLUMNS)


def test_a_missing_file_is_rejected(tmp_path):
    with pytest.raises(RulesError, match=r"rules\.toml: cannot be read"):
        read_rules(tmp_path / "rules.toml", columns=COLUMNS)


@pytest.mark.parametrize(
    "text", ["(" * 3_000, "not " * 400 + "price", "price <= 1" + " and price <= 1" * 300]
)
def test_an_expression_built_to_exhaust_the_parser_is_rejected_or_read(text):
    file = GOOD.replace(PREDICATE, text)
    message = ""
    try:
        parse_rules(file.encode(), path=Path("rules.toml"), columns=COLUMNS)
    except RulesError as error:
        message = str(error)
    assert not message or message.startswith("rules.toml:13: ")
