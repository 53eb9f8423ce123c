"""What callers of Messages and Responses may send that was never meant to be read."""

import json
import time
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.e2e.forms import PATHS
from tests.fuzz.bodies import MESSAGES, RESPONSES

DIALECTS = ("messages", "responses")
PROVIDERS = ("anthropic", "openai", "gemini", "groq")
BODIES = {"messages": MESSAGES, "responses": RESPONSES}

_NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.just(10**400)
_TEXTS = st.text(max_size=20) | st.sampled_from(["\ud800", "\0", "data:", "user", "text", "auto"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | _NUMBERS | _TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "role", "content", "text", "id", "name", "x"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value within a body."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for name, part in inner:
        yield (*path, name)
        if isinstance(part, dict | list):
            yield from places(part, (*path, name))


def replaced(body: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    changed = deepcopy(body)
    holder: Any = changed
    for name in path[:-1]:
        holder = holder[name]
    holder[path[-1]] = value
    return changed


def check(answer: httpx.Response) -> None:
    """Whether a request is answered or refused in the dialect's form, and no fault of the proxy."""
    assert answer.status_code < 500, answer.text[:500]
    if answer.status_code != 200:
        assert answer.json()["error"]["message"]
    assert "internal_error" not in answer.text


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_body_with_one_wrong_field(proxy: httpx.Client, dialect: str, provider: str) -> None:
    body = BODIES[dialect] | {"model": f"{provider}/auto"}
    whole = proxy.post(PATHS[dialect], json=body)
    assert whole.status_code == 200, whole.text

    @settings(
        max_examples=60,
        deadline=10_000,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(path=st.sampled_from(list(places(body))), value=ANYTHING)
    def send(path: tuple[Any, ...], value: Any) -> None:
        assert proxy.delete("/admin/breakers").status_code == 204
        content = json.dumps(replaced(body, path, value)).encode()
        headers = {"content-type": "application/json"}
        check(proxy.post(PATHS[dialect], content=content, headers=headers))

    send()


DEEP = "[" * 100_000 + "]" * 100_000
MANY: dict[str, dict[str, Any]] = {
    "messages": {
        "max_tokens": 10,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}] * 100_000}],
    },
    "responses": {"input": [{"role": "user", "content": "x"}] * 100_000},
}


@pytest.mark.parametrize("path", [*(PATHS[dialect] for dialect in DIALECTS)])
@pytest.mark.parametrize("field", ["input", "messages", "tools", "metadata", "x"])
def test_deep_json(proxy: httpx.Client, path: str, field: str) -> None:
    content = f'{{"model": "openai/auto", "max_tokens": 9, "{field}": {DEEP}}}'
    began = time.monotonic()
    answer = proxy.post(path, content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 400, answer.text[:500]
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_hundred_thousand_items(proxy: httpx.Client, dialect: str, provider: str) -> None:
    began = time.monotonic()
    body = MANY[dialect] | {"model": f"{provider}/unheard-of", "fallback": False}
    answer = proxy.post(PATHS[dialect], json=body)
    assert answer.status_code in (200, 400, 413), answer.text[:500]
    assert time.monotonic() - began < 20
    assert proxy.get("/health").status_code == 200


@pytest.mark.parametrize("provider", ["anthropic", "openai", "gemini"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_huge_ids(proxy: httpx.Client, dialect: str, provider: str) -> None:
    text = json.dumps(BODIES[dialect]).replace("call_1", "c" * 1_000_000)
    body = json.loads(text.replace("toolu_1", "t" * 1_000_000)) | {"model": f"{provider}/auto"}
    check(proxy.post(PATHS[dialect], json=body))


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("name", ["x" * 8000, "%00", "..%2f..%2fadmin", "%ff", "a%20b", "名"])
def test_no_id_of_a_response_leads_elsewhere(proxy: httpx.Client, method: str, name: str) -> None:
    answer = proxy.request(method, f"/v1/responses/{name}")
    assert answer.status_code == 404, answer.text
    body = {"model": "openai/auto", "input": "hi", "previous_response_id": name}
    answer = proxy.post("/v1/responses", json=body)
    assert answer.status_code in (400, 404), answer.text
    assert answer.json()["error"]["code"] == "previous_response_not_found"
