"""The format of a delimited file, recognised from its start: separator, quotes, header, lines before it."""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final

from recsys_assets.errors import EmptySourceError, SourceFormatError
from recsys_assets.lake.files.delimited_lines import Shape, good_lines, irregular_quotes
from recsys_assets.lake.files.text_form import TextForm, recognise, unescaped
from recsys_assets.lake.files.text_records import Dialect
from recsys_assets.source_settings import ReadingSettings

_SAMPLE_BYTES: Final = 1 << 18
_SAMPLE_RECORDS: Final = 1_000
_SEPARATORS: Final = (",", ";", "\t", "|", "::", "^")
_WORDS: Final = {"\\t": "\t", "tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}
_CONSISTENT: Final = 0.9
_HABIT: Final = 0.01
"""Share of short records in the sample that shows a writer who leaves out empty fields at the end."""
_SEP_LINE: Final = re.compile(rb'\s*"?sep=(.)"?\n')
_MOST_TITLES: Final = 30
_COMMENT: Final = ("#", "%")
_NUMBER: Final = re.compile(r"[-+]?[\d., ]*\d(?:[.,]\d*)?(?:[eE][-+]?\d+)?")
_TIME: Final = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ].*)?|\d{1,2}:\d\d(:\d\d)?.*")
_NAME: Final = re.compile(
    r"(?i)(.*[_ ])?(user|item|product|customer|client|visitor|sku|asin|id|ids|time|date|timestamp|rating|event|"
    r"order|price|quantity|qty|type|name|title|email)s?([_ ].*)?|[a-z]+(Id|ID|No|Date|Time|Name)"
)


@dataclass(frozen=True, kw_only=True)
class DelimitedForm:
    """Format of a delimited file, and the part of it that people like to hear."""

    dialect: Dialect
    """With the names and the start of the records."""
    header: bool
    """The file names its columns."""
    notes: tuple[str, ...] = ()
    """Sentences about oddities, such as a name that two columns have."""
    head: bytes = b""
    """The text before the records, of a file that names its columns."""


def sniff(path: Path, reading: ReadingSettings, *, like: DelimitedForm | None = None) -> DelimitedForm:
    """Recognise the format of a delimited file; what `reading` gives is not recognised.

    Args:
        path: the file.
        reading: what is given.
        like: the form of another file of the source, taken where the file has its header and only records of its
            form: that is looked up in a twentieth of the time.

    Raises:
        InputError: the file is missing, empty, binary, or damaged at its start.
    """
    form, text = recognise(path, reading.encoding)
    sample = text[:_SAMPLE_BYTES]
    if len(sample) < len(text) or len(text) >= _SAMPLE_BYTES:
        sample = sample[: sample.rfind(b"\n") + 1] or sample
    _require_text(path, sample)
    if like is not None and (same := _like(like, form, sample)) is not None:
        return same
    given = _WORDS.get(reading.delimiter or "", reading.delimiter)
    start = 0
    if line := _SEP_LINE.match(sample):
        start, given = line.end(), given or line[1].decode(errors="replace")
    candidates = [given] if given else list(_SEPARATORS)
    samples = [_Sample.of(sample[start:], separator, form) for separator in candidates]
    best = max(samples, key=_Sample.rank)
    if not given and best.fields == 1:
        spaced = _Sample.of(sample[start:], " ", form)
        best = spaced if spaced.fields > 1 and spaced.share >= _CONSISTENT else best
    found = _described(path, best, start, header=reading.header)
    return replace(found, head=sample[: found.dialect.start]) if found.header else found


def _like(other: DelimitedForm, form: TextForm, sample: bytes) -> DelimitedForm | None:
    """Return the form of a file whose start has the other's header and no record of another form; else None."""
    dialect = other.dialect
    if not other.head or dialect.short or len(dialect.separator) > 1 or not sample.startswith(other.head):
        return None
    quoting = _quoting(sample, dialect.separator, form)[0]
    own = replace(dialect, form=quoting.form, quoted=quoting.quoted)
    if own != replace(dialect, form=replace(form, escaped=dialect.form is not None and dialect.form.escaped)):
        return None
    shape = Shape(
        fields=len(dialect.names or ()), separator=dialect.separator.encode(), quoted=dialect.quoted
    )
    body = sample[dialect.start :]
    return replace(other, dialect=own) if not good_lines(body, shape).bad else None


