"""Who caused a refusal, and whose quota is used up."""

import json
from typing import Any

import pytest
from msgspec import structs

from proxy.core.errors import Fault, Outcome
from tests.unit.providers import replay
from tests.unit.providers.making_faults import TO, fault


@pytest.mark.parametrize(
    ("status", "error", "caused"),
    [
        # A key or an account, by the status or by words for it.
        (401, {"message": "x"}, "provider"),
        (402, {"message": "Insufficient Balance"}, "provider"),
        (400, {"message": "API key not valid. Please pass a valid API key."}, "provider"),
        (403, {"message": "Your API key was reported as leaked."}, "provider"),
        (403, {"message": "The caller does not have permission"}, "provider"),
        (403, {"message": "Permission denied: Consumer has been suspended."}, "provider"),
        (403, {"message": "This API method requires billing to be enabled."}, "provider"),
        (403, {"message": "Key limit exceeded (total limit)."}, "provider"),
        (403, {"message": "Missing scopes: model.request. Check your key."}, "provider"),
        (403, {"message": "x", "type": "authentication_error"}, "provider"),
        (403, {"message": "Country, region, or territory not supported"}, "provider"),
        (403, {"message": "Not available in your region."}, "provider"),
        # The model.
        (403, {"message": "Project `p` does not have access to model `m`"}, "model"),
        (403, {"message": "x", "code": "model_not_found"}, "model"),
        (403, {"message": "You are not allowed to sample from this model."}, "model"),
        (403, {"message": "The model `m` is blocked at the project level"}, "model"),
        (403, {"message": "Your API key has no access to test-model"}, "model"),
        (403, {"message": "Access denied", "param": "model"}, "model"),
        (403, {"message": "This model is not available in your country."}, "model"),
        (404, {"message": "The model `m` does not exist"}, "model"),
        (404, {"message": "File Not Found"}, "model"),
        (401, {"message": "x", "metadata": {"raw": "Unauthorized"}}, "model"),
        (503, {"message": "x"}, "model"),
        # The request.
        (403, {"message": "x"}, "caller"),
        (403, {"message": "Forbidden"}, "caller"),
        (403, {"message": "Your prompt was flagged"}, "caller"),
        (403, {"message": "CachedContent not found (or permission denied)"}, "caller"),
        (403, {"message": "You do not have permission to access the File abc"}, "caller"),
        (404, {"message": "Previous response with id 'resp_1' not found."}, "caller"),
        (402, {"message": "Requires more credits, or fewer max_tokens."}, "caller"),
        (402, {"message": "Prompt tokens limit exceeded: 8210 > 5926. To increase, pay"}, "caller"),
        (403, {"message": "Organization not verified", "param": "reasoning.summary"}, "caller"),
        (403, {"message": "Web search is off", "type": "permission_error"}, "caller"),
        (424, {"message": "Error retrieving tool list from MCP server: 'x'. 401"}, "caller"),
        (424, {"message": "Request failed during generation"}, "model"),
        (400, {"message": "x"}, "caller"),
        (413, {"message": "x"}, "caller"),
        (431, {"message": "x"}, "caller"),
    ],
)
def test_who_caused_a_refusal(status: int, error: dict[str, Any], caused: str) -> None:
    assert fault(status, {"error": error}).blame == caused


@pytest.mark.parametrize(
    "message",
    [
        "API key not valid. Please pass a valid API key.",
        "API key expired. Please renew the API key.",
        "Invalid API key",
        "Incorrect API key provided: sk-***. You can find yours at x.",
        "Your API key has been revoked",
        "Missing or invalid API key.",
        "User location is not supported for the API use.",
        "User location is not supported for the API use without a billing account linked.",
        "Gemini API free tier is not available in your country. Please enable billing.",
    ],
)
def test_a_400_that_refuses_the_key(message: str) -> None:
    refusal = fault(400, {"error": {"message": message}})
    assert (refusal.kind, refusal.blame) == ("unauthorized", "provider")


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "Bad value 'API key not valid'"),
        (400, "Cannot use this: API key not valid."),
        (400, "Nothing is called API key not valid"),
        (400, "Wrong: your country is not supported"),
        (400, "Wrong: invalid model"),
        (422, "Nothing is called invalid model"),
        (403, "Denied for 'your account'"),
        (403, "Denied: tell me which account"),
        (403, "Denied `this model`"),
        (403, "The tool of your account is not allowed"),
    ],
)
def test_what_a_message_may_repeat_decides_against_nobody_else(status: int, message: str) -> None:
    assert fault(status, {"error": {"message": message}}).blame == "caller"


