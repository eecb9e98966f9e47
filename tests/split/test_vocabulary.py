import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.split.vocabulary import LONGEST_WAIT, bytes_of, ids_of, split_settled


class Normalizing:
    """Each byte is the token of its value, and capital letters are encoded as small ones."""

    def encode(self, text):
        return list(text.lower().encode())

    def token_bytes(self, token):
        return bytes([token])

    def byte_token(self, byte):
        return byte


def test_what_the_encoder_would_change_is_spelled_in_bytes():
    assert bytes_of(Normalizing(), ids_of(Normalizing(), "aBé".encode())) == "aBé".encode()


def test_an_encoder_is_asked_for_text_and_never_for_broken_characters():
    asked = []

    class Asked(Normalizing):
        def encode(self, text):
            asked.append(text)
            return super().encode(text)

    ids_of(Asked(), b"\xa0ab" + "é".encode() + b"\xe4\xbd")
    assert asked == ["abé"]


@pytest.mark.parametrize(
    ("text", "settled"),
    [
        ("the num", "the"),
        ("the", ""),
        ("the  num", "the"),
        ("a b c", "a b"),
        ("x = 1\ny", "x = 1\n"),
        ("x\n\ny", ""),
        ("x \ny", "x"),
        (" x", ""),
        ("", ""),
        ("1" * LONGEST_WAIT, ""),
        ("1" * (LONGEST_WAIT + 1), "1" * (LONGEST_WAIT + 1)),
        ("a " + "1" * LONGEST_WAIT, "a " + "1" * LONGEST_WAIT),
    ],
)
def test_text_settles_between_words(text, settled):
    done, held = split_settled(text.encode())
    assert (done.decode(), held.decode()) == (settled, text[len(settled) :])


@given(st.binary())
def test_a_cut_loses_no_byte_and_no_character(data):
    settled, held = split_settled(data)
    assert settled + held == data
    assert len(held.decode("utf-8", "surrogateescape")) <= LONGEST_WAIT + 3


@given(st.text(), st.integers(0, 200))
def test_a_character_is_never_cut(text, end):
    data = text.encode()[:end]
    settled, _ = split_settled(data)
    assert text.startswith(settled.decode())


def test_not_even_a_long_wait_cuts_a_character():
    long = b"1" * (LONGEST_WAIT + 1)
    assert split_settled(long + "🙂".encode()[:3]) == (long, "🙂".encode()[:3])
