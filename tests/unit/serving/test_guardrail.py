"""What the guardrail lets a provider see, and what its caller gets back, in every dialect."""

import json
import re

import pytest

from tests.unit.routing.making import event, whole
from tests.unit.serving.guarded import MAIL, MASK, REFUSE, message, played, post
from tests.unit.serving.making import (
    NATIVE,
    OPENAI,
    House,
    by_host,
    completion_of,
    stream_of,
    tool_call,
)
from tests.unit.serving.turns import PATHS, ask
from tests.unit.serving.understanding import JOIN, READ

OTHER, CARD = "ann@y.example", "4111 1111 1111 1111"
PROVIDERS = ("openai", "anthropic", "gemini", "groq", "workers-ai")
each_dialect = pytest.mark.parametrize("dialect", PATHS)
each_way = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


def sent_text(house: House) -> str:
    """All that providers got."""
    bodies = [outgoing.body or b"" for outgoing in house.upstream.sent]
    joined = [body if isinstance(body, bytes) else b"".join(map(bytes, body)) for body in bodies]
    return json.dumps([json.loads(body) for body in joined], ensure_ascii=False)


@each_way
@pytest.mark.parametrize("provider", PROVIDERS)
@each_dialect
async def test_no_provider_sees_it_and_its_caller_has_it_back(
    dialect: str, provider: str, stream: bool
) -> None:
    house = played(**MASK)
    body = {"model": f"{provider}/auto", "stream": stream, "fallback": False}
    text = f"I am {MAIL}, {CARD}, {MAIL}; not [EMAIL_1]."
    if dialect == "chat" and stream:
        body["stream_options"] = {"include_usage": True}
    answer = await post(house, PATHS[dialect], body | ask(dialect, text))
    assert answer.status == 200, answer.body
    seen = sent_text(house)
    assert MAIL not in seen and "4111" not in seen
    assert "I am [EMAIL_2], [CARD_1], [EMAIL_2]; not [EMAIL_1]." in seen
    read = READ[dialect](JOIN[dialect](answer.body) if stream else answer.json)
    assert read.text == f"echo: {text}"
    for name in ("kv", "r2"):
        held = b"".join(data for data, _ in getattr(house, name).held.values())
        assert MAIL.encode() not in held and b"4111" not in held
    assert MAIL not in repr(house.log.lines)


@each_way
@each_dialect
async def test_an_entry_holds_the_placeholder_and_each_caller_has_its_own_back(
    dialect: str, stream: bool
) -> None:
    house = played(**MASK)

    async def say(mail: str) -> str:
        body = {"model": "openai/auto", "stream": stream, "fallback": False}
        answer = await post(house, PATHS[dialect], body | ask(dialect, f"I am {mail}."))
        assert answer.status == 200, answer.body
        read = READ[dialect](JOIN[dialect](answer.body) if stream else answer.json)
        return str(read.text)

    for _ in range(4):  # the same bytes again, too
        assert await say(MAIL) == f"echo: I am {MAIL}."
        assert await say(OTHER) == f"echo: I am {OTHER}."
    house.leave()
    assert await say(MAIL) == f"echo: I am {MAIL}."
    assert await say(OTHER) == f"echo: I am {OTHER}."
    assert len(house.upstream.sent) == 1


@each_dialect
async def test_refused_with_the_field_and_never_the_value(dialect: str) -> None:
    house = played(**REFUSE)
    answer = await post(house, PATHS[dialect], {"model": "auto"} | ask(dialect, f"I am {MAIL}."))
    assert answer.status == 400
    field = "input[0].content" if dialect == "responses" else "messages[0].content"
    assert f"{field}: It holds an e-mail address" in answer.body.decode()
    assert MAIL not in answer.body.decode() + repr(house.log.lines)
    assert house.upstream.sent == []
    answer = await post(house, PATHS[dialect], {"model": "openai/auto"} | ask(dialect, "Hello"))
    assert answer.status == 200


@pytest.mark.parametrize("name", ["x_session_id", "session_id", "cf_aig_session_id"])
async def test_the_name_of_a_conversation_goes_on_as_its_digest(name: str) -> None:
    house = played(**MASK)
    for text in ("Hello", "And?"):
        answer = await post(house, OPENAI, message(text), **{name: MAIL})
        assert answer.status == 200, answer.body
    assert MAIL not in sent_text(house)
    assert MAIL not in repr([outgoing.headers for outgoing in house.upstream.sent])
    first, second = (body["prompt_cache_key"] for body in house.sent_bodies)
    assert first == second and re.fullmatch("[0-9a-f]{64}", first)
    assert (await post(house, OPENAI, message("Plain"), **{name: "s-1"})).status == 200
    assert house.sent_bodies[-1]["prompt_cache_key"] == "s-1"
    house = played(**REFUSE)
    answer = await post(house, OPENAI, message("Hello"), **{name: MAIL})
    assert (answer.status, house.upstream.sent) == (400, [])
    assert "The name of the conversation holds an e-mail address" in answer.body.decode()


