"""Errors of OpenAI's Responses."""

import json
from typing import Any

import pytest

from proxy.core.errors import (
    AuthenticationFailed,
    BudgetExceeded,
    Cause,
    InternalError,
    InvalidRequest,
    NoProviderAvailable,
    NotFound,
    PayloadTooLarge,
    PermissionDenied,
    ProviderError,
    ProviderTimeout,
    ProxyError,
    RateLimitExceeded,
    Unavailable,
)
from proxy.dialects import responses
from proxy.dialects.responses_error import TOO_LONG, describe_failure
from proxy.dialects.responses_references import item_not_found, response_not_found

PROVIDER = Cause(source="provider")


def rendered(error: ProxyError) -> tuple[int, Any]:
    body = json.loads(responses.error(error, "req_1", 0))
    return responses.status(error), body["error"]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (InvalidRequest("x", param="input"), 400, None),
        (AuthenticationFailed("x"), 401, "invalid_api_key"),
        (BudgetExceeded("x"), 402, "insufficient_quota"),
        (PermissionDenied("x"), 403, "permission_denied"),
        (NotFound("x"), 404, "not_found"),
        (PayloadTooLarge("x"), 413, "payload_too_large"),
        (RateLimitExceeded("x"), 429, "rate_limit_exceeded"),
        (InternalError("x"), 500, "internal_error"),
        (ProviderError("x"), 502, "provider_error"),
        (ProviderTimeout("x"), 504, "provider_timeout"),
    ],
)
def test_errors_have_openais_envelope(error: ProxyError, status: int, code: str | None) -> None:
    found, fields = rendered(error)
    assert (found, fields["code"], fields["message"]) == (status, code, "x")
    assert {"type", "param", "source", "request_id"} <= fields.keys()


@pytest.mark.parametrize(
    "error",
    [
        NotFound("No such model.", param="model", code="model_not_found"),
        NotFound("No such model.", cause=PROVIDER),
    ],
)
def test_a_model_that_is_not_there(error: ProxyError) -> None:
    status, fields = rendered(error)
    assert status == 400
    assert (fields["code"], fields["param"]) == ("model_not_found", "model")


def test_an_input_that_is_too_long() -> None:
    error = InvalidRequest("9 tokens are too many.", code="context_length_exceeded")
    status, fields = rendered(error)
    assert status == 400
    assert fields["message"] == f"{TOO_LONG} (9 tokens are too many.)"
    assert (fields["code"], fields["param"]) == ("context_length_exceeded", "input")
    _, fields = rendered(InvalidRequest(TOO_LONG, code="context_length_exceeded"))
    assert fields["message"] == TOO_LONG


def test_references_to_what_is_not_kept() -> None:
    status, fields = rendered(response_not_found("resp_1"))
    assert status == 400
    assert fields["message"] == "Previous response with id 'resp_1' not found."
    assert fields["code"] == "previous_response_not_found"
    status, fields = rendered(item_not_found("rs_1"))
    assert status == 404
    assert "Items are not persisted when `store` is set to false." in fields["message"]


def test_a_providers_own_error_is_left_as_it_is() -> None:
    body = b'{"error":  {"message": "odd"}}'
    native = Cause(source="provider", status=404, native=("responses", body))
    error = NotFound("odd", cause=native)
    assert responses.error(error, "req_1", 0) == body
    assert responses.status(error) == 404
    other = NotFound("odd", cause=Cause(source="provider", native=("messages", body)))
    assert responses.status(other) == 400


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidRequest("x", code="context_length_exceeded"), "context_length_exceeded"),
        (InvalidRequest("x", code="content_filter"), "invalid_prompt"),
        (InvalidRequest("x"), "invalid_prompt"),
        (BudgetExceeded("x"), "insufficient_quota"),
        (RateLimitExceeded("x", code="insufficient_quota"), "insufficient_quota"),
        (RateLimitExceeded("x"), "rate_limit_exceeded"),
        (ProviderError("x", code="overloaded_error"), "server_is_overloaded"),
        (NoProviderAvailable("x"), "server_is_overloaded"),
        (Unavailable("x", code="overloaded"), "server_is_overloaded"),
        (ProviderError("x", code="server_error"), "server_error"),
        (ProviderTimeout("x"), "server_error"),
        (InternalError("x"), "server_error"),
    ],
)
def test_failures_have_codes_that_agents_know(error: ProxyError, code: str) -> None:
    assert describe_failure(error)["code"] == code


@pytest.mark.parametrize(
    ("message", "wait", "expected"),
    [
        ("Slow down.", 12.2, "Slow down. Please try again in 13s."),
        ("Slow down", 7200, "Slow down. Please try again in 7200s."),
        ("Please try again in 1.5s.", 2, "Please try again in 1.5s."),
        ("Slow down.", None, "Slow down."),
    ],
)
def test_a_limit_says_how_long_to_wait(message: str, wait: float | None, expected: str) -> None:
    failure = describe_failure(RateLimitExceeded(message, retry_after=wait))
    assert failure["message"] == expected
