"""What refusals mean: their statuses, their phrases, and when to come back."""

import json
import time
from typing import Any

import pytest

from proxy.core.errors import Fault, Outcome
from proxy.core.waits import LONGEST
from tests.unit.providers import replay
from tests.unit.providers.making_faults import NOW, TO, fault


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "bad_request"),
        (401, "unauthorized"),
        (402, "unauthorized"),
        (403, "unauthorized"),
        (404, "not_found"),
        (405, "unavailable"),
        (408, "timeout"),
        (413, "too_large"),
        (422, "bad_request"),
        (429, "rate_limited"),
        (500, "unavailable"),
        (503, "unavailable"),
        (529, "unavailable"),
    ],
)
def test_a_status_alone(status: int, kind: str) -> None:
    refusal = fault(status, b"")
    assert (refusal.kind, refusal.status, refusal.lacks) == (kind, status, False)


@pytest.mark.parametrize(
    ("status", "message", "kind", "lacks"),
    [
        (400, "API key expired. Please renew the API key.", "unauthorized", False),
        (400, "This model supports at most 16384 completion tokens", "bad_request", True),
        (400, "'tools' is not supported with this model", "bad_request", True),
        (400, "Invalid image", "bad_request", False),
        (404, "No endpoints found that support image input", "bad_request", True),
        (422, "No such model as this", "not_found", False),
        (500, "Context size has been exceeded.", "bad_request", True),
        (500, "That is not supported", "bad_request", True),
        (503, "That is not supported", "unavailable", False),
        (429, "Your context window is fine", "rate_limited", False),
    ],
)
def test_a_phrase_says_more_than_its_status(
    status: int, message: str, kind: str, lacks: bool
) -> None:
    refusal = fault(status, {"error": {"message": message}})
    assert (refusal.kind, refusal.lacks) == (kind, lacks)


@pytest.mark.parametrize(
    "error",
    [
        {
            "object": "error",
            "message": "Invalid model: small-9",
            "type": "invalid_model",
            "param": None,
            "code": "1500",
        },
        {
            "error": {
                "message": "Invalid model 'x'. See the documentation.",
                "type": "invalid_model",
            }
        },
        {"error": {"message": "invalid model ID", "type": "invalid_request_error"}},
        {"error": {"message": "Model Not Exist", "type": "invalid_request_error"}},
        {
            "error": {
                "message": "The supported API model names are a or b, but you passed c.",
                "code": "invalid_request_error",
            }
        },
        {"error": {"message": "vendor/x is not a valid model ID", "code": 400}},
        {
            "error": {
                "message": "The requested model 'x' is not supported by any provider you enabled.",
                "code": "model_not_supported",
                "param": "model",
            }
        },
        {"error": "Model x does not exist"},
        {"error": "Model 'x' doesn't exist"},
        {"error": 'The model "x" could not be found'},
        {"error": "Model x can't be found"},
        {"error": "models/x is not found for API version v1"},
        {"error": "Unrecognized model: x"},
        {"error": "Model x is not recognized"},
        {"error": "Model x isn't available"},
        {"error": "Model x is unavailable"},
        {"error": "Model x is not supported"},
        {"error": "The requested model is not supported."},
        {"error": "The model ID x is invalid"},
        {"error": {"message": "x", "code": "unknown_model"}},
        {"error": {"message": "x", "code": "ModelNotFound"}},
        {
            "error": {
                "message": "The requested model 'x' does not exist.",
                "code": "model_not_found",
            }
        },
        {"error": {"message": "`x` has been decommissioned", "code": "model_decommissioned"}},
        {"error": {"message": "model 'x' not found"}},
        {"error": {"message": "Unsupported model: x"}},
        {"error": {"message": "'x' is not a supported model"}},
        {"error": {"message": "There is no model named x"}},
        {"error": {"message": "Could not find model x"}},
        {"error": {"message": "The requested model is not available"}},
        {"error": {"message": "Model x is no longer available"}},
        {"error": {"message": "The model x has been deprecated"}},
        {"error": {"message": "Unknown Model, please check the model code."}},
        {"message": "The provided model identifier is invalid."},
    ],
)
@pytest.mark.parametrize("status", [400, 404, 422])
def test_a_model_that_is_not_there(error: dict[str, Any], status: int) -> None:
    refusal = fault(status, error)
    assert (refusal.kind, refusal.status, refusal.falls_over) == ("not_found", status, True)
    if status != 404:
        assert refusal.code == "model_not_found"


def test_a_400_about_the_models_field_falls_over() -> None:
    refusal = fault(400, {"error": {"message": "No.", "param": "model", "code": "invalid_value"}})
    assert (refusal.kind, refusal.falls_over, refusal.blame) == ("bad_request", True, "caller")


@pytest.mark.parametrize(
    "message", ["Model 'x' not found", "The model `x` does not exist", "No such model"]
)
def test_a_listed_model_that_a_400_calls_unknown_is_left_alone(message: str) -> None:
    assert fault(400, {"error": {"message": message}}).outcome == Outcome("not_found", "model")


