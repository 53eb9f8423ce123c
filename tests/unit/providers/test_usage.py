"""What providers report of usage and cost: whatever JSON stands there, the answer is delivered, and
what is believed can be true."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from proxy.core.chat import Routing, Served, Usage
from proxy.core.embedding import EmbeddingRequest
from proxy.core.money import NANO
from proxy.dialects import openai as dialect
from proxy.providers.usage import MARGIN, MOST_TOKENS, MOST_UNPRICED, read_usage
from tests.unit.providers import replay

STRANGE = [
    "-1", "-0.5", "1.5", "0", "7", "-1e308", "1e308", "1e999", "-1e999", "1" + "0" * 40,
    "18446744073709551616", "9" * 5000, '"12"', '""', "true", "null", "[]", "{}", "[1]",
    '{"prompt_tokens":1e999}', "9007199254740993", "1e-9", "1000000000",
]  # fmt: skip
values = st.one_of(
    st.sampled_from(STRANGE),
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=5,
    ).map(json.dumps),
)
OPENAI_FIELDS = (
    "prompt_tokens", "completion_tokens", "total_tokens", "prompt_cache_hit_tokens",
    "cached_tokens", "prompt_tokens_details", "completion_tokens_details", "cost", "is_byok",
    "cost_details",
)  # fmt: skip
GEMINI_FIELDS = (
    "promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "toolUsePromptTokenCount",
    "cachedContentTokenCount", "totalTokenCount",
)  # fmt: skip


def reports(fields: tuple[str, ...]) -> st.SearchStrategy[str]:
    """A report whose fields may be anything, and anything in a report's place."""
    objects = st.dictionaries(st.sampled_from(fields), values, max_size=6).map(
        lambda expected: (
            "{" + ",".join(f'"{name}":{value}' for name, value in expected.items()) + "}"
        )
    )
    return values | objects


MODELS = [
    ("openai", "gpt-4o"), ("openai", None), ("openrouter", "openai/gpt-4o-mini"), ("groq", None),
    ("workers-ai", "@cf/meta/llama-3.2-1b-instruct"), ("gemini", "gemini-2.5-flash"),
]  # fmt: skip


def most(provider: str, model: str | None) -> int:
    """Tokens that a prompt or an answer may be reported to have."""
    known = replay.target(provider, model).model
    return MARGIN * max(known.context or 0, known.max_output or 0) or MOST_TOKENS


def check(provider: str, model: str | None, usage: Usage | None) -> None:
    """The usage, and what it costs, can be true."""
    if usage is None:
        return
    limit, priced = most(provider, model), replay.target(provider, model).model
    assert 0 <= usage.input <= 2 * limit
    assert 0 <= usage.output <= 2 * limit
    for part in (usage.cached, usage.cache_write, usage.reasoning):
        assert part is None or 0 <= part <= limit
    cost = priced.prices.compute_cost(usage).nano_usd
    bound = MOST_UNPRICED
    if priced.is_priced:
        bound = max(NANO, priced.prices.bound_cost(Usage(input=2 * limit, output=2 * limit)))
    assert cost is None or 0 <= cost <= 2 * bound
    msgspec.msgpack.encode(usage)  # it can be kept


def check_passed_on(provider: str, model: str | None, raw: bytes) -> None:
    """A caller of OpenAI's dialect gets a usage that was believed, or none."""
    usage = json.loads(raw).get("usage")
    if not usage:
        return
    named = [usage.get(name) for name in ("prompt_tokens", "completion_tokens", "total_tokens")]
    named += [usage.get("cached_tokens"), usage.get("prompt_cache_hit_tokens")]
    for count in named:
        assert count is None or 0 <= count <= most(provider, model)
        assert count is None or count == int(count)
    assert usage.get("cost") is None or 0 <= usage["cost"] <= 10**6


