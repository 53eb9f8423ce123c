"""What refusals mean: their forms, their phrases, when to come back, and that no key is told."""

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import structs

from proxy.core.errors import Fault, Outcome
from proxy.core.waits import LONGEST
from proxy.providers import blame, faults, garbage
from tests.unit.providers import replay

TO = replay.target("openai")
PAGE = "The provider answered with an HTML page:"
WORDS = (
    "error errors message code type param metadata raw details status estimated_time"
    " internalCode detail"
)
NOW = 1_792_567_680.0  # 2026-10-21T07:28:00Z
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(WORDS.split()), inner),
)


def fault(status: int, body: Any, headers: dict[str, str] | None = None) -> Fault:
    told = body if isinstance(body, bytes) else json.dumps(body).encode()
    return replay.adapter("openai").read_fault(TO, status, headers or {}, told, NOW)


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
    told = fault(status, b"")
    assert (told.kind, told.status, told.lacks) == (kind, status, False)


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
    told = fault(status, {"error": {"message": message}})
    assert (told.kind, told.lacks) == (kind, lacks)


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
    told = fault(status, error)
    assert (told.kind, told.status, told.falls_over) == ("not_found", status, True)
    if status != 404:
        assert told.code == "model_not_found"


def test_a_400_about_the_models_field_falls_over() -> None:
    told = fault(400, {"error": {"message": "No.", "param": "model", "code": "invalid_value"}})
    assert (told.kind, told.falls_over, told.blame) == ("bad_request", True, "caller")


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
    told = fault(400, {"error": {"message": message}})
    assert (told.kind, told.blame) == ("unauthorized", "provider")


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
    told = fault(429, {"error": {"message": message}})
    assert (told.kind, told.quota) == ("rate_limited", "model")


@pytest.mark.parametrize("status", [403, 404])
def test_a_model_that_the_catalogue_does_not_list_is_the_callers_choice(status: int) -> None:
    target = structs.replace(TO, listed=False)
    body = json.dumps({"error": {"message": "No access to model `tpyo`"}}).encode()
    told = replay.adapter("openai").read_fault(target, status, {}, body)
    assert (told.blame, told.kind) == ("caller", "unauthorized" if status == 403 else "not_found")


def test_a_permission_under_status_200_is_read_as_a_403() -> None:
    body = {"error": {"type": "permission_error", "message": "No access to this model"}}
    with pytest.raises(Fault) as raised:
        replay.adapter("openai").read_answer(TO, json.dumps(body).encode())
    assert raised.value.outcome == Outcome("unauthorized", "model")


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
    told = fault(429, {"error": error})
    assert (told.kind, told.quota) == ("rate_limited", quota)


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


def test_no_key_is_told() -> None:
    key = replay.KEY
    told = fault(401, {"error": {"message": f"Key {key} is wrong", "code": key, "param": key}})
    assert (told.message, told.code, told.param) == ("Key *** is wrong", "***", "***")
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
    told = replay.adapter("openai").read_fault(to, 401, {}, json.dumps(body).encode())
    assert (told.message, told.code) == ("***, *** and *** are wrong", "***")


HUGE = 3_000_000
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
    began = time.perf_counter()
    for status in (400, 403, 404, 422, 429, 500):
        for body in bodies:
            told = replay.adapter(provider).read_fault(replay.target(provider), status, {}, body)
            assert len(told.message) <= 500
            assert len(told.code or "") <= 200
            assert len(told.param or "") <= 200
    assert time.perf_counter() - began < 5  # quadratic ones take minutes


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
    told = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"retry-after": header, "x-ratelimit-reset-a": header, "x-ratelimit-remaining-a": "0"}
    for provider in ("openai", "gemini", "workers-ai"):
        read = replay.adapter(provider).read_fault(replay.target(provider), status, headers, told)
        assert isinstance(read, Fault)
        assert read.message
        assert len(read.message) <= 500
        assert read.retry_after is None or 0 <= read.retry_after < float("inf")
