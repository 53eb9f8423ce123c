"""Whatever Mallory says is no matter of Ann's."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.access.authenticator import format_secret
from tests.unit.doubles import in_no_time
from tests.unit.serving.making import NATIVE, OPENAI
from tests.unit.serving.neighbours import Street


@in_no_time
async def test_wrong_keys_from_anns_address() -> None:
    street = Street()
    for number in range(100):
        wrong = format_secret("development", f"{number:02x}" * 32)
        await street.call("mallory", headers={"authorization": f"Bearer {wrong}"}, prompt="x")
    await street.ann_is_served()


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    (
        "model",
        "provider",
        "maxTokens",
        "stop",
        "seed",
        "stream",
        "tools",
        "toolChoice",
        "user",
        "responseFormat",
        "strategy",
        "fallback",
        "cache",
        "metadata",
        "timeout",
        "messages",
        "system",
    )
)
HEADERS = st.sampled_from(
    (
        "cf-aig-request-timeout",
        "cf-aig-max-attempts",
        "cf-aig-cache-key",
        "cf-aig-metadata",
        "cache-control",
        "x-request-id",
        "traceparent",
        "cf-aig-backoff",
        "cf-aig-retry-delay",
    )
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(FIELDS, JSON_VALUES, max_size=4),
    st.dictionaries(HEADERS, st.text(st.characters(codec="latin-1"), max_size=30), max_size=2),
    st.sampled_from([NATIVE, OPENAI]),
)
def test_whatever_mallory_says(body: dict[str, Any], headers: dict[str, str], path: str) -> None:
    @in_no_time
    async def said() -> None:
        street = Street()
        for _ in range(3):
            answer = await street.mallory(path, headers, **body)
            assert answer.status < 500 or answer.status in (502, 503, 504)
        await street.ann_is_served()

    said()
