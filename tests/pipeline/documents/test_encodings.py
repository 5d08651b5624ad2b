"""Text comes out of bytes in whatever encoding it was written."""

import random

import pytest

from pipeline.documents.encodings import decode

CHINESE = "黑豹队的防守只丢了 308 分，在联赛中排名第六。"
JAPANESE = "名前は佐藤太郎です。東京に住んでいます。\nサポートまでご連絡ください。"
KOREAN = "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다."
ARABIC = "لم يتخلى فريق بانثرز سوى عن نقطة، ليحتل المرتبة السادسة في الدوري"
RUSSIAN = "Все люди рождаются свободными и равными в своем достоинстве и правах."
GREEK = "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια."
SPANISH = 'El niño comió paella con ñoquis. "¡Qué rico!", y pagó 25,75 €.'
GERMAN = "Die schöne Frau hat „Kaffee“ gegessen – für 15,50 €."
POLISH = "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw."
ALL = [CHINESE, JAPANESE, KOREAN, ARABIC, RUSSIAN, GREEK, SPANISH, GERMAN, POLISH]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        *[(CHINESE, encoding) for encoding in ("gb18030", "gb2312", "gbk")],
        ("黑豹隊的防守只丟了 308 分，在聯賽中排名第六，同時也以 24 次攔截領先。", "big5"),
        *[(JAPANESE, encoding) for encoding in ("cp932", "euc_jp", "iso2022_jp")],
        *[(KOREAN, "cp949"), (ARABIC, "cp1256"), (RUSSIAN, "cp1251"), (RUSSIAN, "koi8_r"), (GREEK, "cp1253")],
        *[(SPANISH, "cp1252"), (GERMAN, "cp1252"), ("Größe für später", "latin-1"), (POLISH, "cp1250")],
    ],
)
def test_legacy_encoding_is_recognised(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize("text", ALL)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_unicode_with_its_mark_or_in_utf8_is_recognised(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize("text", [*ALL, "Hello", "a\nb"])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_wide_characters_without_a_mark_are_recognised(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize(
    ("text", "declared", "written"),
    [
        ("15 € “quoted”", "iso-8859-1", "cp1252"),
        (CHINESE + "镕", "gb2312", "gb18030"),
        ("בני האדם", "windows-1255", "cp1255"),
        ("größer", "no-such-encoding", "utf-8"),
        ("größer", "hex", "utf-8"),
        ("größer", "iso-8859-1", "utf-8"),
        ("plain", "utf-16", "ascii"),
    ],
)
def test_declared_encoding_is_understood_as_browsers_do(text: str, declared: str, written: str) -> None:
    assert decode(text.encode(written), declared) == text


def test_utf8_survives_a_stray_byte_and_a_cut_off_end() -> None:
    data = CHINESE.encode() * 3
    assert decode(data[:-1]) == CHINESE * 2 + CHINESE[:-1] + "\ufffd"
    assert decode(data + b"\xff\n" + data) == f"{CHINESE * 3}\ufffd\n{CHINESE * 3}"


def test_a_stray_zero_byte_does_not_make_text_binary() -> None:
    assert decode(b"Support answers within a day." * 5 + b"\0") == "Support answers within a day." * 5


@pytest.mark.parametrize("size", [100, 1000, 100_000])
def test_random_bytes_are_not_text(size: int) -> None:
    # The same in every run: of so few bytes some happen to be text in an encoding of two bytes a letter.
    dice = random.Random(size)
    assert [decode(dice.randbytes(size)) for _ in range(30)] == [None] * 30
