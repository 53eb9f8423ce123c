"""What a provider says is what every caller understands: by any wire, in each dialect, whole,
streamed and from the cache, whichever of them came from the provider."""

import json
from collections.abc import Callable, Iterable
from functools import cache, partial
from itertools import pairwise
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, structs

from proxy.cache.chunks import chunks_of
from proxy.cache.entry import CacheEntry, decode, encode
from proxy.core.chat import Answer, Call, Chunk, Served, Usage, Wire
from proxy.core.messages import FunctionCall, ToolCall
from proxy.dialects import anthropic, native, openai, responses
from proxy.providers.registry import ADAPTERS
from proxy.providers.specs import Endpoint
from proxy.providers.target import Target
from tests.unit.providers import making_responses as making
from tests.unit.providers import replay
from tests.unit.serving.understanding import JOIN, READ, Counts, Understood

USER = [{"role": "user", "content": "hi"}]
DIALECTS: dict[str, tuple[ModuleType, dict[str, Any]]] = {
    "chat": (openai, {"messages": USER, "stream_options": {"include_usage": True}}),
    "native": (native, {"prompt": "hi"}),
    "messages": (anthropic, {"messages": USER, "max_tokens": 9}),
    "responses": (responses, {"input": "hi"}),
}
PRICED = {
    "anthropic": "claude-haiku-4-5",
    "openai": "gpt-6-luna",
    "deepseek": "deepseek-chat",
    "groq": "openai/gpt-oss-20b",
}
UNLIKE = {
    "anthropic/stream-no-reason",
    "anthropic/stream-no-stop",
    "anthropic/stream-ignored",
    "groq/stream-no-usage",
}
"""Answers that are not of their dialect's form to the letter, so that nobody else can read them."""


class Recorded(Struct, frozen=True):
    """What a provider has said."""

    wire: Wire
    target: Target
    body: bytes
    streams: bool


def find_fixtures() -> dict[str, Callable[[], Recorded]]:
    names = [
        (provider, case)
        for provider in (*PRICED, "openrouter")
        for case in replay.cases(provider)
        if not any(word in replay.outcomes(provider)[case] for word in ("FAULT", "UNFINISHED"))
    ]
    named = {f"{provider}/{case}": partial(load, provider, case) for provider, case in names}
    return {name: found for name, found in named.items() if name not in UNLIKE}


def load(provider: str, case: str) -> Recorded:
    fixture = replay.load(provider, case)
    to = replay.target(provider, PRICED.get(provider))
    return Recorded(to.wire, to, fixture.body, fixture.streams)


CITED = {"type": "url_citation", "url": "https://a.test", "title": "A"}
TWICE = [{**making.CALL, "id": f"fc_{n}", "call_id": f"call_{n}"} for n in (1, 2)]
REFUSED = {**making.says(""), "content": [{"type": "refusal", "refusal": "I won't."}]}
CUT = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
RESPONSES: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "basic": ([making.says("Hi é")], {}),
    "thinking": ([making.thinks("Hm.", "So."), making.says("Hi"), making.says("There")], {}),
    "shown": ([making.thinks(content=("Hm.",)), making.says("Hi")], {}),
    "sealed": ([making.SEALED, making.says("Hi"), *TWICE], {}),
    "calls": (TWICE, {}),
    "cited": ([making.says("It is 5.", annotations=[{**CITED, "start_index": 3}])], {}),
    "refused": ([REFUSED], {}),
    "cut": ([making.says("Hi")], CUT),
    "uncounted": ([making.says("Hi")], {"usage": None}),
}


def respond(name: str, streams: bool) -> Recorded:
    """An answer by Responses."""
    output, fields = RESPONSES[name]
    to = replay.target("openai", PRICED["openai"]).speaking("responses")
    if streams:
        return Recorded("responses", to, b"".join(making.events(*output, **fields)), True)
    return Recorded("responses", to, json.dumps(making.response(*output, **fields)).encode(), False)


THOUGHT = [
    {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}], "closed": True},
    {"type": "text", "text": "Hi"},
]
"""Mistral's form of a content."""
COUNTED = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
HEAD = {"id": "c-1", "created": 7, "model": "m", "usage": COUNTED}


def think(streams: bool) -> Recorded:
    """An answer of Mistral's."""
    to = replay.target("openai", PRICED["openai"])
    if not streams:
        message = {"role": "assistant", "tool_calls": None, "content": THOUGHT}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        body = {**HEAD, "object": "chat.completion", "choices": [choice]}
        return Recorded("chat", to, json.dumps(body).encode(), False)
    deltas: list[dict[str, Any]] = [{"content": THOUGHT[:1]}] * 2
    deltas += [{"content": THOUGHT[1:]}, {"content": " there"}, {"content": ""}]
    choices: list[dict[str, Any]] = [{"index": 0, "delta": delta} for delta in deltas]
    choices[-1]["finish_reason"] = "stop"
    chunks = [{**HEAD, "object": "chat.completion.chunk", "choices": [c]} for c in choices]
    events = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return Recorded("chat", to, "".join([*events, "data: [DONE]\n\n"]).encode(), True)


