"""The official SDK reads what the dialect of OpenAI's Responses writes: whole, streamed and
broken."""

import json
from typing import Any

import openai as sdk
import pytest
from openai.types.responses import (
    Response,
    ResponseCustomToolCall,
    ResponseFunctionToolCall,
    ResponseReasoningItem,
    ResponseStreamEvent,
)
from pydantic import BaseModel, TypeAdapter

from proxy.core.chat import Answer, Call, Chunk, Usage
from proxy.core.errors import (
    AuthenticationFailed,
    InvalidRequest,
    NotFound,
    ProviderError,
    ProxyError,
    RateLimitExceeded,
)
from proxy.core.messages import ToolCallDelta
from proxy.dialects import responses
from tests.unit.dialects.making_responses import (
    SEALED,
    SERVED,
    USER,
    client,
    collect,
    events,
    parse,
    stream,
)

PATCH: Any = {"type": "custom", "name": "patch"}
WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
CHUNKS = (
    Chunk(reasoning="Let me see. ", model="flash-001"),
    Chunk(text="It is "),
    Chunk(text="sunny."),
    Chunk(tool_calls=(ToolCallDelta(index=0, id="call_1", name="weather"),)),
    Chunk(tool_calls=(ToolCallDelta(index=0, arguments='{"city":'),)),
    Chunk(
        tool_calls=(
            ToolCallDelta(index=0, arguments='"Paris"}'),
            ToolCallDelta(index=1, id="call_2", name="patch", arguments='{"input":"*** x"}'),
        )
    ),
    Chunk(finish_reason="tool_calls", usage=Usage(input=5, output=7, cached=2, reasoning=3)),
)
EVENTS: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)


class Weather(BaseModel):
    city: str
    sunny: bool


def call(**body: Any) -> Call:
    return parse(tools=[WEATHER, PATCH], include=SEALED, **body)


def check(response: Response) -> None:
    """That it is the answer of CHUNKS."""
    assert response.output_text == "It is sunny."
    reasoning, _, function, custom = response.output
    assert isinstance(reasoning, ResponseReasoningItem)
    assert reasoning.content
    assert reasoning.content[0].text == "Let me see. "
    assert isinstance(function, ResponseFunctionToolCall)
    assert (function.call_id, function.name) == ("call_1", "weather")
    assert function.arguments == '{"city":"Paris"}'
    assert isinstance(custom, ResponseCustomToolCall)
    assert (custom.call_id, custom.name, custom.input) == ("call_2", "patch", "*** x")
    assert response.usage
    assert response.usage.total_tokens == 12
    assert response.usage.input_tokens_details.cached_tokens == 2
    assert response.usage.output_tokens_details.reasoning_tokens == 3
    assert response.model == "flash-001"


def test_a_whole_answer() -> None:
    with client(responses.answer(collect(CHUNKS), call(), SERVED)) as caller:
        response = caller.responses.create(model="m", input="hi")
    check(response)
    assert (response.status, response.error) == ("completed", None)


def test_every_event_is_of_a_known_type() -> None:
    for event in events(stream(CHUNKS, call(stream=True))):
        assert EVENTS.validate_json(json.dumps(event)).type == event["type"]


def test_the_helper_reads_a_stream() -> None:
    kinds: list[str] = []
    with client(stream(CHUNKS, call(stream=True))) as caller:
        tools = [WEATHER, PATCH]
        with caller.responses.stream(model="m", input="hi", tools=tools) as read:
            kinds += (event.type for event in read)
            response = read.get_final_response()
    check(response)
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    parsed = [item for item in response.output if item.type == "function_call"]
    assert parsed[0].parsed_arguments == {"city": "Paris"}


def test_a_stream_of_events() -> None:
    with client(stream(CHUNKS, call(stream=True))) as caller:
        found = list(caller.responses.create(model="m", input="hi", stream=True))
    text = "".join(e.delta for e in found if e.type == "response.output_text.delta")
    assert text == "It is sunny."
    assert [event.sequence_number for event in found] == list(range(len(found)))