async def test_off_sees_nothing() -> None:
    house = played()
    assert (await post(house, OPENAI, message(f"I am {MAIL}."))).status == 200
    assert MAIL in sent_text(house)
    assert house.app.services.guard is None


async def test_a_hit_that_is_streamed_in_pieces_has_every_value_back() -> None:
    house = House(by_host(openai=whole("x" + "[EMAIL_1]" * 40)), **MASK)
    for stream in (False, True):
        answer = await house.post(OPENAI, stream=stream, messages=message(MAIL)["messages"])
        assert answer.text == "x" + MAIL * 40
    assert len(house.sent) == 1


async def test_a_placeholder_that_comes_in_pieces() -> None:
    pieces = ("Dear [", "EMA", "IL_1", "], [E", " and [EMAIL_1")
    reply = stream_of(*(event({"content": piece}) for piece in pieces), event({}, "stop"))
    for path in (NATIVE, OPENAI):
        house = House(by_host(openai=reply), **MASK)
        answer = await house.post(path, stream=True, messages=message(MAIL)["messages"])
        assert answer.text == f"Dear {MAIL}, [E and [EMAIL_1"


async def test_what_waits_comes_before_the_error_of_a_stream_that_breaks() -> None:
    reply = stream_of(event({"content": "Dear [EMAIL"}), ConnectionError("gone"))
    house = House(by_host(openai=reply), **MASK)
    answer = await house.post(OPENAI, stream=True, messages=message(MAIL)["messages"])
    texts = [
        data["choices"][0]["delta"].get("content") or ""
        for data in answer.events
        if data != "[DONE]" and data.get("choices")
    ]
    assert "".join(texts) == "Dear [EMAIL"
    assert "error" in answer.events[-1]