def whole(provider: str, report: str) -> bytes:
    """An answer with this report."""
    if provider == "gemini":
        candidate = '{"content":{"parts":[{"text":"Hi"}]},"finishReason":"STOP"}'
        return f'{{"candidates":[{candidate}],"usageMetadata":{report}}}'.encode()
    if provider == "workers-ai":
        return f'{{"response":"Hi","usage":{report}}}'.encode()
    choice = '{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}'
    return (
        f'{{"id":"1","object":"chat.completion","model":"m","choices":[{choice}],"usage":{report}}}'
    ).encode()


def stream(provider: str, report: str) -> bytes:
    """The same as a stream."""
    if provider == "gemini":
        return b"data: " + whole(provider, report) + b"\n\n"
    if provider == "workers-ai":
        return b"data: " + whole(provider, report) + b"\n\ndata: [DONE]\n\n"
    head = '"id":"1","object":"chat.completion.chunk","model":"m"'
    choice = '{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}'
    events = (f'{{{head},"choices":[{choice}]}}', f'{{{head},"choices":[],"usage":{report}}}')
    return "".join(f"data: {event}\n\n" for event in (*events, "[DONE]")).encode()


@pytest.mark.parametrize(("provider", "model"), MODELS)
class TestWhateverIsReported:
    @given(report=reports(OPENAI_FIELDS) | reports(GEMINI_FIELDS))
    def test_whole(self, provider: str, model: str | None, report: str) -> None:
        to, body = replay.target(provider, model), whole(provider, report)
        answer = replay.adapter(provider).read_answer(to, body)
        assert answer.text == "Hi"
        check(provider, model, answer.usage)
        if answer.raw is not None:
            check_passed_on(provider, model, answer.raw)

    @given(report=reports(OPENAI_FIELDS) | reports(GEMINI_FIELDS))
    def test_streamed(self, provider: str, model: str | None, report: str) -> None:
        decoder = replay.adapter(provider).make_decoder(replay.target(provider, model))
        chunks = replay.decode(decoder, [stream(provider, report)])
        answer = replay.collect(chunks)
        assert (answer.text, decoder.finished) == ("Hi", True)
        check(provider, model, answer.usage)
        for chunk in chunks:
            if chunk.raw is not None:
                check_passed_on(provider, model, chunk.raw)


@pytest.mark.parametrize("provider", ["openai", "gemini", "workers-ai"])
@given(report=reports(OPENAI_FIELDS) | reports(GEMINI_FIELDS))
def test_of_embeddings(provider: str, report: str) -> None:
    name = "usageMetadata" if provider == "gemini" else "usage"
    vector = {
        "openai": '"data":[{"embedding":[0.5],"index":0}]',
        "gemini": '"embeddings":[{"values":[0.5]}]',
        "workers-ai": '"data":[[0.5]]',
    }[provider]
    request = EmbeddingRequest(input=("a cat",), routing=Routing())
    body = f'{{{vector},"{name}":{report}}}'.encode()
    found = replay.adapter(provider).read_embeddings(replay.target(provider), request, body)
    assert found.vectors == ((0.5,),)
    check(provider, None, found.usage)


@given(report=reports(OPENAI_FIELDS))
def test_in_groqs_own_place(report: str) -> None:
    to = replay.target("groq")
    for inside in (report, f'{{"usage":{report}}}'):
        event = f'{{"choices":[{{"delta":{{"content":"Hi"}}}}],"x_groq":{inside}}}'
        decoder = replay.adapter("groq").make_decoder(to)
        chunks = decoder.feed(f"data: {event}\n\n".encode())
        assert "".join(chunk.text for chunk in chunks) == "Hi"
        check("groq", None, chunks[0].usage)