@pytest.mark.parametrize("streamed", [False, True])
def test_a_structured_answer(streamed: bool) -> None:
    chunks = [Chunk(text='{"city": "Paris", '), Chunk(text='"sunny": true}'), CHUNKS[-1]]
    if streamed:
        body = stream(chunks, parse(stream=True))
        with (
            client(body) as caller,
            caller.responses.stream(model="m", input="hi", text_format=Weather) as read,
        ):
            parsed = read.get_final_response().output_parsed
    else:
        with client(responses.answer(collect(chunks), parse(), SERVED)) as caller:
            parsed = caller.responses.parse(
                model="m", input="hi", text_format=Weather
            ).output_parsed
    assert parsed == Weather(city="Paris", sunny=True)


def test_what_it_answers_can_go_back() -> None:
    with client(responses.answer(collect(CHUNKS), call(), SERVED)) as caller:
        response = caller.responses.create(model="m", input="hi")
    items = [item.model_dump(exclude_none=True) for item in response.output]
    message = parse(input=[USER, *items], tools=[WEATHER, PATCH]).chat.messages[1]
    assert (message.content, message.reasoning_content) == ("It is sunny.", "Let me see. ")
    assert message.tool_calls
    assert [(c.id, c.function.name) for c in message.tool_calls] == [
        ("call_1", "weather"),
        ("call_2", "patch"),
    ]


def test_a_stream_that_was_cut_short() -> None:
    chunks = [Chunk(text="It is"), Chunk(finish_reason="length")]
    body = stream(chunks, parse(stream=True))
    with client(body) as caller, caller.responses.stream(model="m", input="hi") as read:
        last = list(read)[-1]
    assert last.type == "response.incomplete"
    assert last.response.incomplete_details
    assert last.response.incomplete_details.reason == "max_output_tokens"
    assert last.response.output_text == "It is"


def test_a_stream_that_breaks() -> None:
    writer = responses.writer(parse(stream=True), SERVED)
    body = b"".join(map(writer.chunk, CHUNKS[:2]))
    body += writer.error(ProviderError("It broke."), "req_1", 0)
    with client(body) as caller, caller.responses.stream(model="m", input="hi") as read:
        *_, error, last = read
    assert error.type == "error"
    assert error.message == "It broke."
    assert last.type == "response.failed"
    assert last.response.error
    assert last.response.error.message == "It broke."


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (InvalidRequest("input: Missing", param="input"), sdk.BadRequestError),
        (NotFound("No model.", param="model", code="model_not_found"), sdk.BadRequestError),
        (AuthenticationFailed("No key."), sdk.AuthenticationError),
        (RateLimitExceeded("Slow down."), sdk.RateLimitError),
        (ProviderError("It broke."), sdk.InternalServerError),
    ],
)
def test_errors_are_its_own_exceptions(error: ProxyError, kind: type[sdk.APIStatusError]) -> None:
    body = responses.error(error, "req_1", 0)
    with client(body, responses.status(error)) as caller, pytest.raises(kind) as caught:
        caller.responses.create(model="m", input="hi")
    assert error.message in caught.value.message


def test_the_count_of_tokens() -> None:
    with client(responses.input_tokens(9)) as caller:
        assert caller.responses.input_tokens.count(model="m", input="hi").input_tokens == 9


def test_an_answer_with_everything_else() -> None:
    cited = {"url": "https://a.test", "title": "A", "start_index": 0, "end_index": 2}
    token = {"token": "Hi", "logprob": -0.1, "bytes": [72, 105], "top_logprobs": []}
    answer = Answer(
        text="Hi",
        refusal="No.",
        logprobs={"content": [token]},
        extra={
            "annotations": [{"type": "url_citation", "url_citation": cited}],
            "images": [{"image_url": {"url": "data:image/png;base64,AAAA"}}],
        },
    )
    wanted = parse(include=["message.output_text.logprobs"], reasoning={"summary": "auto"})
    body = responses.answer(answer, wanted, SERVED)
    assert Response.model_validate_json(body, strict=True).output_text == "Hi"
