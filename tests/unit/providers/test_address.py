"""No path leads out of a provider's base, whatever it is, and each leads where its SDK means."""

import posixpath
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.core.chat import Wire
from proxy.core.errors import InvalidRequest
from proxy.providers.address import build_url, check_path, drop_key, place, strip_version
from tests.unit.doubles import parse_url

OPENAI = "https://api.openai.com/v1"
GOOGLE = "https://generativelanguage.googleapis.com/v1beta"
HOST = "https://generativelanguage.googleapis.com"


@pytest.mark.parametrize(
    ("wire", "base", "path", "versioned", "url"),
    [
        ("chat", OPENAI, "chat/completions", False, f"{OPENAI}/chat/completions"),
        ("chat", OPENAI, "v1/chat/completions", False, f"{OPENAI}/chat/completions"),
        ("chat", f"{OPENAI}/", "v1/files/a/content", True, f"{OPENAI}/files/a/content"),
        ("chat", "https://own.example/x", "v1/models", True, "https://own.example/x/models"),
        ("chat", "https://api.deepseek.com", "v1/models", False, "https://api.deepseek.com/v1/models"),
        ("chat", OPENAI, "v2/models", True, f"{OPENAI}/v2/models"),
        ("gemini", GOOGLE, "v1beta/models/m:act", False, f"{GOOGLE}/models/m:act"),
        ("gemini", GOOGLE, "models", False, f"{GOOGLE}/models"),
        ("gemini", GOOGLE, "v1/models", False, f"{HOST}/v1/models"),
        ("gemini", GOOGLE, "v1alpha/models", False, f"{HOST}/v1alpha/models"),
        ("gemini", GOOGLE, "upload/v1beta/files", False, f"{HOST}/upload/v1beta/files"),
        ("gemini", GOOGLE, "internal/x", False, f"{GOOGLE}/internal/x"),
        ("gemini", "https://own.example/g", "v1beta/models", False, "https://own.example/g/models"),
    ],
)  # fmt: skip
def test_where_a_path_lies(wire: Wire, base: str, path: str, versioned: bool, url: str) -> None:
    assert build_url(place(wire, base, path, versioned=versioned), "", parse_url) == url


HOSTILE = st.lists(
    st.sampled_from([
        "..", ".", "%2e", "%2E%2e", "%252e%252e", "/", "//", "\\", "%2f", "%5C", "%255c", "@", ":",
        "evil.example", "http:", "#", "%23", "?", "%3f", "%00", "\t", "%0a", " ", ";", "a", "v1",
        "v1beta", "upload", "models", "%c0%ae", "é", "%E3%80%82", "..;x", "[::1]", "user:pw@h",
    ]),
    max_size=9,
).map("".join)  # fmt: skip
"""Paths of what leads elsewhere somewhere."""


def clear_up(path: str) -> str:
    """A path as the least careful server would read it: all codings off, and its dots resolved."""
    for _ in range(8):
        path = unquote(path, errors="replace")
    path = path.replace("\\", "/")
    return posixpath.normpath("/".join(part.partition(";")[0] for part in path.split("/")))


@given(path=HOSTILE | st.text(max_size=30), query=HOSTILE, versioned=st.booleans())
@example(path="..%2f..", query="", versioned=False)
@example(path="v1beta/../upload/v1/x", query="a#b", versioned=False)
@pytest.mark.parametrize(("wire", "base"), [("chat", OPENAI), ("gemini", GOOGLE)])
def test_nothing_leads_out_of_the_base(
    wire: Wire, base: str, path: str, query: str, versioned: bool
) -> None:
    where = place(wire, base, path, versioned=versioned)
    try:
        url = build_url(where, query, parse_url)
    except InvalidRequest:
        return
    parts, own = urlsplit(url), urlsplit(base)
    assert (parts.scheme, parts.netloc, parts.fragment) == (own.scheme, own.netloc, "")
    root = urlsplit(where.root).path
    allowed = ("/v1", "/upload/v", "/download/v") if wire == "gemini" else (own.path,)
    assert root.startswith(allowed)
    assert f"{clear_up(parts.path)}/".startswith(f"{root}/")


@pytest.mark.parametrize(
    "path", ["a/b", "a/", "files/%C3%A9", "ft:gpt-4o:acme::id", "a%20b", "..."]
)
def test_a_path_that_says_what_it_means(path: str) -> None:
    if path == "a%20b":
        with pytest.raises(InvalidRequest):
            check_path(path)
    else:
        check_path(path)


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("", ""),
        ("a=1&b=2", "a=1&b=2"),
        ("key=secret", ""),
        ("a=1&key=secret&alt=sse&key", "a=1&alt=sse"),
        ("k%65y=secret&keys=2&Key=3", "keys=2&Key=3"),
        ("proxy_ticket=x&upload_id=u", "upload_id=u"),
        ("a=key", "a=key"),
    ],
)
def test_the_callers_key_leaves_the_query(query: str, left: str) -> None:
    assert drop_key(query) == left


@pytest.mark.parametrize("path", ["v" + "1" * 200_000 + "x", "upload/v1beta" + "1" * 200_000 + "x"])
def test_a_long_version_keeps_nobody_waiting(path: str) -> None:
    """Where digits may stand before and behind a word that is not there, all ways are tried."""
    assert strip_version(path) == path
    base = "https://g.example/v1beta"
    assert place("gemini", base, path, versioned=True).tail == path
