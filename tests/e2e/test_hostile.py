"""What callers and providers may send that was never meant to be read: addresses, names, errors."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.e2e.deployments import ADMIN_TOKEN, CALLER_KEY, KEYS, Deployments
from tests.upstream import Upstream


def see(proxy: httpx.Client, script: Any, address: str, **fields: Any) -> httpx.Response:
    parts = [
        {"type": "text", "text": script("What is this?")},
        {"type": "image_url", "image_url": {"url": address}},
    ]
    body = {"model": "gemini/vision", "messages": [{"role": "user", "content": parts}], **fields}
    return proxy.post("/v1/generate", json=body)


INSIDE = [
    "https://127.0.0.1/x",
    "https://127.0.0.%31/x",
    "https://127%2e0.0.1/x",
    "https://127.0.0。1/x",
    "https://127.0.0.0\uff581/x",
    "https://\uff11\uff12\uff17.0.0.1/x",
    "https://127.0.0.\u00ad1/x",
    "https://127.0.0.1\\@example.com/x",
    "https://example.com@127.0.0.1/x",
    "https://2130706433/x",
    "https://0x7f000001/x",
    "https://0177.0.0.1/x",
    "https://0x7f.1/x",
    "https://127.1/x",
    "https://127.0.1/x",
    "https://0x7f.0.0.0x1/x",
    "https://0300.0250.1.1/x",
    "https://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460/x",
    "https://127\u30020\uff0e0\uff611/x",
    "https://127.0.\n0.\t1/x",
    "https:127.0.0.1/x",
    "https:\\\\127.0.0.1\\x",
    "https:///127.0.0.1/x",
    " https://127.0.0.1/x",
    "HTTPS://127.0.0.1:443/x",
    "https://127.0.0.1./x",
    "https://0/x",
    "https://[::1]/x",
    "https://[::7f00:1]/x",
    "https://[::ffff:127.0.0.1]/x",
    "https://[64:ff9b::7f00:1]/x",
    "https://[2002:7f00:1::]/x",
    "https://[64:ff9b:1::7f00:1]/x",
    "https://[::ffff:0:7f00:1]/x",
    "https://[2001:0:7f00:1::1]/x",
    "https://[0:0:0:0:0:FFFF:169.254.169.254]/x",
    "https://[fd00:ec2::254]/x",
    "https://[fe80::1]/x",
    "https://[fd00::1]/x",
    "https://100.64.0.1/x",
    "https://169.254.169.254/latest",
    "https://224.0.0.1/x",
    "https://localhost/x",
    "https://LOCALHOST./x",
    "https://\uff4cocalhost/x",
    "https://a.localhost/x",
    "https://metadata.google.internal/x",
    "https://metadata.google.internal./x",
    "https://168.63.129.16/x",
    "https://192.0.0.192/x",
    "https://100.100.100.200/x",
]


@pytest.mark.parametrize("address", INSIDE)
def test_no_spelling_of_an_inner_address_is_fetched(
    proxy: httpx.Client, script: Any, received: Any, address: str
) -> None:
    answer = see(proxy, script, address)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    reasons = ("its host is not public", "a user or", "Expected an https:// URL")
    assert any(reason in error["message"] for reason in reasons), error["message"]
    assert error["param"] == "messages[0].content[1].image_url.url"
    assert received() == []


@pytest.mark.parametrize(
    "address",
    [
        "https://[",
        "https://a]b/",
        "https://℀b/",
        "https://a%00b/",
        *(
            "https://[fe80::1%25eth0]/",
            "https://4294967297/",
            "https://256.0.0.1/",
            "https://127.0.0.1%/",
        ),
    ],
)
def test_what_is_no_address_is_the_callers_mistake(
    proxy: httpx.Client, script: Any, received: Any, address: str
) -> None:
    answer = see(proxy, script, address)
    assert answer.status_code == 400, answer.text
    assert "its address is no URL" in answer.json()["error"]["message"]
    assert received() == []


def test_a_host_of_images_that_fails_is_no_fault_of_the_provider(
    proxy: httpx.Client, script: Any, received: Any, deployments: Deployments
) -> None:
    address = "https://pictures.invalid/cat.png?token=qwertz123"
    for _ in range(12):
        answer = see(proxy, script, address, timeout=3000)
        assert answer.status_code == 400, answer.text
        assert "https://pictures.invalid/cat.png can't be" in answer.json()["error"]["message"]
        assert "qwertz123" not in answer.text
        assert "attempts" not in answer.json()["metadata"]
    assert received() == []
    breakers = proxy.get("/admin/breakers").json()["breakers"]
    gemini = {name: state for name, state in breakers.items() if name.startswith("gemini")}
    assert all(state["calls"] == 0 for state in gemini.values()), gemini
    answer = proxy.post("/v1/generate", json={"prompt": script(), "model": "gemini/vision"})
    assert answer.json()["provider"] == "gemini", answer.text
    assert "qwertz123" not in deployments.log("open")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    "name",
    ["a\r\nset-cookie: x=1", "größe", "模型", "x" * 1_000_000],
    ids=["line break", "latin", "chinese", "1 MB"],
)
def test_no_header_is_made_of_a_callers_words(
    proxy: httpx.Client, script: Any, name: str, stream: bool
) -> None:
    messages = [{"role": "user", "content": script("Hello.")}]
    body = {"model": "gemini/fast", "messages": messages, name: 1, "stream": stream}
    answer = proxy.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text[:500]
    assert answer.headers["x-proxy-dropped"] == "+1"
    assert "set-cookie" not in answer.headers
    assert "Hello." in answer.text


def test_a_model_of_any_name_is_told(proxy: httpx.Client, script: Any) -> None:
    answer = proxy.post("/v1/generate", json={"prompt": script(), "model": "openrouter/模型"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-proxy-model"] == "%E6%A8%A1%E5%9E%8B"


@pytest.mark.parametrize("name", ["../../v1/secret", "models/../../v1/secret", "%2e%2e/x", "x?y#z"])
@pytest.mark.parametrize("provider", ["gemini", "workers-ai"])
def test_no_models_name_leads_elsewhere(
    proxy: httpx.Client, script: Any, upstream: Upstream, provider: str, name: str
) -> None:
    before = len(upstream.log())
    body = {"prompt": script(), "model": f"{provider}/{name}", "fallback": False}
    answer = proxy.post("/v1/generate", json=body)
    assert answer.status_code in (200, 400, 404), answer.text
    paths = [request["path"] for request in upstream.log()[before:]]
    assert paths in ([], ["/gemini/v1beta/models/x%3Fy%23z:generateContent"])


@pytest.mark.parametrize("fragment", ["token count ", "model ", "<title"])
@pytest.mark.parametrize("provider", ["gemini", "openai"])
def test_a_providers_error_keeps_nobody_waiting(
    proxy: httpx.Client, script: Any, provider: str, fragment: str
) -> None:
    message = fragment * (3_000_000 // len(fragment))
    told: Any = {"error": {"message": message}} if fragment[0] != "<" else message
    prompt = script(**{provider: {"status": 400, "body": told}})
    began = time.monotonic()
    with ThreadPoolExecutor() as pool:
        body = {"prompt": prompt, "model": f"{provider}/auto", "fallback": False}
        asked = pool.submit(proxy.post, "/v1/generate", json=body)
        while not asked.done():
            assert proxy.get("/health").status_code == 200
        answer = asked.result()
    assert answer.status_code == 400, answer.text[:500]
    assert len(answer.json()["error"]["message"]) <= 500
    assert time.monotonic() - began < 20  # a quadratic reading takes hours


@pytest.mark.parametrize("secret", [CALLER_KEY, ADMIN_TOKEN, KEYS["GROQ_API_KEY"]])
def test_nobodys_key_is_shown(
    keyed: httpx.Client, script: Any, deployments: Deployments, secret: str
) -> None:
    message = f"qwertz-{secret[:3]}: authorization: Bearer {secret} is wrong"
    prompt = script(openai={"status": 400, "message": message})
    for path in ("/v1/generate", "/v1/chat/completions"):
        asked = {"messages": [{"role": "user", "content": prompt}], "model": "openai/auto"}
        answer = keyed.post(path, json=asked, headers={"authorization": f"Bearer {CALLER_KEY}"})
        assert answer.status_code == 400, answer.text
        assert "authorization: Bearer *** is wrong" in answer.text
        assert secret not in answer.text
    admin = {"authorization": f"Bearer {ADMIN_TOKEN}"}
    rows = keyed.get("/analytics/requests", headers=admin)
    assert rows.status_code == 200
    logged = [line for line in deployments.log("keyed").splitlines() if line.startswith("{")]
    for told in (rows.text, *logged):
        assert secret not in told
        assert "qwertz" not in told


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_reasoning_goes_back_as_it_came(
    proxy: httpx.Client, script: Any, received: Any, stream: bool
) -> None:
    question = {"role": "user", "content": script("Please think.")}
    body = {"messages": [question], "model": "openrouter/auto", "stream": stream}
    answer = proxy.post("/v1/generate", json=body)
    assert answer.status_code == 200, answer.text
    told = json.loads(answer.text.split("event: done\ndata: ")[1] if stream else answer.text)
    details = told["reasoningDetails"]
    assert details
    turn = {"role": "assistant", "content": "Yes.", "reasoningDetails": details}
    messages = [question, turn, {"role": "user", "content": "And?"}]
    answer = proxy.post("/v1/generate", json={"messages": messages, "model": "openrouter/auto"})
    assert answer.status_code == 200, answer.text
    assert received()[-1]["body"]["messages"][1]["reasoning_details"] == details