RECORDINGS = find_fixtures() | {"mistral/thinking": partial(think, False)}
RECORDINGS |= {"mistral/stream-thinking": partial(think, True)}
RECORDINGS |= {
    f"responses/{'stream-' if streams else ''}{name}": partial(respond, name, streams)
    for name in RESPONSES
    for streams in (False, True)
}
STREAMS = [name for name, make in RECORDINGS.items() if make().streams]


@cache
def parse(dialect: str, stream: bool) -> Call:
    module, fields = DIALECTS[dialect]
    fields = fields if stream else {n: v for n, v in fields.items() if n != "stream_options"}
    body = {"model": "m", "stream": stream, **fields}
    call: Call = module.parse_chat(json.dumps(body).encode())
    return call


def play(recorded: Recorded, *cuts: int) -> list[Chunk]:
    """The chunks of an answer that was asked for as a stream."""
    decoder = ADAPTERS[recorded.wire].make_decoder(recorded.target)
    size = len(recorded.body)
    places = sorted({0, *(cut % size for cut in cuts), size})
    chunks = replay.decode(decoder, [recorded.body[a:b] for a, b in pairwise(places)])
    assert decoder.finished
    return chunks


def read(recorded: Recorded) -> Answer:
    if recorded.streams:
        return replay.collect(play(recorded))
    return ADAPTERS[recorded.wire].read_answer(recorded.target, recorded.body)


def show(dialect: str, answer: Answer, served: Served) -> Understood:
    """What a caller understands of a whole answer."""
    module, _ = DIALECTS[dialect]
    return READ[dialect](json.loads(module.answer(answer, parse(dialect, False), served)))


def stream(dialect: str, chunks: Iterable[Chunk], answer: Answer, served: Served) -> Understood:
    """What a caller understands of a stream."""
    module, _ = DIALECTS[dialect]
    writer = module.writer(parse(dialect, True), served)
    data = b"".join(map(writer.chunk, chunks)) + writer.done(answer, served)
    return READ[dialect](JOIN[dialect](data))


def expect(recorded: Recorded, dialect: str) -> Understood:
    """What a caller is to understand of what a provider has said. Messages has no other place for
    a refusal than the text, and calls it the end."""
    body = recorded.body
    said = JOIN[recorded.wire](body) if recorded.streams else json.loads(body)
    meant = READ[recorded.wire](said)
    if dialect != "messages" or recorded.wire == "messages" or not meant.refusal:
        return meant
    return structs.replace(meant, text=meant.text + meant.refusal, finish="content_filter")


def serve(recorded: Recorded, **fields: Any) -> Served:
    provider, wire = recorded.target.spec.name, recorded.wire
    return structs.replace(FOREIGN, provider=provider, wire=wire, **fields)


each_dialect = pytest.mark.parametrize("dialect", DIALECTS)


@each_dialect
@pytest.mark.parametrize("name", RECORDINGS)
def test_every_caller_understands_what_was_said(name: str, dialect: str) -> None:
    recorded = RECORDINGS[name]()
    expected, answer, served = expect(recorded, dialect), read(recorded), serve(recorded)
    assert show(dialect, answer, served) == expected
    assert stream(dialect, play(recorded), answer, served) == expected


@each_dialect
@pytest.mark.parametrize("name", RECORDINGS)
def test_the_cache_says_the_same(name: str, dialect: str) -> None:
    recorded = RECORDINGS[name]()
    entry = CacheEntry(answer=read(recorded), provider="p", model="m", born=0, stored=0, ttl=9)
    kept = decode(encode(entry)).answer
    hit = structs.replace(serve(recorded, cache_status="hit"), wire="chat")
    expected = expect(recorded, dialect)
    assert show(dialect, kept, hit) == expected
    assert stream(dialect, chunks_of(kept), kept, hit) == expected


@pytest.mark.parametrize("name", [n for n in RECORDINGS if "openrouter" not in n])
def test_what_callers_are_told_costs_what_was_billed(name: str) -> None:
    recorded = RECORDINGS[name]()
    answer, prices = read(recorded), recorded.target.model.prices
    assert recorded.target.model.is_priced
    for dialect in DIALECTS:
        counts = show(dialect, answer, serve(recorded)).counts
        assert counts.cached + counts.written <= counts.input
        assert counts.reasoning <= counts.output
        used = Usage(
            input=counts.input,
            output=counts.output,
            cached=counts.cached,
            cache_write=counts.written,
        )
        if answer.usage is None:
            assert counts == Counts()
        else:
            assert prices.compute_cost(used) == prices.compute_cost(answer.usage)


