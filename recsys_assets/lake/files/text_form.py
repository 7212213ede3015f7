r"""The encoding of a text file, recognised from a sample, and the file as UTF-8 with `\\n` after each line.

Valid UTF-8 is UTF-8. Otherwise it is Windows-1252, unless `latin_alphabets.py` finds another language's letters or
these bytes are no Latin text: then it is what charset-normalizer finds, a light library without compiled parts, which
requests and others have long relied on.
"""

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from recsys_assets.errors import SettingsError
from recsys_assets.lake.files.compressed_files import DamagedStreamError, open_bytes, read_bytes
from recsys_assets.lake.files.latin_alphabets import latin_encoding

SAMPLE_BYTES: Final = 1 << 18
"""Size of the sample that shows a file's form, decompressed bytes, or up to the end of the first line."""
_LONGEST_FIRST_LINE: Final = 4 << 20
_PIECE_BYTES: Final = 1 << 16
_MARKS: Final = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_WESTERN: Final = re.compile(r"[À-ÖØ-öø-ÿŒœŠšŽžŸ€£¥§©®™°±²½¼«»“”„‘’‚–—…•·¡¿¢ªº´`\xa0ß]")
_IN_WORD: Final = re.compile(r"[A-Za-z][¡¢£¤¥¦§©ª«¬®¯°±²³µ¶¸¹º»¼½¾¿][A-Za-z]")
_HIGH_RUNS: Final = re.compile(rb"[\x80-\xff]+")
_MOST: Final = 0.9
_FEW: Final = 6
"""Number of bytes beyond ASCII that show no alphabet."""
_CONTROL: Final = re.compile(rb"[\0-\x08\x0e-\x1f]")
_ZERO_SHARE: Final = 0.2
"""Share of zero bytes at every second place that shows UTF-16 without a mark."""
_KANA: Final = re.compile("[ぁ-ヿ]")
_KANA_SHARE: Final = 0.2
"""Share of kana beyond ASCII that shows Japanese, which charset-normalizer takes for Korean in short samples."""
_LETTERS: Final = 1 << 14
"""Bytes of lines that show a language."""
_BAD: Final = "recsys_bad_text"
codecs.register_error(_BAD, lambda error: ("\udcff", getattr(error, "end", 1)))


@dataclass(frozen=True, kw_only=True)
class TextForm:
    """The way that a file's bytes are text."""

    encoding: str | None = None
    """A Python codec; None while every byte is ASCII: the first other one decides."""
    escaped: bool = False
    r"""Quotes in quoted fields are `\"`; they are read as `""`."""
    line_ends: str = r"\n"
    r"""The sample's: `\n`, `\r\n`, `\r` or `mixed`."""


def recognise(path: Path, given: str | None = None) -> tuple[TextForm, bytes]:
    r"""Return a file's form, and its start as UTF-8 with `\\n` line ends.

    Args:
        path: a file that `open_bytes` opens.
        given: the encoding; None recognises it.

    Raises:
        SettingsError: there is no encoding of the given name.
        InputError: the file cannot be read.
    """
    if given is not None:
        try:
            given = codecs.lookup(given).name
        except LookupError:
            raise SettingsError(
                f"encoding is {given!r}, which Python has not; give one such as utf-8, windows-1252 or utf-16"
            ) from None
    sample = _start(path)
    form = TextForm(encoding=given if given is not None else encoding_of(sample))
    whole = len(sample) < SAMPLE_BYTES
    text = _Decoder(form, universal=False).decode(sample, last=whole)
    ends = _line_ends(text)
    return replace(form, line_ends=ends), text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _line_ends(text: bytes) -> str:
    windows = text.count(b"\r\n")
    found = {r"\r\n": windows, r"\n": text.count(b"\n") - windows, r"\r": text.count(b"\r") - windows}
    kinds = [kind for kind, count in found.items() if count]
    return kinds[0] if len(kinds) == 1 else "mixed" if kinds else r"\n"


def _start(path: Path) -> bytes:
    """Return the file's first bytes; where it is damaged, those before."""
    sample = b""
    with open_bytes(path) as file:
        while len(sample) < SAMPLE_BYTES or (b"\n" not in sample and len(sample) < _LONGEST_FIRST_LINE):
            try:
                chunk = read_bytes(file, path, _PIECE_BYTES)
            except DamagedStreamError:
                if not sample:
                    raise
                break
            if not chunk:
                break
            sample += chunk
    return sample


def encoding_of(sample: bytes) -> str | None:
    """Return the encoding of text; None if every byte is ASCII."""
    for mark, encoding in _MARKS.items():
        if sample.startswith(mark):
            return encoding
    if sample.isascii() and b"\0" not in sample:
        return None
    even, odd = sample[0::2], sample[1::2]
    if odd.count(0) > _ZERO_SHARE * len(odd) and not _CONTROL.search(even):
        return "utf-16-le"
    if even.count(0) > _ZERO_SHARE * len(even) and not _CONTROL.search(odd):
        return "utf-16-be"
    if sample.isascii() or _is_utf8(sample):
        return "utf-8"
    return _single_byte(sample)