@each_way
async def test_arguments_of_tools_are_json_whatever_comes_back(stream: bool) -> None:
    env = MASK | {"REDACT_PATTERNS": 'NAME=Joe "the man" \\\\ X'}
    value = 'Joe "the man" \\ X'
    arguments = '{"to":"[NAME_1]"}'
    call = {"index": 0, "id": "c", "type": "function"}
    pieces = (
        event({"tool_calls": [call | {"function": {"name": "f", "arguments": '{"to":"[NA'}}]}),
        event({"tool_calls": [{"index": 0, "function": {"arguments": 'ME_1]"}'}}]}),
        event({}, "tool_calls"),
    )
    reply = stream_of(*pieces) if stream else tool_call("f", arguments)
    house = House(by_host(openai=reply), **env)
    answer = await house.post(OPENAI, stream=stream, messages=message(f"Mail {value}")["messages"])
    if stream:
        told = "".join(
            delta["function"]["arguments"]
            for data in answer.events
            if data != "[DONE]"
            for delta in data["choices"][0]["delta"].get("tool_calls", ())
        )
    else:
        told = answer.json["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(told) == {"to": value}


@each_way
async def test_an_answer_with_a_schema_is_json_of_it(stream: bool) -> None:
    env = MASK | {"REDACT_PATTERNS": 'NAME=Joe "the man"'}
    text = '{"to":"[NAME_1]"}'
    reply = whole(text)
    if stream:
        reply = stream_of(event({"content": text[:9]}), event({"content": text[9:]}, "stop"))
    house = House(by_host(openai=reply), **env)
    schema = {"name": "a", "schema": {"type": "object", "properties": {"to": {"type": "string"}}}}
    form = {"type": "json_schema", "json_schema": schema}
    for _ in range(2):  # anew, and from the cache
        answer = await house.post(
            OPENAI,
            stream=stream,
            messages=message('I am Joe "the man"')["messages"],
            response_format=form,
        )
        assert json.loads(answer.text) == {"to": 'Joe "the man"'}
    assert len(house.sent) == 1


@each_way
async def test_reasoning_and_refusals_have_it_back(stream: bool) -> None:
    said = {"reasoning_content": "ask [EMAIL_1]", "refusal": "not [EMAIL_1]"}
    reply = completion_of({"role": "assistant", "content": None, **said})
    if stream:
        reply = stream_of(*(event({n: t}) for n, t in said.items()), event({}, "stop"))
    house = House(by_host(openai=reply), **MASK)
    answer = await house.post(OPENAI, stream=stream, messages=message(MAIL)["messages"])
    assert f"ask {MAIL}" in answer.body.decode() and f"not {MAIL}" in answer.body.decode()
    assert "[EMAIL_1]" not in answer.body.decode()


async def test_a_kept_response_is_its_owners() -> None:
    house = played(**MASK)
    body = {"model": "openai/auto", "instructions": f"You serve {MAIL}."}
    first = await post(house, PATHS["responses"], body | {"input": f"Mail {MAIL}"})
    assert first.json["instructions"] == f"You serve {MAIL}."
    kept = await house.fetch("GET", f"/v1/responses/{first.json['id']}")
    assert kept.json == first.json
    follow = {"input": f"And {OTHER}?", "previous_response_id": first.json["id"]}
    second = await post(house, PATHS["responses"], body | follow)
    assert READ["responses"](second.json).text == f"echo: And {OTHER}?"
    assert MAIL not in sent_text(house) and OTHER not in sent_text(house)
    assert "[EMAIL_1]" in sent_text(house) and "[EMAIL_2]" in sent_text(house)


async def test_each_request_of_a_batch_is_masked_by_itself() -> None:
    house = played(**MASK)
    requests = [{"model": "openai/auto", "prompt": f"I am {mail}."} for mail in (MAIL, OTHER)]
    for stream in (False, True):
        answer = await post(house, "/v1/batch", {"requests": requests, "stream": stream})
        assert answer.status == 200
        told = (
            [data for data in answer.events if "response" in data]
            if stream
            else answer.json["results"]
        )
        texts = {result["index"]: result["response"]["data"] for result in told}
        assert texts == {0: f"echo: I am {MAIL}.", 1: f"echo: I am {OTHER}."}
    assert "x.example" not in sent_text(house) and "y.example" not in sent_text(house)


@pytest.mark.parametrize("limit", ["10000", "50"], ids=["here", "in parts"])
@pytest.mark.parametrize("guard", [MASK, REFUSE], ids=["mask", "refuse"])
async def test_a_batch_in_parts_hides_as_much(guard: dict[str, str], limit: str) -> None:
    house = played(**guard, SUBREQUEST_LIMIT=limit)
    count = 30 if limit == "50" else 6
    requests = [
        {"model": "openai/auto", "prompt": f"I am {n} {MAIL if n % 2 else ''}."}
        for n in range(count)
    ]
    answer = await post(house, "/v1/batch", {"requests": requests})
    assert bool(house.batches.calls) is (limit == "50")
    statuses = [result["status"] for result in answer.json["results"]]
    refused = 400 if guard is REFUSE else 200
    assert statuses == [refused if n % 2 else 200 for n in range(count)]
    assert MAIL not in sent_text(house)
    if guard is MASK:
        assert MAIL in answer.json["results"][1]["response"]["data"]
        assert all(MAIL.encode() not in chunk for _, chunk in house.batches.calls)


async def test_texts_to_embed_are_masked_and_numbers_of_tokens_refused() -> None:
    house = played(**MASK)
    body = {"model": "openai/text-embedding-3-small", "input": [f"I am {MAIL}"]}
    assert (await post(house, "/v1/embeddings", body)).status == 200
    assert "[EMAIL_1]" in sent_text(house) and MAIL not in sent_text(house)
    for tokens in ([1, 2], [[1, 2], [3]]):
        answer = await post(house, "/v1/embeddings", body | {"input": tokens})
        assert answer.status == 400
        assert "token numbers" in answer.json["error"]["message"]


async def test_what_the_operator_says_in_an_alias_goes_as_it_is() -> None:
    house = played(**MASK)
    alias = {"name": "help", "targets": [{"model": "openai/auto"}], "system": "Mail ops@z.example"}
    assert (await post(house, "/admin/aliases", alias)).status == 201
    answer = await post(house, OPENAI, message(f"I am {MAIL}", model="help"))
    assert answer.text == f"echo: I am {MAIL}"
    assert "ops@z.example" in sent_text(house) and MAIL not in sent_text(house)


async def test_only_the_kinds_that_are_wanted_and_ones_own() -> None:
    env = MASK | {"GUARDRAIL_KINDS": "card", "REDACT_PATTERNS": "STAFF=EMP-[0-9]{3}"}
    house = played(**env)
    assert (await post(house, OPENAI, message(f"{MAIL} {CARD} EMP-123"))).status == 200
    assert f"{MAIL} [CARD_1] [STAFF_1]" in sent_text(house)


@each_way
async def test_a_stream_of_the_callers_own_dialect_does_not_flow_by(stream: bool) -> None:
    house = played(**MASK)
    body = {"model": "anthropic/auto", "stream": stream} | ask("messages", f"I am {MAIL}")
    answer = await post(house, PATHS["messages"], body, anthropic_version="2023-06-01")
    assert MAIL in answer.body.decode()
    assert "[EMAIL_1]" not in answer.body.decode()
