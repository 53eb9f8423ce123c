"""What refusals of Anthropic's Messages mean, and who is to blame."""

import json
from typing import Any

import pytest

from proxy.core.errors import Fault
from proxy.providers import anthropic, responses
from tests.unit.providers import replay
from tests.unit.providers.making_anthropic import TO, shipped

NOW = 1_792_567_680.0  # 2026-10-21T07:28:00Z


def fault(case: str) -> Fault:
    known = replay.load("anthropic", case)
    to = shipped("claude-haiku-4-5")
    return anthropic.read_fault(to, known.status, known.headers, known.body, NOW)


@pytest.mark.parametrize(
    ("case", "kind", "blame", "falls_over"),
    [
        ("error-400", "bad_request", "caller", False),
        ("error-400-context-length", "bad_request", "caller", True),
        ("error-400-max-tokens", "bad_request", "caller", True),
        ("error-400-signature", "bad_request", "caller", True),
        ("error-400-sampling", "bad_request", "caller", True),
        ("error-400-credit", "unauthorized", "provider", True),
        ("error-400-spend-limit", "unauthorized", "provider", True),
        ("error-401", "unauthorized", "provider", True),
        ("error-402", "unauthorized", "provider", True),
        ("error-403", "unauthorized", "caller", True),
        ("error-404", "not_found", "model", True),
        ("error-413", "too_large", "caller", True),
        ("error-429", "rate_limited", "provider", True),
        ("error-500", "unavailable", "model", True),
        ("error-503-text", "unavailable", "model", True),
        ("error-529", "unavailable", "model", True),
    ],
)
def test_each_refusal(case: str, kind: str, blame: str, falls_over: bool) -> None:
    found = fault(case)
    assert (found.kind, found.blame, found.falls_over) == (kind, blame, falls_over)


def test_a_rate_of_tokens_is_the_models_and_says_when_to_come_back() -> None:
    found = fault("error-429")
    assert (found.quota, found.retry_after) == ("model", 47)


def test_a_reset_is_a_date() -> None:
    headers = {
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": "2026-10-21T07:28:30Z",
    }
    body = b'{"type":"error","error":{"type":"rate_limit_error","message":"Slow down"}}'
    assert anthropic.read_fault(TO, 429, headers, body, NOW).retry_after == 30


def test_a_caller_of_the_same_dialect_gets_the_error_itself() -> None:
    body = replay.load("anthropic", "error-400-signature").body
    assert fault("error-400-signature").native == ("messages", body)


@pytest.mark.parametrize("secret", ["secret-of-the-proxy", "sk-ant-0123456789abcdefghij"])
def test_unless_it_holds_a_secret(secret: str) -> None:
    to = replay.target("anthropic", key="secret-of-the-proxy")
    error: Any = {"type": "authentication_error", "message": f"{secret} is no key"}
    body = json.dumps({"type": "error", "error": error}).encode()
    found = anthropic.read_fault(to, 401, {}, body)
    assert found.native is None
    assert secret not in found.message


@pytest.mark.parametrize(
    "body", [b"upstream connect error", b"<html></html>", b'"error"', b"", b'{"error"', b"[]"]
)
def test_what_is_none_of_its_errors_stays_here(body: bytes) -> None:
    assert anthropic.read_fault(TO, 503, {}, body).native is None


@pytest.mark.parametrize(
    "error",
    ['"No"', "null", "{}", '{"message":""}', '{"message":7}', '{"message":"No"},"x\xff":1', '"\0"'],
)
@pytest.mark.parametrize("adapter", [anthropic, responses])
def test_an_error_that_is_not_in_the_dialects_form_is_worded_anew(adapter: Any, error: str) -> None:
    body = f'{{"type":"error","error":{error}}}'.encode("latin-1")
    assert adapter.read_fault(TO, 400, {}, body).native is None


def test_an_error_of_messages_says_that_it_is_one() -> None:
    body = b'{"error":{"type":"invalid_request_error","message":"No"}}'
    assert anthropic.read_fault(TO, 400, {}, body).native is None
    body = body[:-1] + b',"type":"error"}'
    assert anthropic.read_fault(TO, 400, {}, body).native == ("messages", body)


@pytest.mark.parametrize("adapter", [anthropic, responses])
def test_a_long_error_is_worded_anew(adapter: Any) -> None:
    body = b'{"error":{"message":"No"},"echo":"' + b"x" * 5000 + b'"}'
    assert adapter.read_fault(TO, 400, {}, body).native is None
