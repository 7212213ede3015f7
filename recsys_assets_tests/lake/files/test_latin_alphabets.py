"""The letters of a language show the encoding of a text, and Windows-1252 is it where nothing speaks against."""

import pytest

from recsys_assets.lake.files.latin_alphabets import latin_encoding
from recsys_assets.lake.files.text_form import encoding_of

WORDS = {
    "German": "Käse Müsli Öl Süßkartoffel Spätzle Weißwürste Brötchen",
    "French": "Crème brûlée pâté fromage à garçon Noël été tôt",
    "Spanish": "Piñata jamón corazón niño azúcar limón",
    "Portuguese": "pão coração maçã feijão limões café",
    "Danish": "rødgrød smørrebrød æbleskiver blåbær",
    "Dutch": "crème geïnteresseerd coördinatie één",
    "German and French": "Käse Rösti Müesli Crème brûlée pâté Öl garçon Äpfel",
    "Polish": "Żółty Śliwki Ćwikła Źródlana Mąka Kiełbasa żytni Łosoś",
    "Czech": "Žluťoučký sýr Švestky Řepa Čaj Mléko žitný množství",
    "Hungarian": "Túrós főtt tojás gyümölcs hűtő körte szőlő",
    "Turkish": "Çikolata şeker yoğurt süt ekşi kaşar İncir kızartma",
    "Lithuanian": "Žuvis sūris kiaušiniai ąžuolas šokoladas sultys mėsa",
    "one Pole": "Łódź",
    "one German": "Müller",
}
ENCODINGS = [
    ("German", "cp1252"), ("German", "mac-roman"), ("German", "cp850"), ("French", "cp1252"), ("French", "cp850"),
    ("Spanish", "cp1252"), ("Portuguese", "cp1252"), ("Danish", "cp1252"), ("Danish", "mac-roman"),
    ("Dutch", "cp1252"), ("German and French", "cp1252"), ("Polish", "cp1250"), ("Polish", "iso8859-2"),
    ("Czech", "cp1250"), ("Czech", "iso8859-2"), ("Hungarian", "cp1250"), ("Turkish", "cp1254"),
    ("Lithuanian", "cp1257"), ("one Pole", "cp1250"), ("one German", "cp1252"),
]  # fmt: skip


@pytest.mark.parametrize(("language", "encoding"), ENCODINGS)
def test_words_are_read_as_they_were_written(language, encoding):
    lines = "".join(f"u1;{word};2024-01-01\n" for word in WORDS[language].split())
    written = f"user;item;day\n{lines}".encode(encoding)

    found = encoding_of(written)

    assert found is not None
    assert written.decode(found) == written.decode(encoding)


def test_signs_alone_are_western():
    assert latin_encoding("5 € – „ja“".encode("cp1252")) == "cp1252"


@pytest.mark.parametrize(("text", "encoding"), [("Сыр Яблоки Молоко", "cp1251"), ("りんごチーズ", "cp932")])
def test_another_alphabet_is_no_latin_one(text, encoding):
    assert latin_encoding(text.encode(encoding)) is None
