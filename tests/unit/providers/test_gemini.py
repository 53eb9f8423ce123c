"""Reading Gemini's answers and streams."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.chat import ChatRequest
from proxy.core.errors import Fault
from proxy.core.messages import Message
from proxy.providers import gemini
from tests.unit.providers import replay

TO = replay.target("gemini", "gemini-3-flash-preview")
SIGNED = {"google": {"thought_signature": "s"}}


def response(*parts: Any, finish: str | None = "STOP", **fields: Any) -> bytes:
    candidate = {"content": {"role": "model", "parts": list(parts)}, "finishReason": finish}
    whole = {"candidates": [candidate], "responseId": "r", "modelVersion": "m"}
    return json.dumps({**whole, **fields}).encode()


def refusal(body: bytes) -> Fault:
    with pytest.raises(Fault) as raised:
        gemini.read_answer(TO, body)
    return raised.value


# Whole answers


def test_an_answer() -> None:
    answer = gemini.read_answer(
        TO,
        response(
            {"text": "Thinking", "thought": True},
            {"text": "A"},
            {"executableCode": {"code": "1"}, "thoughtSignature": "other"},
            {"text": "B", "thoughtSignature": "s"},
            {"functionCall": {"name": "f"}, "thoughtSignature": "t"},
            usageMetadata={
                "promptTokenCount": 10,
                "toolUsePromptTokenCount": 2,
                "candidatesTokenCount": 3,
                "thoughtsTokenCount": 4,
                "cachedContentTokenCount": 5,
            },
        ),
    )
    assert (answer.text, answer.reasoning, answer.id, answer.model) == ("AB", "Thinking", "r", "m")
    assert answer.extra == {"extra_content": SIGNED}
    (call,) = answer.tool_calls
    assert (call.function.name, call.function.arguments) == ("f", "{}")
    assert call.extra_content == {"google": {"thought_signature": "t"}}
    assert (answer.finish_reason, answer.raw) == ("tool_calls", None)
    assert replay.describe_usage(answer.usage) == "tokens=12+7 cached=5 reasoning=4"


def test_what_it_signed_comes_back_signed() -> None:
    body = replay.load("gemini", "parallel-tools").body
    answer = gemini.read_answer(TO, body)
    message = Message(role="assistant", content=answer.text, tool_calls=answer.tool_calls)
    sent = replay.decode_body(gemini.build_request(TO, ChatRequest(messages=(message,))))
    parts = json.loads(body)["candidates"][0]["content"]["parts"]
    expected = [
        {**part, "functionCall": {**part["functionCall"], "id": call.id}}
        for part, call in zip(parts, answer.tool_calls, strict=True)
    ]
    assert sent["contents"][1]["parts"] == expected


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("SPII", "content_filter"),
        ("max_tokens", "length"),
        ("FINISH_REASON_MAX_TOKENS", "length"),
        ("IMAGE_RECITATION", "content_filter"),
        ("A_NEW_ONE", "A_NEW_ONE"),
    ],
)
def test_finish_reasons(reason: str, expected: str) -> None:
    assert gemini.read_answer(TO, response(finish=reason)).finish_reason == expected
    [chunk], finished = played(response({"text": "Hi"}, finish=reason))
    assert (chunk.finish_reason, finished) == (expected, True)


def test_a_stop_after_a_call_is_tool_calls() -> None:
    answer = gemini.read_answer(TO, response({"functionCall": {"name": "f"}}))
    assert answer.finish_reason == "tool_calls"


@pytest.mark.parametrize("reason", ["error", "NETWORK_ERROR", "CANCELLED", "other"])
def test_reasons_that_are_failures_whatever_their_case(reason: str) -> None:
    assert f"The answer broke off: {reason}." in refusal(response(finish=reason)).message


STRANGE = {
    "no candidates": b'data: {"candidates": []}\n\n',
    "null candidates": b'data: {"candidates": null}\n\n',
    "an id alone": b'data: {"responseId": "x"}\n\n',
    "an object of another kind": b'data: {"warning": "x"}\n\n',
    "feedback that blocks nothing": b'data: {"promptFeedback": {}}\n\n',
    "null": b"data: null\n\n",
    "a number": b"data: 5\n\n",
    "a ping": b"event: ping\ndata: 2026\n\n",
}


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("frame", STRANGE.values(), ids=STRANGE)
def test_a_frame_without_candidates_is_passed_over(frame: bytes, place: int) -> None:
    pieces = [response({"text": text}, finish=end) for text, end in (("H", None), ("i", "STOP"))]
    frames = [b"data: " + piece + b"\n\n" for piece in pieces]
    frames.insert(place, frame)
    decoder = gemini.make_decoder(TO)
    answer = replay.collect(replay.decode(decoder, frames))
    assert (answer.text, answer.finish_reason, decoder.finished) == ("Hi", "stop", True)


def test_a_stream_of_nothing_but_strange_frames_says_what_came() -> None:
    with pytest.raises(Fault, match="holds no chunk: 5"):
        replay.decode(gemini.make_decoder(TO), [STRANGE["a number"]])


def test_what_a_gateway_adds() -> None:
    whole = b"data: " + response({"text": "Hi"}) + b"\n\n"
    decoder = gemini.make_decoder(TO)
    decoded = replay.decode(decoder, [whole, b"data: [DONE]\n\n", b"data: <p>late</p>\n\n"])
    assert (replay.collect(decoded).text, decoder.over) == ("Hi", True)
    with pytest.raises(Fault, match="the limit"):
        replay.decode(gemini.make_decoder(TO), [whole, b"event: error\ndata: the limit\n\n"])


@pytest.mark.parametrize("reason", ["OTHER", "UNEXPECTED_TOOL_CALL", "LANGUAGE"])
def test_reasons_that_mean_no_answer(reason: str) -> None:
    expected = f"FAULT unavailable None code={reason.lower()} 'The answer broke off: {reason}.'"
    assert replay.describe_fault(refusal(response(finish=reason))) == expected


def test_why_a_prompt_was_blocked() -> None:
    feedback = {"blockReason": "MODEL_ARMOR", "blockReasonMessage": "It is a jailbreak."}
    answer = gemini.read_answer(TO, json.dumps({"promptFeedback": feedback}).encode())
    expected = "'' content_filter refusal='The prompt was blocked: MODEL_ARMOR. It is a jailbreak.'"
    assert replay.describe(answer) == f"{expected} tokens=?"


def test_log_probabilities() -> None:
    result = {
        "chosenCandidates": [{"token": "A", "logProbability": -0.5}, {"token": "B"}],
        "topCandidates": [{"candidates": [{"token": "A", "logProbability": -0.5}]}],
    }
    candidate = {"finishReason": "STOP", "logprobsResult": result}
    answer = gemini.read_answer(TO, json.dumps({"candidates": [candidate]}).encode())
    first = {"token": "A", "logprob": -0.5, "bytes": None}
    assert answer.logprobs == {
        "content": [
            {**first, "top_logprobs": [first]},
            {"token": "B", "logprob": None, "bytes": None, "top_logprobs": []},
        ]
    }


def test_empty_log_probabilities_are_none() -> None:
    candidate = {"finishReason": "STOP", "logprobsResult": {}}
    assert gemini.read_answer(TO, json.dumps({"candidates": [candidate]}).encode()).logprobs is None


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"Not now.", "JSON is malformed: invalid character (byte 0): Not now."),
        (b"{}", "It has no candidate with a finish reason: {}"),
        (b'{"candidates":[]}', "It has no candidate with a finish reason: "),
        (b'{"usageMetadata":{}}', "It has no candidate with a finish reason: "),
        (b'{"candidates":[{}]}', "It has no candidate with a finish reason: "),
        (response({"functionCall": {}}), "missing required field `name`"),
    ],
)
def test_an_answer_without_what_is_needed_is_garbage(body: bytes, why: str) -> None:
    fault = refusal(body)
    assert fault.kind == "garbage"
    assert why in fault.message


@pytest.mark.parametrize("odd", ["1e999", "5", "{}"])
def test_odd_names_of_an_answer_do_not_make_it_unreadable(odd: str) -> None:
    whole = response({"text": "Hi"}, responseId="ODD", modelVersion="ODD")
    answer = gemini.read_answer(TO, whole.replace(b'"ODD"', odd.encode()))
    assert (answer.text, answer.id, answer.model) == ("Hi", None, None)


def test_an_error_under_status_200() -> None:
    fault = refusal(replay.load("gemini", "error-429").body)
    assert (fault.kind, fault.status, fault.retry_after) == ("rate_limited", 429, 31.0)


@given(
    case=st.sampled_from(["tools", "reasoning", "safety", "prompt-blocked"]),
    name=st.text(min_size=1).map(lambda name: f"x{name}"),
    value=st.none() | st.integers() | st.text() | st.lists(st.text()),
)
def test_unknown_fields_break_nothing(case: str, name: str, value: Any) -> None:
    plain = replay.load("gemini", case).body

    def grown(part: Any) -> Any:
        if isinstance(part, list):
            return [grown(item) for item in part]
        if isinstance(part, dict) and "city" not in part:  # arguments are the model's own
            return {name: value} | {key: grown(item) for key, item in part.items()}
        return part

    more = json.dumps(grown(json.loads(plain))).encode()
    assert gemini.read_answer(TO, more) == gemini.read_answer(TO, plain)


# Streams


def played(*bodies: bytes) -> tuple[list[Any], bool]:
    decoder = gemini.make_decoder(TO)
    pieces = [b"data: " + body + b"\r\n\r\n" for body in bodies]
    return replay.decode(decoder, pieces), decoder.finished


def test_the_usage_goes_out_with_the_finish_reason() -> None:
    high, low = {"promptTokenCount": 145}, {"promptTokenCount": 85, "candidatesTokenCount": 15}
    chunks, finished = played(
        response({"text": "It"}, finish=None, usageMetadata=high),
        response({"text": " is"}, usageMetadata=low),
    )
    assert [chunk.text for chunk in chunks] == ["It", " is"]
    assert [replay.describe_usage(chunk.usage) for chunk in chunks] == ["tokens=?", "tokens=85+15"]
    assert finished


def test_usage_after_the_finish_reason_counts() -> None:
    early, late = ({"promptTokenCount": 85, "candidatesTokenCount": n} for n in (2, 15))
    chunks, _ = played(
        response({"text": "It is"}, usageMetadata=early),
        json.dumps({"usageMetadata": late}).encode(),
    )
    assert replay.describe_usage(chunks[-1].usage) == "tokens=85+15"


def test_candidates_without_a_count_are_what_is_left_of_the_total() -> None:
    counts = {"promptTokenCount": 3, "thoughtsTokenCount": 5, "totalTokenCount": 15}
    answer = gemini.read_answer(TO, response({"text": "A"}, usageMetadata=counts))
    assert replay.describe_usage(answer.usage) == "tokens=3+12 reasoning=5"


@pytest.mark.parametrize("counts", [{}, {"trafficType": "ON_DEMAND"}, None])
def test_usage_without_a_number_is_no_usage(counts: Any) -> None:
    answer = gemini.read_answer(TO, response({"text": "A"}, usageMetadata=counts))
    assert answer.usage is None


IMAGE = {"inlineData": {"mimeType": "image/png", "data": "aWk="}}
SHOWN = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aWk="}}


def test_images_of_the_answer_stand_beside_its_text() -> None:
    answer = gemini.read_answer(TO, response({"text": "Here:"}, IMAGE, IMAGE))
    assert answer.text == "Here:"
    assert answer.extra == {"images": [SHOWN | {"index": 0}, SHOWN | {"index": 1}]}


def test_images_of_a_stream_come_one_after_the_other() -> None:
    (first, second), _ = played(response(IMAGE, finish=None), response(IMAGE))
    assert first.has_content
    assert [chunk.extra["images"][0]["index"] for chunk in (first, second)] == [0, 1]


def test_what_is_drawn_while_thinking_is_no_image_of_the_answer() -> None:
    assert gemini.read_answer(TO, response({**IMAGE, "thought": True}, {"text": "A"})).extra == {}


def test_a_stream_that_breaks_off_tells_its_usage_at_the_end() -> None:
    chunks, finished = played(
        response({"text": "It"}, finish=None, usageMetadata={"promptTokenCount": 9})
    )
    assert [chunk.usage_only for chunk in chunks] == [False, True]
    assert replay.describe_usage(chunks[1].usage) == "tokens=9+0"
    assert not finished


def test_a_response_of_nothing_but_usage() -> None:
    counts = {"promptTokenCount": 9, "candidatesTokenCount": 1}
    chunks, finished = played(
        json.dumps({"usageMetadata": counts}).encode(), response({"text": "Hi"})
    )
    assert (len(chunks), finished) == (1, True)
    assert replay.describe_usage(chunks[0].usage) == "tokens=9+1"


def test_halves_of_characters_are_joined_or_replaced() -> None:
    def piece(text: str, **fields: Any) -> bytes:
        return response({"text": "MARK"}, **fields).replace(b"MARK", text.encode())

    bodies = (
        piece(r"a\ud83d", finish=None),
        piece(r"\ude00b\ud83d", finish=None),
        piece(r"c\ud83d"),
    )
    chunks, finished = played(*bodies)
    assert finished
    assert "".join(chunk.text for chunk in chunks) == "a\N{GRINNING FACE}b\ufffdc\ufffd"
    assert gemini.read_answer(replay.target("gemini"), bodies[2]).text == "c\ufffd"


def test_calls_of_a_stream_are_counted_through() -> None:
    call = {"functionCall": {"name": "f", "args": {}}}
    chunks, _ = played(response(call, finish=None), response(call), response())
    ids = [(call.index, call.id) for chunk in chunks for call in chunk.tool_calls]
    assert [index for index, _ in ids] == [0, 1]
    assert len({id_ for _, id_ in ids}) == 2
    assert [chunk.finish_reason for chunk in chunks] == [None, "tool_calls", "tool_calls"]


def test_a_list_in_place_of_a_stream_may_be_broken() -> None:
    decoder = gemini.make_decoder(TO)
    decoder.feed(b'[{"candidates": [')
    with pytest.raises(Fault) as raised:
        decoder.end()
    assert raised.value.kind == "garbage"


def test_one_response_in_place_of_a_stream() -> None:
    decoder = gemini.make_decoder(TO)
    chunks = replay.decode(decoder, [response({"text": "Hi"})])
    assert (replay.describe(replay.collect(chunks)), decoder.finished) == (
        "'Hi' stop tokens=?",
        True,
    )
