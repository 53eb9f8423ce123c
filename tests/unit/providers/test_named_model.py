"""Which model a request names, and what may be read of it in two ways."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.errors import InvalidRequest
from proxy.core.ports import Body
from proxy.providers.named_model import (
    Errand,
    read_all_models,
    read_errand,
    read_model,
    rename_model,
)

JSON = "application/json"
CHAT_OF_M = Errand(answers=True, chats=True, model="m-1")
FORM = 'multipart/form-data; boundary="b-1"'


def form(*parts: tuple[str, bytes], name: str = 'form-data; name="{}"') -> bytes:
    text = b""
    for field, value in parts:
        head = f"content-disposition: {name.format(field)}\r\n\r\n".encode()
        text += b"--b-1\r\n" + head + value + b"\r\n"
    return text + b"--b-1--\r\n"


def join(body: Body) -> bytes:
    return body if isinstance(body, bytes) else b"".join(map(bytes, body))


@pytest.mark.parametrize(
    ("method", "path", "errand"),
    [
        ("POST", "chat/completions", Errand(answers=True, chats=True, in_body=True)),
        ("POST", "v1/ch%61t/completions", Errand(answers=True, chats=True, in_body=True)),
        ("POST", "v1/images/edits", Errand(answers=True, in_body=True)),
        ("GET", "chat/completions", Errand()),
        ("POST", "v1beta/models/m%2D1:generateContent", CHAT_OF_M),
        ("POST", "models/m-1%3AcountTokens", CHAT_OF_M),
        ("POST", "models/m:predict", Errand(answers=True, model="m")),
        ("GET", "v1beta/models/m", Errand(model="m")),
        ("POST", "files", Errand()),
        ("DELETE", "models/m", Errand()),
        ("POST", "batches", Errand()),
    ],
)
def test_what_a_request_is_for(method: str, path: str, errand: Errand) -> None:
    assert read_errand(method, path) == errand


@pytest.mark.parametrize(
    ("body", "all_models"),
    [
        ({"model": "a"}, ("a",)),
        ({"model": "a", "models": ["b", "c"]}, ("a", "b", "c")),
        ('{"model": "a", "model": "b"}', ()),
        ('{"model": "a", "MODEL": "b"}', ()),
        ('{"model": "a", "mod\\u0065l": "b"}', ()),
        ({"model": "a", "models": "b"}, ()),
        ({"model": "a", "models": [1]}, ()),
        ({"model": ["a"]}, ()),
        ({}, ()),
        ("[]", ()),
        ("nonsense", ()),
        ('{"model": "a"}'.encode("utf-16"), ()),
        ({"model": "a", "messages": [{"model": "b"}]}, ("a",)),
        ("[" * 5000, ()),
    ],
)
def test_the_models_of_json(body: Any, all_models: tuple[str, ...]) -> None:
    raw = body if isinstance(body, bytes) else body if isinstance(body, str) else json.dumps(body)
    data = raw if isinstance(raw, bytes) else raw.encode()
    assert read_all_models(data, JSON) == all_models


def test_the_model_of_a_form() -> None:
    file = ("file", b'\r\n--b-2\r\nname="model"\r\n\r\nother\r\n' + bytes(range(256)))
    for parts in ([("model", b"openai/w"), file], [file, ("model", b"openai/w")]):
        body = form(*parts)
        assert read_model(body, FORM) == "openai/w"
        assert read_all_models(body, FORM) == ("openai/w",)
        assert join(rename_model(body, FORM, "w")) == body.replace(b"openai/w", b"w")


@pytest.mark.parametrize(
    "body",
    [
        form(("model", b"a"), ("model", b"b")),
        form(("model", b"a")) [:-9] + form(("MODEL", b"b")),
        form(("model", b"a"))[:-9] + form(("mo\\del", b"b")),
        form(("model", b"a"))[:-9] + form(("x", b"b"), name="form-data; name=model"),
        form(("model", b"a"))[:-9] + form(("x", b"b"), name="form-data; name*=utf-8''model"),
        form(("model", b"a"), ("file", b"x\n--b-1\ncontent-disposition: f; name=model\n\nb")),
        form(("model", b"a"))[:-9] + b"--b-1\r\nx: " + b"y" * 9000 + form(("model", b"b")),
        b"", b"--b-1", b"--b-1--\r\n", form(("file", b"x")),
    ],
)  # fmt: skip
def test_a_form_that_two_readers_may_take_differently(body: bytes) -> None:
    assert read_all_models(body, FORM) == ()


LAST = form(("model", b"b"))


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data; boundary=b-0; boundary=b-1",
        "multipart/form-data; boundary=b-1; boundary=b-0",
        "multipart/form-data; xboundary=b-1; boundary=b-0",
        "multipart/form-data; boundary*=utf-8''b-0; boundary=b-1",
        'multipart/form-data; boundary="b-1\\""',
        "multipart/form-data; boundary=b-1, multipart/form-data; boundary=b-0",
    ],
)
def test_a_form_of_two_boundaries_is_read_by_nobody(kind: str) -> None:
    assert read_all_models(form(("model", b"a")), kind) == ()


@pytest.mark.parametrize("kind", [FORM, "multipart/form-data; boundary=b-1", f" {FORM} "])
@pytest.mark.parametrize("end", [b"", b"\r\n", b"\r\n\r\n"])
def test_a_plain_form_is_read(kind: str, end: bytes) -> None:
    body = form(("model", b"a"), ("file", bytes(range(256)))).rstrip() + end
    assert read_all_models(body, kind) == ("a",)


@pytest.mark.parametrize(
    "body",
    [
        form(("model", b"a")) + LAST,
        form(("model", b"a"), ("file", b"x\r\n--b-1--y"))[:-9] + LAST,
        form(("model", b"a"), ("file", b"x\r\n--b-1 \r\n"))[:-9] + LAST,
        form(("model", b"a"), ("file", b"x--b-1\r\nname=model\r\n\r\nb")),
        b"--b-1\r\nname=model\r\n\r\nb\n" + form(("model", b"a")),
    ],
)
def test_where_a_form_ends_is_certain(body: bytes) -> None:
    assert read_all_models(body, FORM) == ()


@pytest.mark.parametrize(
    ("kind", "is_read"),
    [
        (JSON, True),
        ("", True),
        ("application/json; charset=utf-8", True),
        ('application/json;charset="UTF-8"', True),
        ("application/json; charset=utf-7", False),
        ("application/json; charset=utf-8; charset=utf-7", False),
    ],
)
def test_json_in_another_coding_is_read_by_nobody(kind: str, is_read: bool) -> None:
    assert read_all_models(b'{"model": "a", "+AG0-odel": "b"}', kind) == ("a",) * is_read


def test_only_the_model_is_written_anew() -> None:
    body = b'{"a": 1.50, "model":"openai/x" , "b": "\\u00e9", "c": [ ]}'
    renamed = join(rename_model(body, JSON, "x"))
    assert json.loads(renamed) == json.loads(body) | {"model": "x"}
    assert b"1.50" in renamed and b'"\\u00e9"' in renamed
    with pytest.raises(InvalidRequest):
        rename_model(b"[]", JSON, "x")


@given(body=st.binary(max_size=200), head=st.sampled_from([b"", b"--b-1\r\n", b"\r\n--b-1"]))
def test_nothing_breaks_it(body: bytes, head: bytes) -> None:
    for kind in (JSON, FORM, "multipart/form-data", ""):
        read_model(head + body, kind)
        read_all_models(head + body, kind)
    with suppress(InvalidRequest):
        join(rename_model(head + body, FORM, "x"))


def test_a_form_of_too_many_parts_is_not_read() -> None:
    parts = [(f"f{number}", b"") for number in range(998)]
    assert read_model(form(*parts, ("model", b"m")), FORM) == "m"
    parts += [("g", b"")] * 5
    assert read_model(form(*parts, ("model", b"m")), FORM) is None
    assert read_all_models(form(*parts, ("model", b"m")), FORM) == ()
    with pytest.raises(InvalidRequest):
        join(rename_model(form(*parts, ("model", b"m")), FORM, "n"))