@pytest.mark.parametrize(
    "message",
    [
        "The model parameter 'functions' has been deprecated",
        "Tool 'model' does not exist",
        "tool_choice: no such function as invalid model",
    ],
)
def test_words_about_models_that_stand_elsewhere_close_none(message: str) -> None:
    assert fault(400, {"error": {"message": message}}).blame == "caller"


@pytest.mark.parametrize(
    "message",
    [
        "Invalid model parameter: top_k",
        "Unknown model_kwargs: watermark",
        "Invalid type for 'model': expected a string",
        "The model made an invalid call",
    ],
)
def test_words_about_a_model_that_is_there(message: str) -> None:
    assert fault(400, {"error": {"message": message}}).kind == "bad_request"


def test_the_phrases_are_looked_for_in_linear_time() -> None:
    began = time.perf_counter()
    for word in ("model ", "model: ", "no such ", "invalid model"):
        fault(400, {"error": {"message": word * 5_000}})
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        ({"code": 429, "message": "x"}, "rate_limited", 429),
        ({"status_code": 400, "message": "x"}, "bad_request", 400),
        ({"code": "rate_limit_exceeded", "message": "x"}, "rate_limited", None),
        ({"type": "invalid_request_error", "message": "x"}, "bad_request", None),
        ({"type": "authentication_error", "message": "x"}, "unauthorized", None),
        ({"code": "model_not_found", "message": "x"}, "not_found", None),
        ({"type": "invalid_model", "message": "x"}, "not_found", None),
        ({"type": "timeout", "message": "x"}, "timeout", None),
        ({"type": "overloaded_error", "message": "x"}, "unavailable", None),
        ({"message": "x"}, "unavailable", None),
    ],
)
def test_an_error_under_status_200(error: dict[str, Any], kind: str, status: int | None) -> None:
    with pytest.raises(Fault) as raised:
        replay.adapter("openai").read_answer(TO, json.dumps({"error": error}).encode())
    assert (raised.value.kind, raised.value.status) == (kind, status)


OPENROUTER = {
    "X-RateLimit-Limit": "50",
    "X-RateLimit-Remaining": "0",
    "X-RateLimit-Reset": f"{NOW * 1000 + 7000:.0f}",
}


@pytest.mark.parametrize(
    ("status", "headers", "body", "seconds"),
    [
        (429, {"retry-after": "7"}, {}, 7.0),
        (429, {"retry-after": "6.5"}, {}, 6.5),
        (429, {"retry-after": "7", "retry-after-ms": "120"}, {}, 0.12),
        (503, {"retry-after": "2"}, {}, 2.0),
        (429, {"retry-after": "Wed, 21 Oct 2026 07:28:07 GMT"}, {}, 7.0),
        (503, {"retry-after": "Wednesday, 21-Oct-26 07:28:07 GMT"}, {}, 7.0),
        (429, {"retry-after": "Wed Oct 21 07:28:07 2026"}, {}, 7.0),
        (429, {"retry-after": "2026-10-21T07:28:07Z"}, {}, 7.0),
        (429, {"retry-after": "Wed, 21 Oct 2026 07:27:00 GMT"}, {}, 0.0),
        (429, {"retry-after": "1e999"}, {}, None),
        (429, {"retry-after": "9" * 31}, {}, LONGEST),
        (429, {}, {"error": {"metadata": {"headers": OPENROUTER}}}, 7.0),
        (429, {k.lower(): v for k, v in OPENROUTER.items()}, {}, 7.0),
        (429, {"retry-after": "3"}, {"error": {"metadata": {"headers": OPENROUTER}}}, 3.0),
        (429, {"retry-after": "-1"}, {}, None),
        (429, {"retry-after": "nan"}, {}, None),
        (400, {"retry-after": "7"}, {}, None),
        (503, {}, {"error": "loading", "estimated_time": 20.5}, 20.5),
        (429, {}, {"error": {"details": [{"retryDelay": "48s"}, "?"]}}, 48.0),
        (429, {}, {"error": {"details": [{"retryDelay": "0.25s"}]}}, 0.25),
        (429, {}, {"error": {"details": "none"}}, None),
        (429, {"retry-after": "7"}, {"error": {"code": "insufficient_quota"}}, None),
    ],
)
def test_when_to_come_back(
    status: int, headers: dict[str, str], body: Any, seconds: float | None
) -> None:
    assert fault(status, body, headers).retry_after == seconds


@pytest.mark.parametrize(
    ("status", "left", "reset", "seconds"),
    [
        (429, "0", "6m0s", 360.0),
        (429, "0", "12ms", 0.012),
        (429, "0", "1h2m3.5s", 3723.5),
        (429, "0", "8.5", 8.5),
        (429, "0", "soon", None),
        (429, "9", "6m0s", None),
        (429, None, "6m0s", None),
        (503, "0", "6m0s", None),
    ],
)
def test_when_a_limit_is_renewed(
    status: int, left: str | None, reset: str, seconds: float | None
) -> None:
    headers = {"x-ratelimit-reset-tokens": reset}
    headers |= {"x-ratelimit-remaining-tokens": left} if left else {}
    assert fault(status, {}, headers).retry_after == seconds


def test_the_last_limit_to_be_renewed_counts() -> None:
    headers = {
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "2s",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "9s",
    }
    assert fault(429, {}, headers).retry_after == 9.0
