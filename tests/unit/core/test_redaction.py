"""No secret stands in what others wrote, however they quote it."""

import base64
import html
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.redaction import redact

VISIBLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=12, max_size=90)
SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "upper case": str.upper,
    "in a URL": lambda key: quote(key, safe=""),
    "in a URL's path": quote,
    "in a form": quote_plus,
    "in JSON": lambda key: json.dumps(key)[1:-1],
    "in JSON in JSON": lambda key: json.dumps(json.dumps(key))[3:-3],
    "in HTML": html.escape,
    "in hexadecimal": lambda key: key.encode().hex(),
    "in base64": lambda key: base64.b64encode(key.encode()).decode(),
    "in base64 of a header": lambda key: base64.b64encode(f"Bearer {key}".encode()).decode(),
    "in base64 of user and password": lambda key: base64.b64encode(f"u:{key}".encode()).decode(),
    "in base64 for URLs": lambda key: base64.urlsafe_b64encode(f"u:{key}".encode()).decode(),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@given(key=VISIBLE, before=st.text(), after=st.text())
def test_a_secret_is_gone_in_every_spelling(
    spelling: str, key: str, before: str, after: str
) -> None:
    quoted = SPELLINGS[spelling](key)
    others = str.maketrans("", "", quoted)  # what repeats the key around it is no secret
    text = before.translate(others) + quoted + after.translate(others)
    rest = redact(text, ["another-secret", key])
    core = quoted.rstrip("=")[3:-3]  # what stands around a key changes the ends of its base64
    assert core not in rest
    assert "***" in rest


@pytest.mark.parametrize("key", ["k", "ab1", "x-1", "p@ss", 'a"b\\c', "+/+/", "(.*)"])
def test_a_short_or_unusual_key_is_gone(key: str) -> None:
    assert redact(f"The key {key} is wrong.", [key]) == "The key *** is wrong."
    assert redact(f'{{"key":"{key}"}}', [key]) == '{"key":"***"}'


def test_a_short_key_leaves_words_whole() -> None:
    assert redact("No model is like any other.", ["m", "is"]) == "No model *** like any other."


@given(key=VISIBLE.filter(lambda key: "*" not in key), cut=st.integers(1, 200))
def test_the_beginning_of_a_secret_goes_where_the_text_was_cut(key: str, cut: int) -> None:
    text = f"Wrong: {key}"[:cut]
    rest = redact(text, [key], cut=True)
    assert len(text) <= 7 or "***" in rest or rest == "Wrong: " or key[:1] not in rest[7:]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("No such key: sk-proj-0123456789abcdefgh.", "No such key: ***."),
        ("aep_production_" + "0a" * 32, "***"),
        ("authorization: Bearer eyJhbGciOiJIUzI1NiJ9.e30.x", "authorization: Bearer ***"),
        ("Incorrect API key provided: sk-abc***xyz.", "Incorrect API key provided: sk-abc***xyz."),
        ("Incorrect key: gsk_****AbCd", "Incorrect key: gsk_****AbCd"),
        ("A Bearer token is required.", "A Bearer token is required."),
    ],
)
def test_what_looks_like_a_key(text: str, expected: str) -> None:
    assert redact(text, []) == expected


def test_no_secret_changes_nothing() -> None:
    assert redact("Nothing is wrong.", ["", ""]) == "Nothing is wrong."