def _is_utf8(sample: bytes) -> bool:
    """Return True where most bytes beyond ASCII are UTF-8: a broken line doesn't make a file another one."""
    decoder = codecs.getincrementaldecoder("utf-8")  # the last character may be cut
    try:
        decoder().decode(sample)
    except UnicodeDecodeError:
        text = decoder("surrogateescape").decode(sample)
    else:
        return True
    broken = sum(1 for sign in text if "\udc80" <= sign <= "\udcff")
    whole = sum(1 for sign in text if sign > "\x7f") - broken
    return whole > broken


def _single_byte(sample: bytes) -> str:
    lines = b"\n".join(line for line in sample.splitlines() if not line.isascii())[: 1 << 16]
    latin = latin_encoding(lines[:_LETTERS])
    if latin is not None:
        return latin
    text = lines.decode("windows-1252", errors="replace")
    high = [sign for sign in text if sign > "\x7f"]
    western = sum(1 for sign in high if _WESTERN.match(sign)) - len(_IN_WORD.findall(text))
    if len(high) < _FEW or (
        western >= _MOST * len(high) and len(high) < 1.5 * len(_HIGH_RUNS.findall(lines))
    ):
        return "cp1252"  # accents are Western letters, and apart
    for encoding in ("cp932", "euc_jp"):
        text = lines.decode(encoding, errors="ignore")
        if len(_KANA.findall(text)) > _KANA_SHARE * sum(sign > "\x7f" for sign in text):
            return encoding
    import charset_normalizer  # noqa: PLC0415  few files need it

    best = charset_normalizer.from_bytes(lines).best()
    found = None if best is None else codecs.lookup(best.encoding).name
    return "cp1252" if found in {None, "utf-8", "ascii", "iso8859-1"} else str(found)


@dataclass
class _Decoder:
    r"""Turns chunks of a file into UTF-8 with `\\n`."""

    form: TextForm
    universal: bool = True
    """False leaves `\\r` as it is."""
    _step: Callable[[bytes, bool], bytes] | None = None
    _held: bytes = b""
    _started: bool = False

    def decode(self, chunk: bytes, *, last: bool) -> bytes:
        """Return the text of a chunk; some of its end may come with the next one."""
        if self._step is None:
            encoding = self.form.encoding
            if encoding is None and (not chunk.isascii() or not self._started):
                encoding = encoding_of(chunk)
            if encoding is not None:
                self._step = _step(encoding)
        data = chunk if self._step is None else self._step(chunk, last)
        if not self._started and data.startswith(codecs.BOM_UTF8):
            data = data[len(codecs.BOM_UTF8) :]
        self._started = self._started or bool(data)
        return self._tidy(self._held + data if self._held else data, last=last)

    def _tidy(self, data: bytes, *, last: bool) -> bytes:
        self._held = b""
        if not last and data.endswith((b"\r", b"\\")):
            keep = len(data.rstrip(b"\r\\"))
            data, self._held = data[:keep], data[keep:]
        if self.universal and b"\r" in data:
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if self.form.escaped and b"\\" in data:
            data = unescaped(data)
        return data


def unescaped(data: bytes) -> bytes:
    r"""Return text with `""` for each `\"`, and one backslash for two."""
    return re.sub(rb"\\(.)", _pair, data, flags=re.DOTALL)


def _pair(found: re.Match[bytes]) -> bytes:
    return {b'"': b'""', b"\\": b"\\"}.get(found[1], found[0])


def _step(encoding: str) -> Callable[[bytes, bool], bytes]:
    if codecs.lookup(encoding).name == "utf-8":
        return lambda chunk, _last: chunk
    decoder = codecs.getincrementaldecoder(encoding)(_BAD)
    return lambda chunk, last: decoder.decode(chunk, last).encode("utf-8", "surrogatepass")


@dataclass(kw_only=True)
class TextFile:
    r"""A file opened as UTF-8 with `\\n`; a byte that its encoding has not is invalid UTF-8 here, too."""

    path: Path
    """The file."""
    form: TextForm = field(default_factory=TextForm)
    """The way that its bytes are text."""

    def __enter__(self) -> Self:
        self._file: IO[bytes] = open_bytes(self.path)
        self._decoder = _Decoder(self.form)
        self._ended = False
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def read(self, size: int) -> bytes:
        """Return text of about `size` bytes, empty at the end.

        Raises:
            SourceFormatError: the file is truncated or damaged.
        """
        while not self._ended:
            chunk = read_bytes(self._file, self.path, size)
            self._ended = not chunk
            if text := self._decoder.decode(chunk, last=self._ended):
                return text
        return b""
