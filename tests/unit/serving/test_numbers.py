"""Any number may stand anywhere, in a request and in an answer: none makes the proxy fail."""

from typing import Any

import pytest

from proxy.core.principal import Budget
from tests.unit.doubles import FakeReply
from tests.unit.routing.making import DONE, EVENTS
from tests.unit.serving.limited import Limited
from tests.unit.serving.making import GPT, NATIVE, OPENAI, Received, by_host

NUMBERS = [
    "1e999", "-1e999", "1e308", "1" + "0" * 40, "-18446744073709551617", "9" * 5000, "-1", "0.5",
    "18446744073709551616",
]  # fmt: skip
EMBEDDINGS = "/v1/embeddings"
CHAT = '"messages":[{"role":"user","content":"Hi"}],"model":"openai/gpt-4o",'
TOOL = '{"type":"function","function":{"name":"f","parameters":{"maximum":N},"x":N},"y":N}'
CALL = '{"id":"c","type":"function","function":{"name":"f","arguments":"{\\"n\\":N}"},"x":N}'
PLACES = [
    (path, CHAT + field)
    for path, fields in {
        NATIVE: (
            '"temperature":N', '"seed":N', '"maxTokens":N', '"topP":N', '"timeout":N',
            '"cache":{"ttl":N}', '"metadata":{"a":N}', f'"tools":[{TOOL}]',
            '"responseFormat":{"type":"json_object","x":N}',
            '"responseFormat":{"type":"json_schema","json_schema":{"name":"a","schema":{"x":N}}}',
        ),
        OPENAI: (
            '"temperature":N', '"seed":N', '"max_tokens":N', '"max_completion_tokens":N', '"n":N',
            '"timeout":N', '"cache":{"ttl":N}', '"unknown":N', '"unknown":{"a":[N]}',
            '"logit_bias":{"1":N}', '"top_logprobs":N', '"presence_penalty":N', f'"tools":[{TOOL}]',
            '"stream_options":{"x":N},"stream":true', '"stream_options":{"x":N}',
            '"response_format":{"type":"json_object","x":N}', '"provider":{"order":[N]}',
            '"response_format":{"type":"json_schema","json_schema":{"name":"a","schema":{"x":N}}}',
        ),
    }.items()
    for field in fields
]  # fmt: skip
PLACES += [
    (path, f'"model":"openai/gpt-4o","messages":[{messages}]')
    for path in (NATIVE, OPENAI)
    for messages in (
        '{"role":"user","content":"Hi","x":N}',
        '{"role":"user","content":[{"type":"text","text":"Hi","x":N}]}',
        f'{{"role":"user","content":"Hi"}},{{"role":"assistant","tool_calls":[{CALL}]}},'
        '{"role":"tool","tool_call_id":"c","content":"{\\"n\\":N}"}',
    )
]
PLACES += [
    (EMBEDDINGS, f'"model":"openai/text-embedding-3-small",{field}')
    for field in ('"input":[N]', '"input":"a","dimensions":N', '"input":"a","unknown":N')
]
WHOLE = (
    '{"object":"chat.completion","choices":[{"index":0,"finish_reason":"stop","message":'
    '{"role":"assistant","content":"Hi"}}],"usage":{"prompt_tokens":1,"completion_tokens":2}}'
)
CHUNK = 'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\n'
VECTOR = '{"data":[{"index":0,"embedding":[0.5]}],"usage":{"prompt_tokens":1}}'


def upstream(outgoing: Any) -> FakeReply:
    """Answers any request for a chat or for embeddings."""
    if outgoing.url.endswith("/embeddings"):
        return FakeReply(VECTOR.encode())
    if b'"stream":true' in outgoing.body:
        return FakeReply(CHUNK.encode(), DONE, headers=EVENTS)
    return FakeReply(WHOLE.encode())


async def post(house: Limited, path: str, body: str) -> Received:
    received = await house.fetch("POST", path, body.encode(), authorization="Bearer admin")
    await house.settle()
    return received


@pytest.mark.parametrize(("path", "fields"), PLACES)
async def test_in_a_request(path: str, fields: str) -> None:
    for number in NUMBERS:
        house = Limited(by_host(openai=upstream))
        answer = await post(house, path, "{" + fields.replace("N", number) + "}")
        assert answer.status in (200, 400), (number, answer.body[:300])
        if answer.status == 400:
            assert answer.json["error"]["message"]


@pytest.mark.parametrize("number", NUMBERS)
async def test_in_an_item_of_a_batch(number: str) -> None:
    house = Limited(by_host(openai=upstream))
    odd = [fields.replace("N", number) for path, fields in PLACES if path == NATIVE]
    items = ",".join("{" + fields + "}" for fields in [*odd, CHAT + '"stream":false'])
    answer = await post(house, "/v1/batch", '{"requests":[' + items + "]}")
    assert answer.status == 200
    assert {result["status"] for result in answer.json["results"]} <= {200, 400}
    assert answer.json["results"][-1]["status"] == 200


