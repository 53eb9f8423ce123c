"""Errors in every form are read in bounds, and no key is shown."""

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import structs

from proxy.core.errors import Fault
from proxy.providers import blame, faults, garbage
from tests.unit.providers import replay
from tests.unit.providers.making_faults import TO, fault

PAGE = "The provider answered with an HTML page:"
WORDS = (
    "error errors message code type param metadata raw details status estimated_time"
    " internalCode detail"
)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(WORDS.split()), inner),
)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": {"message": "Told."}}, "Told."),
        ({"error": "Told.", "error_type": "validation"}, "Told."),
        ({"errors": [{"code": 10000, "message": "Told."}], "success": False}, "Told."),
        ({"message": "Told.", "code": "wrong_api_format"}, "Told."),
        ({"detail": "Told."}, "Told."),
        ({"detail": [{"loc": ["body", "messages"], "msg": "Told."}]}, "Told."),
        ({"error": {"message": "Provider returned error", "metadata": {"raw": "Told."}}}, "Told."),
        (
            {"error": {"message": "x", "metadata": {"raw": '{"error": {"message": "Told."}}'}}},
            "Told.",
        ),
        ([{"error": {"code": 400, "message": "Told."}}], "Told."),
        ("Told.", "Told."),
        (b" Told \n plainly. ", "Told plainly."),
        (b"<!doctype html><TITLE>Not\nnow</TITLE>", f"{PAGE} Not now"),
        (b"<p>hm</p>", f"{PAGE} untitled"),
        (b"", "The provider answered with status 400 and no message."),
        ({"surprise": 1}, '{"surprise":1}'),
        ({"error": {"surprise": 1}}, '{"surprise":1}'),
        ([], "[]"),
        (17, "17"),
    ],
)
def test_every_form_of_an_error_is_read(body: Any, message: str) -> None:
    assert fault(400, body).message == message


def test_a_long_message_is_cut() -> None:
    message = fault(400, {"message": "x" * 600}).message
    assert message == "x" * 499 + "…"


def test_no_key_is_told() -> None:
    key = replay.KEY
    refusal = fault(401, {"error": {"message": f"Key {key} is wrong", "code": key, "param": key}})
    assert (refusal.message, refusal.code, refusal.param) == ("Key *** is wrong", "***", "***")
    other = fault(401, {"error": {"message": "No such key: sk-proj-0123456789abcdefgh."}})
    assert other.message == "No such key: ***."
    assert fault(401, f"<title>{replay.KEY}</title>".encode()).message.endswith(": ***")


def test_no_beginning_of_a_key_is_told_where_garbage_is_cut() -> None:
    for spaces in (*range(150, 230), *range(970, 1000)):
        body = b"x" * (spaces - 150) + b" " * 150 + replay.KEY.encode()
        message = garbage.garbage(TO, "Why", body).message
        assert replay.KEY[:6] not in message


def test_no_beginning_of_a_key_is_told_where_a_message_is_cut() -> None:
    keys = replay.KEY * (garbage.LOOKED_AT // len(replay.KEY) + 1)
    assert replay.KEY[:3] not in fault(401, {"message": keys}).message


def test_nobodys_key_is_told() -> None:
    to = structs.replace(TO, secrets=("k-2", 'ad/min"'))
    body = {"error": {"message": r"k-2, ad%2Fmin%22 and ad/min\" are wrong", "code": "k-2"}}
    refusal = replay.adapter("openai").read_fault(to, 401, {}, json.dumps(body).encode())
    assert (refusal.message, refusal.code) == ("***, *** and *** are wrong", "***")


HUGE = 300_000
FRAGMENTS = (
    "token count ",
    "model ",
    "model does not",
    "location ",
    "country region ",
    "context ",
    "<title",
    "<title>",
    "unknown ",
    "`max_new_tokens` ",
    "sk-",
    "bearer ",
    "Error: ",
    "limit: 1 ",
    "1h",
    " ",
    "\\",
    "{",
)


@pytest.mark.parametrize("fragment", FRAGMENTS)
@pytest.mark.parametrize("provider", ["openai", "gemini", "workers-ai"])
def test_an_error_is_read_in_no_time_however_long_it_is(provider: str, fragment: str) -> None:
    text = fragment * (HUGE // len(fragment))
    error = {"message": text, "code": text, "type": text, "param": text}
    bodies = [text.encode(), b"<" + text.encode(), json.dumps({"error": error}).encode()]
    began = time.process_time()
    for status in (400, 403, 404, 422, 429, 500):
        for body in bodies:
            refusal = replay.adapter(provider).read_fault(replay.target(provider), status, {}, body)
            assert len(refusal.message) <= 500
            assert len(refusal.code or "") <= 200
            assert len(refusal.param or "") <= 200
    assert time.process_time() - began < 5  # quadratic ones take a minute


def _patterns(value: Any) -> Iterator[re.Pattern[str]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _patterns(item)


def test_no_phrase_repeats_without_a_limit() -> None:
    found = list(
        _patterns(
            tuple(value for module in (faults, blame, garbage) for value in vars(module).values())
        )
    )
    assert len(found) > 10
    for pattern in found:
        assert not re.search(r"(?<!\\)[*+]|,\}", re.sub(r"\[[^]]*\]", "", pattern.pattern)), pattern


@given(status=st.integers(0, 999), body=st.binary() | JSON, header=st.text())
@example(status=429, body=b"[" * 100_000, header="9" * 400)
@example(status=429, body=b'"\xff"', header="")
@example(status=503, body={"error": "x", "estimated_time": 10**300}, header="")
@example(
    status=429,
    body={
        "error": {"metadata": {"headers": [1]}, "details": [{"violations": [1, {"quotaId": 2}]}]}
    },
    header="",
)
@example(status=429, body={"error": {"message": "Limit ,,, Requested ,,,"}}, header="")
@example(status=0, body={"error": {"code": [], "message": {}, "details": [{"a": 1}]}}, header="")
def test_reading_a_refusal_never_fails(status: int, body: Any, header: str) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"retry-after": header, "x-ratelimit-reset-a": header, "x-ratelimit-remaining-a": "0"}
    for provider in ("openai", "gemini", "workers-ai"):
        read = replay.adapter(provider).read_fault(replay.target(provider), status, headers, data)
        assert isinstance(read, Fault)
        assert read.message
        assert len(read.message) <= 500
        assert read.retry_after is None or 0 <= read.retry_after < float("inf")