def read(usage: Any, provider: str = "openai", model: str | None = None) -> str:
    report = Raw(usage.encode() if isinstance(usage, str) else msgspec.json.encode(usage))
    return replay.describe_usage(read_usage(replay.target(provider, model), report).usage)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": -5, "completion_tokens": 7}, "tokens=?"),
        ({"prompt_tokens": 5, "completion_tokens": -7}, "tokens=?"),
        ({"prompt_tokens": 10**40, "completion_tokens": 7}, "tokens=?"),
        ('{"prompt_tokens":1e999,"completion_tokens":7}', "tokens=?"),
        ({"prompt_tokens": "5", "completion_tokens": 7}, "tokens=?"),
        ({"prompt_tokens": True, "completion_tokens": 7}, "tokens=?"),
        ({"prompt_tokens": 4.2, "completion_tokens": 7.0}, "tokens=5+7"),
        ({"prompt_tokens": 5, "completion_tokens": 7, "cached_tokens": -1}, "tokens=5+7"),
        ({"prompt_tokens": 5, "completion_tokens": 7, "cost": 1e308}, "tokens=5+7"),
        ({"prompt_tokens": 5, "completion_tokens": 7, "cost": 10**400}, "tokens=5+7"),
        ({"prompt_tokens": 5, "completion_tokens": 7, "cost": -1}, "tokens=5+7"),
        ({"prompt_tokens": 5, "completion_tokens": 7, "cost": 101}, "tokens=5+7"),
        ({"prompt_tokens": 5, "completion_tokens": 7, "cost": 99}, "tokens=5+7 cost=99000000000"),
        ('{"prompt_tokens":5,"completion_tokens":7,"cost":1e999}', "tokens=5+7"),
        ('{"prompt_tokens":5,"completion_tokens":7,"total_time":1e999}', "tokens=5+7"),
        ({"cost": 1e308}, "tokens=?"),
        ({"total_tokens": 9}, "tokens=?"),
        ({"input_tokens": 5, "output_tokens": 7}, "tokens=?"),
        ({"cost": 1}, "tokens=0+0 cost=1000000000"),
    ],
)
def test_what_is_believed(usage: Any, expected: str) -> None:
    assert read(usage) == expected


@pytest.mark.parametrize(
    ("completion", "total", "reasoning", "output"),
    [
        (10, 115, 5, 15),  # xAI
        (15, 115, 5, 15),  # OpenAI: the reasoning is part of the completion
        (10, None, 5, 10),
        (10, 110, 5, 10),
        (10, 115, None, 10),  # nothing says what the rest is
        (10, 10**40, 5, 10),
        (10, "115", 5, 10),
        (0, 700, 600, 600),
        (10, None, 600, 610),  # more than the completion can't be part of it
        (600, None, 600, 600),
        (10, 110, 600, 10),
    ],
)
def test_reasoning_beside_the_completion(
    completion: int, total: Any, reasoning: int | None, output: int
) -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": completion,
        "total_tokens": total,
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
    beside = "" if reasoning is None else f" reasoning={reasoning}"
    assert read(usage) == f"tokens=100+{output}{beside}"


def test_a_models_context_bounds_what_is_believed() -> None:
    context = replay.CATALOG.resolve("openai", "gpt-4o").context or 0
    for tokens, expected in (
        (MARGIN * context, f"tokens={MARGIN * context}+1"),
        (10**6, "tokens=?"),
    ):
        usage = {"prompt_tokens": tokens, "completion_tokens": 1}
        assert read(usage, "openai", "gpt-4o") == expected


def test_a_caller_who_wants_the_usage_gets_any_number_beside_it() -> None:
    """The chunk's other fields are not read when its usage is taken out."""
    event = (
        '{"object":"chat.completion.chunk","timings":{"ms":1e999},'
        '"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}],'
        '"usage":{"prompt_tokens":1,"completion_tokens":2}}'
    )
    (chunk,) = (
        replay.adapter("openai")
        .make_decoder(replay.target("openai"))
        .feed(f"data: {event}\n\n".encode())
    )
    body = {"model": "x", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    call = dialect.parse_chat(
        json.dumps(body | {"stream_options": {"include_usage": True}}).encode()
    )
    writer = dialect.writer(
        call, Served(request_id="r", answer_id="1", provider="openai", model="m")
    )
    assert b"1e999" in writer.chunk(chunk)