COSTS = ['"cost":N', '"cost":N,"is_byok":true,"cost_details":{"upstream_inference_cost":N}']
COUNTS = [
    '"prompt_tokens":N,"completion_tokens":2',
    '"prompt_tokens":1,"completion_tokens":N',
    '"prompt_tokens":1,"completion_tokens":2,"total_tokens":N,"completion_tokens_details":'
    '{"reasoning_tokens":N}',
    '"prompt_tokens":1,"completion_tokens":2,"prompt_tokens_details":'
    '{"cached_tokens":N,"cache_write_tokens":N}',
    *(f'"prompt_tokens":1,"completion_tokens":2,{cost}' for cost in COSTS),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", [NATIVE, OPENAI])
@pytest.mark.parametrize("report", COUNTS)
async def test_in_a_usage(report: str, path: str, stream: bool) -> None:
    """It is an answer all the same, and the key has its day left."""
    for number in [*NUMBERS, '"12"', "null", "true", "[]"]:
        usage = "{" + report.replace("N", number) + "}"
        whole = WHOLE.replace('{"prompt_tokens":1,"completion_tokens":2}', usage)
        last = 'data: {"choices":[],"usage":' + usage + "}\n\n"
        reply = FakeReply(whole.encode())
        if stream:
            reply = FakeReply(CHUNK.encode(), last.encode(), DONE, headers=EVENTS)
        house = Limited(by_host(openai=reply), key={"budget": Budget(day=10**10)})
        fields: dict[str, Any] = {"model": GPT, "stream": stream, "cache": {"mode": "off"}}
        if path == OPENAI:
            fields["messages"] = [{"role": "user", "content": "Hi"}]
            fields["stream_options"] = {"include_usage": True}
        else:
            fields["prompt"] = "Hi"
        answer = await house.keyed(path, **fields)
        assert (answer.status, answer.text) == (200, "Hi"), number
        assert b"internal" not in answer.body
        spent = house.account().spent_day
        assert 0 < spent <= (10**9 if '"cost":0.5' in usage else 10**5), number
        again = await house.keyed(path, **fields)
        assert again.status == 200, number


GEMINI = (
    '{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"a":[N]}}}]},'
    '"finishReason":"STOP","avgLogprobs":N,"logprobsResult":{"chosenCandidates":'
    '[{"token":"a","tokenId":N,"logProbability":N}]}}],"createTime":N,"usageMetadata":USAGE}'
)
GEMINI_COUNTS = [
    '{"promptTokenCount":N,"candidatesTokenCount":N}',
    '{"promptTokenCount":1,"candidatesTokenCount":2,"thoughtsTokenCount":N}',
    '{"promptTokenCount":1,"candidatesTokenCount":2,"toolUsePromptTokenCount":N}',
    '{"promptTokenCount":1,"candidatesTokenCount":2,"cachedContentTokenCount":N}',
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("report", GEMINI_COUNTS)
async def test_in_an_answer_of_gemini(report: str, stream: bool) -> None:
    """A call's arguments are what the model wrote; the rest is bounded or left out."""
    for number in NUMBERS:
        body = GEMINI.replace("USAGE", report).replace("N", number)
        reply = FakeReply(body.encode())
        if stream:
            reply = FakeReply(f"data: {body}\r\n\r\n".encode(), headers=EVENTS)
        house = Limited(
            by_host(gemini=reply), key={"budget": Budget(day=10**10)}, env={"GEMINI_API_KEY": "k"}
        )
        fields: dict[str, Any] = {"model": "gemini/gemini-2.5-flash", "fallback": False}
        fields["stream"] = stream
        for _ in range(2):  # of the provider, then of the cache
            answer = await house.keyed(NATIVE, prompt="Hi", **fields)
            assert answer.status == 200, (number, answer.body[:300])
            end = answer.events[-1] if stream else answer.json
            assert f'{{"a":[{number}]}}' in str(answer.events if stream else answer.json), number
            assert end["metadata"]["finishReason"] == "tool_calls"
        assert 0 < house.account().spent_day < 10**7, number


@pytest.mark.parametrize("number", NUMBERS)
async def test_in_the_usage_of_embeddings(number: str) -> None:
    for report in ('{"prompt_tokens":N}', "N", '{"prompt_tokens":1,"total_tokens":N}'):
        body = VECTOR.replace('{"prompt_tokens":1}', report.replace("N", number))
        house = Limited(by_host(openai=FakeReply(body.encode())), key={"budget": Budget(day=10**9)})
        fields = {"model": "openai/text-embedding-3-small", "input": "a cat"}
        answer = await house.keyed(EMBEDDINGS, **fields)
        assert answer.status == 200
        assert 0 < house.account().spent_day < 10**6
        assert 0 <= answer.json["usage"]["total_tokens"] < 10**6