def _require_text(path: Path, sample: bytes) -> None:
    if not sample:
        raise EmptySourceError(f"{path}: the file is empty; give a file with at least one row")
    if not sample.strip():
        raise EmptySourceError(f"{path}: the file holds only blank lines; give a file with at least one row")
    if b"\0" in sample[: sample.find(b"\n") + 1 or len(sample)]:
        raise SourceFormatError(f"{path}: is a binary file, not text; give one of the source's formats")


@dataclass(frozen=True, kw_only=True)
class _Sample:
    """Records of a file's start, as one separator parts them."""

    dialect: Dialect
    records: list[list[str]]
    ends: list[int]
    """Bytes up to the end of each record."""
    fields: int
    """Most frequent number of fields."""
    share: float
    """Share of the records that have it."""

    @classmethod
    def of(cls, sample: bytes, separator: str, form: TextForm) -> "_Sample":
        dialect, sample = _quoting(sample, separator, form)
        lines = sample.decode(errors="replace").split("\n")
        records, ends, sizes = list[list[str]](), list[int](), [len(line.encode()) + 1 for line in lines]
        read, end = 0, 0
        for record, used in islice(_records(lines, dialect), _SAMPLE_RECORDS):
            end += sum(sizes[read:used])
            read = used
            if any(text.strip() for text in record):
                records.append(record)
                ends.append(end)
        counts = Counter(map(len, records))
        fields, found = counts.most_common(1)[0]
        return cls(
            dialect=dialect, records=records, ends=ends, fields=fields, share=found / max(1, len(records))
        )

    def rank(self) -> tuple[object, ...]:
        """Return a key that is greatest for the file's own separator."""
        consistent = self.fields > 1 and self.share >= _CONSISTENT
        return (consistent, len(self.records[0]) == self.fields and self.fields > 1, self.fields, self.share)


def _quoting(sample: bytes, separator: str, form: TextForm) -> tuple[Dialect, bytes]:
    dialect = Dialect(separator=separator, form=form)
    if b'"' not in sample or len(separator) > 1:
        return dialect, sample
    strays = irregular_quotes(sample, separator)
    if strays and b'\\"' in sample:
        plain = unescaped(sample)
        if irregular_quotes(plain, separator) < strays:
            return replace(dialect, form=replace(form, escaped=True)), plain
    return replace(dialect, quoted=strays <= sample.count(b'"') / 2), sample


def _records(lines: Sequence[str], dialect: Dialect) -> Iterator[tuple[list[str], int]]:
    """Yield each record's fields, and the number of lines up to its end."""
    if len(dialect.separator) > 1:
        yield from ((line.split(dialect.separator), number) for number, line in enumerate(lines, start=1))
        return
    reader = csv.reader(
        [f"{line}\n" for line in lines],
        delimiter=dialect.separator,
        quoting=csv.QUOTE_MINIMAL if dialect.quoted else csv.QUOTE_NONE,
    )
    try:
        for record in reader:
            yield record, reader.line_num
    except csv.Error:
        return  # a field beyond csv's limit: the records before it are the sample


def _described(path: Path, sample: _Sample, offset: int, *, header: bool | None) -> DelimitedForm:
    """Find the header among the first records, and name the columns."""
    first = next((n for n, record in enumerate(sample.records) if len(record) == sample.fields), 0)
    longest = max(map(len, sample.records))
    if len(sample.records[0]) == longest and not any(map(_is_value, sample.records[0])):
        first = 0
    elif first and _is_header_of(sample.records[first - 1], sample.fields):
        first -= 1
    first, names = _after_comments(sample, _after_titles(sample, first))
    body = sample.records[first + 1 :]
    named = has_header(names, body) if header is None else header
    fields, short = _width(sample, names if named else None, body)
    if not named:
        texts = [str(number) for number in range(1, fields + 1)]
        end = sample.ends[first - 1] if first else 0
    else:
        texts, end = _full(names, fields), sample.ends[first]
    unique, twice = unique_names(texts)
    notes = [f"{first} lines before the header are left out"] if first else []
    notes += [f"{len(twice)} names stand twice in the header ({', '.join(twice)})"] if twice else []
    dialect = replace(sample.dialect, names=tuple(unique), start=offset + end, short=short)
    if not unique:
        raise SourceFormatError(f"{path}: the first line names no column; give a table")
    return DelimitedForm(dialect=dialect, header=named, notes=tuple(notes))


