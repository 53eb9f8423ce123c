"""What is passed on as it is, where the guardrail is on: what holds nothing goes."""

import json
from typing import Any

import pytest

from tests.unit.api.passing import CHAT, Isolate, content

MAIL = "joe@x.example"
each_mode = pytest.mark.parametrize("mode", ["mask", "refuse"])


@each_mode
async def test_a_body_that_holds_nothing_goes_on_to_the_byte(mode: str) -> None:
    isolate = Isolate(GUARDRAIL=mode)
    body = b'{ "model" : "gpt-4o-mini", "messages":[ ] }'
    assert (await isolate.call("/openai/chat/completions", body)).status == 200
    assert content(isolate.sent[0]) == body
    assert isolate.sent[0].upload is None


@each_mode
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/openai/chat/completions", CHAT | {"messages": [{"content": f"I am {MAIL}"}]}),
        ("/p/openai/files/x", {"note": "joe\\u0040x.example"}),
        ("/anthropic/v1/messages", {"model": "claude-sonnet-4-5", "system": MAIL}),
        ("/genai/v1beta/models/gemini-2.5-flash:generateContent", {"contents": [{"text": MAIL}]}),
        ("/v1/moderations", {"input": MAIL}),
        ("/v1/completions", {"model": "gpt-4o-mini", "prompt": MAIL}),
        ("/v1/rerank", {"model": "gpt-4o-mini", "query": "q", "documents": ["a", MAIL]}),
    ],
)
async def test_one_that_holds_something_is_refused(path: str, body: Any, mode: str) -> None:
    isolate = Isolate(GUARDRAIL=mode)
    sent = json.dumps(body).replace("\\\\u", "\\u").encode()
    answer = await isolate.call(path, sent)
    assert answer.status == 400, isolate.read
    assert b"GUARDRAIL" in isolate.read and MAIL.encode() not in isolate.read
    assert isolate.sent == []


@each_mode
@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"--x\r\n\r\njoe\r\n--x--", {"content-type": "multipart/form-data; boundary=x"}),
        (b"model=a", {"content-type": "application/x-www-form-urlencoded"}),
        (b"{}", {"content-encoding": "gzip"}),
        (b"{}", {"content-type": "application/json; charset=utf-16"}),
        (b"{}", {"content-type": "text/plain"}),
        ('{"a":"joe@x.example"}'.encode("utf-16-le"), {}),
        ('{"a":"joe@x.example"}'.encode("utf-32-be"), {}),
        (b'{"a": "\xff"}', {}),
        (b"{'a': 1}", {}),
        (b'{"input": [1, 2]}', {}),
    ],
)
async def test_what_can_not_be_read_is_refused(
    body: bytes, headers: dict[str, str], mode: str
) -> None:
    isolate = Isolate(GUARDRAIL=mode)
    answer = await isolate.call("/openai/responses", body, **headers)
    assert answer.status == 400, isolate.read
    assert isolate.sent == []


@each_mode
async def test_an_address_is_looked_at_but_for_the_callers_key(mode: str) -> None:
    isolate = Isolate(GUARDRAIL=mode)
    for path in (
        "/openai/files?q=joe%40x.example",
        "/openai/files/joe@x.example",
        "/openai/files?q=a&user=joe@x.example",
    ):
        answer = await isolate.call(path, b"", "GET")
        assert answer.status == 400, path
        assert b"The address holds an e-mail address" in isolate.read
    assert isolate.sent == []
    assert (await isolate.call("/openai/files?limit=2", b"", "GET")).status == 200
    key = "aep_0123456789abcdef0123456789abcdef"
    isolate = Isolate(GUARDRAIL=mode, PROXY_API_KEY=key)
    assert (await isolate.call(f"/genai/v1beta/models?key={key}", b"", "GET", key)).status == 200


async def test_without_it_a_body_goes_on_unread() -> None:
    isolate = Isolate()
    form = {"content-type": "multipart/form-data; boundary=x"}
    assert (await isolate.call("/openai/files", MAIL.encode(), **form)).status == 200
    assert isolate.sent[0].upload is not None