@pytest.mark.parametrize(
    "message",
    [
        "Slow down: free-models-per-day",
        "Slow down, 'your account'",
        "Slow down: your account",
        "Slow down: you have used up your daily free allocation",
        "Slow down: insufficient_quota",
        "Slow down: request too large",
    ],
)
def test_what_a_429_may_repeat_closes_no_account(message: str) -> None:
    refusal = fault(429, {"error": {"message": message}})
    assert (refusal.kind, refusal.quota) == ("rate_limited", "model")


@pytest.mark.parametrize("status", [403, 404])
def test_a_model_that_the_catalogue_does_not_list_is_the_callers_choice(status: int) -> None:
    target = structs.replace(TO, listed=False)
    body = json.dumps({"error": {"message": "No access to model `tpyo`"}}).encode()
    refusal = replay.adapter("openai").read_fault(target, status, {}, body)
    assert (refusal.blame, refusal.kind) == (
        "caller",
        "unauthorized" if status == 403 else "not_found",
    )


def test_a_permission_under_status_200_is_read_as_a_403() -> None:
    body = {"error": {"type": "permission_error", "message": "No access to this model"}}
    with pytest.raises(Fault) as raised:
        replay.adapter("openai").read_answer(TO, json.dumps(body).encode())
    assert raised.value.outcome == Outcome("unauthorized", "model")


def google(*quotas: str) -> dict[str, Any]:
    violations = [{"quotaId": quota, "quotaMetric": "m"} for quota in quotas]
    message = "You exceeded your current quota, please check your plan and billing details."
    details = [{"violations": violations}, {"retryDelay": "48s"}]
    return {"message": message, "status": "RESOURCE_EXHAUSTED", "details": details}


DAY, EACH = "GenerateRequestsPerDayPerProject", "PerModel-FreeTier"


ORG = "organization `org-1` service tier `on_demand`"


@pytest.mark.parametrize(
    ("error", "quota"),
    [
        ({"message": ""}, "model"),
        ({"message": f"Rate limit reached for model `model-1` in {ORG}"}, "model"),
        ({"message": "Rate limit reached for model-1 in your organization"}, "model"),
        (
            {"message": "the rate limit for your organization of 50,000 input tokens per minute"},
            "model",
        ),
        ({"message": "Your current concurrency exceeds your concurrency limit of 39"}, "model"),
        ({"code": "1300", "message": "Rate limit exceeded"}, "model"),
        ({"message": "Rate limit reached for your organization on requests per day"}, "account"),
        ({"message": "The rate limit of this API key is reached"}, "account"),
        ({"message": "Account-wide limit across all models"}, "account"),
        ({"message": "Rate limit reached. Please log in or use a HF access token"}, "account"),
        ({"code": "insufficient_quota", "message": "for model-1"}, "exhausted"),
        ({"message": "you have used up your daily free allocation of 10,000"}, "exhausted"),
        ({"code": 429, "message": "Rate limit exceeded: free-models-per-day. Add"}, "free_models"),
        ({"code": 429, "message": "Rate limit exceeded: free-models-per-min."}, "free_models"),
        (google(DAY + EACH), "model"),
        (google(DAY + EACH, DAY), "account"),
        (google(DAY), "account"),
        (google(), "model"),
        (  # what a vendor behind OpenRouter says is about OpenRouter's account there
            {"message": "x", "metadata": {"raw": '{"error": {"code": "insufficient_quota"}}'}},
            "model",
        ),
    ],
)
def test_whose_quota_is_used_up(error: dict[str, Any], quota: str) -> None:
    refusal = fault(429, {"error": error})
    assert (refusal.kind, refusal.quota) == ("rate_limited", quota)


@pytest.mark.parametrize("code", ["3036", "4006"])
def test_a_days_allocation_is_the_accounts(code: str) -> None:
    to = replay.target("workers-ai")
    body = f"{code}: Used up".encode()
    assert replay.adapter("workers-ai").read_fault(to, 429, {}, body).quota == "exhausted"
    assert replay.adapter("workers-ai").read_fault(to, 429, {}, b"3040: Full").quota == "model"


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("on tokens per min (TPM): Limit 6000, Used 5950, Requested 709.", "rate_limited"),
        ("on tokens per min (TPM): Limit 6000, Requested 6001.", "too_large"),
        ("Limit: 30,000 / min. Current: 1 / min. Requested: 40,000", "too_large"),
        ("Request too large for gpt-4o", "too_large"),
    ],
)
def test_a_request_that_exceeds_the_limit_alone_is_no_rate_limit(message: str, kind: str) -> None:
    assert fault(429, {"error": {"message": message}}).kind == kind
