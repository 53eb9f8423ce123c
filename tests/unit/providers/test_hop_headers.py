"""Which headers go on, and which end here."""

import pytest

from proxy.core.errors import InvalidRequest
from proxy.providers.hop_headers import check_request, pass_answer, pass_request
from proxy.providers.specs import Endpoint, Model, ProviderSpec
from proxy.providers.target import Target


def target(header: str = "authorization", **headers: str) -> Target:
    endpoint = Endpoint(key_header=header, headers=headers)  # type: ignore[arg-type]
    return Target(
        spec=ProviderSpec(name="p", endpoints={"chat": endpoint}),
        model=Model(provider="p", id="m"),
        base_url="https://p.example/v1",
        wire="chat",
        key="the-providers",
    )


@pytest.mark.parametrize("header", ["authorization", "x-api-key", "x-goog-api-key"])
def test_the_providers_key_is_the_only_one(header: str) -> None:
    keys = ("authorization", "x-api-key", "api-key", "x-goog-api-key")
    passed = pass_request(dict.fromkeys(keys, "the-callers"), target(header))
    value = "Bearer the-providers" if header == "authorization" else "the-providers"
    assert passed == {header: value}


def test_what_is_of_the_connection_or_the_proxy_ends_here() -> None:
    ends = {
        "host": "h", "connection": "close, X-Hop", "x-hop": "1", "te": "trailers",
        "content-length": "3", "transfer-encoding": "chunked", "cookie": "a=b",
        "cf-connecting-ip": "1", "cf-aig-metadata": "{}", "x-forwarded-for": "1", "x-real-ip": "1",
        "x-proxy-explain": "1", "origin": "https://a.example", "sec-fetch-mode": "cors",
        "accept-encoding": "zstd", "openai-organization": "org-other",
        "x-http-method-override": "DELETE", "x-original-url": "/v1/files", "x-rewrite-url": "/",
    }  # fmt: skip
    goes = {
        "content-type": "application/json", "openai-beta": "assistants=v2", "user-agent": "x/1",
        "x-stainless-lang": "python", "idempotency-key": "k", "range": "bytes=0-1",
    }  # fmt: skip
    passed = pass_request(ends | goes, target())
    own = {"authorization": "Bearer the-providers", "accept-encoding": "identity"}
    assert passed == goes | own


def test_the_callers_version_comes_before_the_catalogues() -> None:
    defaults = {"anthropic-version": "2023-06-01", "x-title": "t"}
    sent = {"anthropic-version": "2027-01-01"}
    passed = pass_request(sent, target("x-api-key", **defaults))
    assert passed["anthropic-version"] == "2027-01-01"
    assert passed["x-title"] == "t"


def test_an_answers_headers() -> None:
    headers = {
        "content-type": "audio/mpeg", "content-length": "9", "x-ratelimit-remaining": "4",
        "set-cookie": "a=b", "connection": "close", "access-control-allow-origin": "*",
        "alt-svc": "h3", "strict-transport-security": "max-age=1", "clear-site-data": "*",
        "content-security-policy": "default-src *", "x-request-id": "req_1", "odd": "é",
        "long": "x" * 5000, "service-worker-allowed": "/", "refresh": "0;url=//a.example",
        "openai-organization": "org-operator", "anthropic-organization-id": "o-1",
    }  # fmt: skip
    passed, length = pass_answer(headers)
    assert length == 9
    assert passed == {
        "content-type": "audio/mpeg",
        "x-ratelimit-remaining": "4",
        "x-request-id": "req_1",
        "x-proxy-provider-request-id": "req_1",
        "content-security-policy": "sandbox",
    }


def test_no_header_repeats_the_providers_key() -> None:
    passed, _ = pass_answer({"x-echo": "Bearer the-key.", "location": "/a?key=the-key"}, "the-key")
    assert (passed["x-echo"], passed["location"]) == ("Bearer ***.", "/a?key=***")


@pytest.mark.parametrize(
    ("coding", "kept", "length"), [("gzip", False, None), (" BR ", False, None), ("zstd", True, 9)]
)
def test_a_coding_that_the_platform_takes_off_is_not_claimed(
    coding: str, kept: bool, length: int | None
) -> None:
    passed, known = pass_answer({"content-encoding": coding, "content-length": "9"})
    assert ("content-encoding" in passed, known) == (kept, length)


@pytest.mark.parametrize("value", ["é", "a\x00b", "\ufffd", "a\tb", "x" * 4097])
def test_a_value_that_not_every_server_takes_is_refused(value: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_request({"x-odd": value})
    assert refused.value.param == "x-odd"
    for ends in ("cookie", "x-forwarded-for", "authorization"):
        check_request({ends: value})


def test_more_headers_than_every_server_takes_are_refused() -> None:
    with pytest.raises(InvalidRequest):
        check_request({f"h{i}": "x" * 4000 for i in range(4)})
    with pytest.raises(InvalidRequest):
        check_request({f"h{i}": "" for i in range(5000)})


def test_headers_leave_room_for_the_proxys_own() -> None:
    passed, _ = pass_answer({f"h{i}": "x" * 4000 for i in range(9)})
    assert sum(map(len, passed.values())) < 12_100
    assert sum(map(len, pass_answer({f"h{i}": "" for i in range(9000)})[0])) < 12_100