def _is_header_of(record: Sequence[str], fields: int) -> bool:
    """Return True for names of one column more or less than the records have fields: a separator at the end."""
    return abs(len(record) - fields) == 1 and len(record) > 1 and not any(map(_is_value, record))


def _after_titles(sample: _Sample, first: int) -> int:
    """Return the number of the header where lines of a title, filled up with separators, stand before it."""

    def is_full(record: Sequence[str]) -> bool:
        return sum(bool(text.strip()) for text in record) > len(record) / 2

    if sample.fields <= 2 or is_full(sample.records[first]):  # noqa: PLR2004  of two fields one may be empty
        return first
    after = range(first + 1, min(first + _MOST_TITLES, len(sample.records)))
    full = next((number for number in after if is_full(sample.records[number])), first)
    return full if has_header(sample.records[full], sample.records[full + 1 :]) else first


def _after_comments(sample: _Sample, first: int) -> tuple[int, list[str]]:
    """Return the number of the header, or of the first record, and its fields; comments stand before it."""
    while first + 1 < len(sample.records) and sample.records[first][0].lstrip().startswith(_COMMENT):
        names = [sample.records[first][0].lstrip().lstrip("#% "), *sample.records[first][1:]]
        following = sample.records[first + 1]
        if not following[0].lstrip().startswith(_COMMENT) and len(names) == sample.fields > 1:
            body = sample.records[first + 1 :]
            if has_header(names, body) and not has_header(following, body[1:]):
                return first, names
        first += 1
    return first, list(sample.records[first])


def _width(sample: _Sample, names: Sequence[str] | None, body: Sequence[Sequence[str]]) -> tuple[int, bool]:
    """Return the number of fields, and True if records may lack the last ones."""
    counts = Counter(map(len, body))
    if not counts:
        return len(names or sample.records[0]), False
    longest = max(counts)
    if names is not None and len(names) >= longest:
        shorter = sum(rows for fields, rows in counts.items() if fields < len(names))
        if sample.fields == len(names) and shorter <= max(1, _HABIT * len(body)):
            return len(names), False
        return len(names), sample.fields < len(names) or shorter > 1
    return sample.fields, False


def _full(names: Sequence[str], fields: int) -> list[str]:
    """Return a name for each field: one more is for row numbers at the left, or an empty field at the right."""
    return [*names, *(["" for _ in range(fields - len(names))])][:fields]


def has_header(first: Sequence[str], body: Sequence[Sequence[str]]) -> bool:
    """Return True if the first record holds names, and no values as the records after it.

    Args:
        first: its fields.
        body: the fields of the next records; may be empty.
    """
    names = [name.strip() for name in first]
    if len(names) > 2 and names == [str(n) for n in range(len(names))]:  # noqa: PLR2004  pandas numbers them
        return True
    if any(map(_is_value, names)):
        return False
    if not body or any(_NAME.fullmatch(name) for name in names):
        return True
    columns = [[record[n].strip() for record in body if len(record) > n] for n in range(len(names))]
    filled = [[text for text in column if text] for column in columns]
    if any(column and all(map(_is_value, column)) for column in filled):
        return True
    return not any(
        name and (name in column or _has_shape(name, column))
        for name, column in zip(names, filled, strict=True)
    )


def _is_value(text: str) -> bool:
    text = text.strip()
    return bool(_NUMBER.fullmatch(text) or _TIME.fullmatch(text) or re.search(r"\S@\S+\.\S", text))


def _has_shape(name: str, column: Sequence[str]) -> bool:
    """Return True for text with a digit that looks as nearly all of a column does: `u1` over `u27`."""
    shapes = Counter(_shape(text) for text in column)
    return any(sign.isdigit() for sign in name) and shapes[_shape(name)] >= _CONSISTENT * max(1, len(column))


def _shape(text: str) -> str:
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", text))


def unique_names(texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the names, a second one of a kind as `name (2)`, an empty one as its number; and those that recur."""
    found, twice = list[str](), dict[str, None]()
    for number, text in enumerate(texts, start=1):
        name = text.strip() or str(number)
        count = 2
        while name in found:
            twice[text.strip()] = None
            name, count = f"{text.strip()} ({count})", count + 1
        found.append(name)
    return found, list(twice)
