"""What requests take of an isolate's memory, of which Cloudflare grants 128 MB: WebAssembly's heap
never shrinks, so what it has grown to is the most that was ever needed."""

import base64
import gzip
import json
import random
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from bench.studies.heap import requests
from tests.e2e.deployments import Deployments
from tests.upstream import Upstream

MB = 1024 * 1024
IMAGE = b"\x89PNG\r\n\x1a\n" + random.Random(1).randbytes(14 * MB)
URL = f"data:image/png;base64,{base64.b64encode(IMAGE).decode()}"
JSON = {"content-type": "application/json"}
BROTLI = bytes.fromhex("0b07807b2270726f6d7074223a226869227d03")  # {"prompt":"hi"}
BOMB = base64.b64decode(
    "z///fwAkwuKxQHLv//n//w+ABEAcFoDu/T////8BkACIwwLQvf/n//8/ABIAcVgA"
    "uvf//P//B0ACIA4LQPf+n////wBIAMRhAeje/+f//w8ACYA4LADd+x8="
)
"""100 MB of one letter."""


@pytest.fixture
def isolate(deployments: Deployments) -> Iterator[httpx.Client]:
    """A deployment of its own, whose heap nobody else has grown."""
    with httpx.Client(base_url=deployments.get("memory").url, timeout=120) as client:
        yield client


def heap(client: httpx.Client) -> int:
    told = re.search(r"^proxy_isolate_heap_bytes (\S+)$", client.get("/metrics").text, re.MULTILINE)
    assert told
    return int(float(told[1]))


def asked(model: str, text: str) -> dict[str, Any]:
    image = {"type": "image_url", "image_url": {"url": URL}}
    content = [{"type": "text", "text": text}, image]
    return {"model": model, "messages": [{"role": "user", "content": content}]}


def post(client: httpx.Client, path: str, body: Any) -> httpx.Response:
    return client.post(path, content=json.dumps(body).encode(), headers=JSON)


def test_a_large_image_takes_three_times_its_size(isolate: httpx.Client, script: Any) -> None:
    post(isolate, "/v1/generate", {"prompt": "hi", "model": "openai/gpt-4o"})
    before = heap(isolate)
    body = asked("openai/gpt-4o", script("hi"))
    size = len(json.dumps(body))
    for path in ("/v1/chat/completions", "/v1/generate"):
        for model in (
            "openai/gpt-4o",
            "gemini/gemini-2.5-flash",
            "workers-ai/@cf/google/gemma-4-26b-a4b-it",
        ):
            answer = post(isolate, path, {**body, "model": model, "fallback": False})
            assert answer.status_code == 200, answer.text[:300]
    batch = post(isolate, "/v1/batch", {"requests": [{**body, "fallback": False}]})
    assert batch.json()["summary"]["succeeded"] == 1
    packed = gzip.compress(json.dumps(body).encode(), 1)
    headers = {**JSON, "content-encoding": "gzip"}
    zipped = isolate.post("/v1/chat/completions", content=packed, headers=headers)
    assert zipped.status_code == 200
    assert heap(isolate) - before <= 3 * size
    slow = asked("openai/gpt-4o", script("hi", openai={"delay_ms": 1500}))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: post(isolate, "/v1/generate", slow), range(4)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses[0] == 200
    assert set(statuses[1:]) <= {200, 503}
    assert all(a.headers["retry-after"] == "1" for a in answers if a.status_code == 503)
    assert heap(isolate) - before <= 3 * size
    assert post(isolate, "/v1/generate", slow).status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/generate", {"prompt": "hi", "fallback": False}),
        ("/v1/generate", {"prompt": "hi", "fallback": False, "stream": True}),
        ("/v1/embeddings", {"input": "hi"}),
    ],
)
@pytest.mark.parametrize("status", [200, 500])
def test_an_answer_that_is_too_long_is_not_kept(
    isolate: httpx.Client, upstream: Upstream, path: str, body: dict[str, Any], status: int
) -> None:
    model = "text-embedding-3-small" if path == "/v1/embeddings" else "gpt-4o"
    before = heap(isolate)
    upstream.plan({"openai": {"body": {"data": "x" * (60 * MB)}, "status": status}})
    try:
        answer = post(isolate, path, {**body, "model": f"openai/{model}"})
    finally:
        upstream.plan({})
    assert answer.status_code == 502
    assert heap(isolate) - before <= 60 * MB


def test_many_requests_of_all_kinds_do_not_grow_the_heap(isolate: httpx.Client) -> None:
    def send(sent: tuple[str, bytes, dict[str, str]]) -> None:
        path, body, headers = sent
        isolate.post(path, content=body, headers=headers)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(send, requests(150, seed=1)))
        before = heap(isolate)
        list(pool.map(send, requests(300, seed=2)))
    assert heap(isolate) - before <= 8 * MB


def test_brotli_is_decoded_by_the_platform(isolate: httpx.Client) -> None:
    headers = {**JSON, "content-encoding": "br"}
    answer = isolate.post("/v1/generate", content=BROTLI, headers=headers)
    assert answer.status_code == 200, answer.text
    for bad, status in ((BROTLI[:-1], 400), (b"{}", 400), (BOMB, 413)):
        assert isolate.post("/v1/generate", content=bad, headers=headers).status_code == status