@each_dialect
@given(name=st.sampled_from(STREAMS), cuts=st.lists(st.integers(0), max_size=8))
def test_where_a_stream_is_cut_says_nothing(dialect: str, name: str, cuts: list[int]) -> None:
    recorded = RECORDINGS[name]()
    chunks = play(recorded, *cuts)
    heard = stream(dialect, chunks, replay.collect(chunks), serve(recorded))
    assert heard == expect(recorded, dialect)


OTHERS = [
    (provider, case)
    for provider in ("gemini", "workers-ai", "huggingface", "local")
    for case in replay.cases(provider)
    if replay.load(provider, case).streams
    and not any(word in replay.outcomes(provider)[case] for word in ("FAULT", "UNFINISHED"))
]
"""Streams that no caller's SDK can read as they come."""


@each_dialect
@given(pair=st.sampled_from(OTHERS), cuts=st.lists(st.integers(0), max_size=8))
def test_where_a_stream_of_another_wire_is_cut_says_nothing(
    dialect: str, pair: tuple[str, str], cuts: list[int]
) -> None:
    recorded = load(*pair)
    uncut, cut = play(recorded), play(recorded, *cuts)
    heard = stream(dialect, cut, replay.collect(cut), serve(recorded))
    assert heard == stream(dialect, uncut, replay.collect(uncut), serve(recorded))


some = st.integers(0, 10**6)
texts = st.text(min_size=1, max_size=20)


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """Any answer that is whole and counted."""
    made = [
        ToolCall(id=f"call_{n}", function=FunctionCall(draw(st.sampled_from("ab")), arguments))
        for n, arguments in enumerate(draw(st.lists(st.sampled_from(['{"a":1.5}', "{}"]))))
    ]
    cached, written, fresh = draw(some), draw(some), draw(some)
    reasoning, plain = draw(some), draw(some)
    return Answer(
        text=draw(texts) if not made else draw(st.none() | texts),
        reasoning=draw(st.none() | texts),
        tool_calls=tuple(made),
        finish_reason="tool_calls" if made else draw(st.sampled_from(["stop", "length"])),
        usage=Usage(
            input=cached + written + fresh,
            output=reasoning + plain,
            cached=cached,
            cache_write=written,
            reasoning=reasoning,
        ),
        id="x",
        model="m",
    )


def tell(answer: Answer) -> Understood:
    """What an answer says."""
    used = answer.usage or Usage()
    return Understood(
        text=answer.text or "",
        reasoning=answer.reasoning or "",
        refusal="",
        calls=tuple(
            (call.id, call.function.name, json.loads(call.function.arguments or ""))
            for call in answer.tool_calls
        ),
        finish=answer.finish_reason,
        counts=Counts(
            used.input, used.output, used.cached or 0, used.cache_write or 0, used.reasoning or 0
        ),
        sources=(),
    )


FOREIGN = Served(request_id="req_1", answer_id="1", provider="gemini", model="m", wire="gemini")


@each_dialect
@given(answer=answers())
def test_any_answer_is_understood(dialect: str, answer: Answer) -> None:
    assert show(dialect, answer, FOREIGN) == tell(answer)
    assert stream(dialect, chunks_of(answer), answer, FOREIGN) == tell(answer)


WIRES: tuple[Wire, ...] = ("chat", "messages", "responses")


@pytest.mark.parametrize("wire", WIRES)
@given(answer=answers(), cuts=st.lists(st.integers(0), max_size=5), streams=st.booleans())
def test_an_answer_of_this_proxy_may_be_its_providers(
    wire: Wire, answer: Answer, cuts: list[int], streams: bool
) -> None:
    """A deployment may stand before another one."""
    module, _ = DIALECTS[wire]
    if streams:
        writer = module.writer(parse(wire, True), FOREIGN)
        body = b"".join(map(writer.chunk, chunks_of(answer))) + writer.done(answer, FOREIGN)
    else:
        body = module.answer(answer, parse(wire, False), FOREIGN)
    base = replay.target("local")
    spec = structs.replace(base.spec, endpoints={wire: Endpoint()})
    recorded = Recorded(wire, structs.replace(base, spec=spec, wire=wire), body, streams)
    for dialect in DIALECTS:
        chunks = play(recorded, *cuts)
        heard = replay.collect(chunks)
        assert show(dialect, heard, serve(recorded)) == tell(answer)
        assert stream(dialect, chunks, heard, serve(recorded)) == tell(answer)
