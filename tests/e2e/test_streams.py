"""Streams as providers really send them, over real sockets: frames that are no chunks, sockets that
stay open or break, halves of characters, fields that are refused, connections that are closed."""

import json
import time
from typing import Any

import httpx
import pytest
from openai import OpenAI

from tests.e2e.sse import events

CHAT, NATIVE = "/v1/chat/completions", "/v1/generate"
HEAD = {"id": "c-1", "object": "chat.completion.chunk", "created": 7, "model": "m-1"}
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
DONE = "data: [DONE]\n\n"


def frame(delta: dict[str, Any], finish: str | None = None, **beside: Any) -> str:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    return f"data: {json.dumps({**HEAD, 'choices': choices, **beside})}\n\n"


ROLE = frame({"role": "assistant", "content": ""})
HELLO = frame({"content": "Hello"})
STOP = frame({}, "stop")
COUNTED = f"data: {json.dumps({**HEAD, 'choices': [], 'usage': USAGE})}\n\n"
STRANGE = [
    'data: {"choices": null}\n\n',
    'data: {"hook_results": {}}\n\n',
    'data: {"warning": "soon gone"}\n\n',
    "event: ping\ndata: {}\n\n",
    "event: ping\n\n",
    "data:\n\n",
]


def ask(proxy: httpx.Client, prompt: str, path: str = CHAT, **fields: Any) -> httpx.Response:
    asked = {"messages": [{"role": "user", "content": prompt}], "model": "groq/llama-3.3-70b"}
    body = {**asked, "fallback": False, "stream": True, **fields}
    return proxy.post(path, json=body)


def text(told: list[tuple[str, Any]]) -> str:
    """The text of a stream in either dialect."""
    whole = ""
    for _, data in told:
        if isinstance(data, dict) and "choices" in data:
            whole += "".join(c["delta"].get("content") or "" for c in data["choices"])
        elif isinstance(data, dict):
            whole += data.get("text", "")
    return whole


@pytest.mark.parametrize("path", [CHAT, NATIVE])
def test_frames_without_choices_are_passed_over(
    proxy: httpx.Client, script: Any, path: str
) -> None:
    frames = [*STRANGE, ROLE, *STRANGE, HELLO, STOP, *STRANGE, DONE]
    told = list(events(ask(proxy, script(groq={"frames": frames}), path)))
    assert text(told) == "Hello"
    assert told[-1][1] == "[DONE]" if path == CHAT else told[-1][0] == "done"


@pytest.mark.parametrize("path", [CHAT, NATIVE])
@pytest.mark.parametrize("tail", ["stall_after", "break_after"])
def test_what_comes_of_the_socket_after_done_changes_nothing(
    proxy: httpx.Client, script: Any, received: Any, path: str, tail: str
) -> None:
    frames = [ROLE, HELLO, STOP, COUNTED, DONE]
    prompt = script(f"{path} {tail}", groq={"frames": frames, tail: len(frames)})
    began = time.monotonic()
    told = list(events(ask(proxy, prompt, path)))
    assert time.monotonic() - began < 1.4  # the deployment's IDLE_TIMEOUT_MS is 1500
    assert text(told) == "Hello"
    assert told[-1][1] == "[DONE]" if path == CHAT else told[-1][0] == "done"
    hit = ask(proxy, prompt, path)
    assert hit.headers["cf-aig-cache-status"] == "HIT"
    assert len(received()) == 1
    if tail == "stall_after":
        assert _ending(received) == "client_gone"


def test_an_ordinary_stream_is_read_to_its_end(
    proxy: httpx.Client, script: Any, received: Any
) -> None:
    assert text(list(events(ask(proxy, script("Ordinary."))))) == "echo: Ordinary."
    assert _ending(received) == "complete"


def test_a_finish_reason_ends_a_stream_whose_socket_stays_open(
    proxy: httpx.Client, script: Any
) -> None:
    frames = [ROLE, HELLO, STOP]
    began = time.monotonic()
    prompt = script("Still open.", groq={"frames": frames, "stall_after": len(frames)})
    told = list(events(ask(proxy, prompt)))
    assert time.monotonic() - began < 4
    assert (text(told), told[-1][1]) == ("Hello", "[DONE]")
    assert ask(proxy, prompt).headers["cf-aig-cache-status"] == "HIT"


def test_an_error_after_the_finish_reason_is_told(proxy: httpx.Client, script: Any) -> None:
    error = 'data: {"error":{"message":"Token limit reached","code":400},"choices":[]}\n\n'
    prompt = script(groq={"frames": [ROLE, HELLO, frame({}, "length"), error, DONE]})
    told = list(events(ask(proxy, prompt)))
    assert "Token limit reached" in told[-1][1]["error"]["message"]
    assert ask(proxy, prompt).headers["cf-aig-cache-status"] == "MISS"


def test_a_stream_without_a_finish_reason_is_whole_if_it_is_counted(
    proxy: httpx.Client, script: Any
) -> None:
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f"}}
    frames = [ROLE, frame({"tool_calls": [call]}), COUNTED, DONE]
    told = list(events(ask(proxy, script("Call.", groq={"frames": frames}))))
    assert told[-1][1] == "[DONE]"
    assert told[-2][1]["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(("said", "seen"), [("MAX_TOKENS", "length"), ("odd_end", "odd_end")])
def test_finish_reasons(proxy: httpx.Client, script: Any, said: str, seen: str) -> None:
    frames = [HELLO, frame({}, said), DONE]
    prompt = script(f"Finish {said}.", groq={"frames": frames})
    told = list(events(ask(proxy, prompt)))
    assert told[-2][1]["choices"][0]["finish_reason"] == seen
    cached = ask(proxy, prompt).headers["cf-aig-cache-status"]
    assert cached == ("HIT" if seen == "length" else "MISS")


def test_a_character_cut_over_two_chunks_is_joined(proxy: httpx.Client, script: Any) -> None:
    frames = [frame({"content": "\ud83d"}), frame({"content": "\ude00 \ud83d"}), STOP, DONE]
    assert "\\ud83d" in frames[0]
    prompt = script("Smile.", groq={"frames": frames})
    for _ in range(2):
        answer = ask(proxy, prompt)
        assert text(list(events(answer))) == "\U0001f600 \ufffd"


def test_halves_of_characters_that_callers_send_are_refused(proxy: httpx.Client) -> None:
    body = b'{"model":"groq/fast","messages":[{"role":"user","content":"\\ud83d"}]}'
    answer = proxy.post(CHAT, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] is None


def test_an_index_used_again_reads_as_two_calls_with_the_sdk(open_url: str, script: Any) -> None:
    def call(id_: str, arguments: str) -> str:
        function = {"name": "f", "arguments": arguments}
        return frame({"tool_calls": [{"index": 0, "id": id_, "function": function}]})

    frames = [call("a", '{"n":1}'), call("b", '{"n":2}'), frame({}, "tool_calls"), DONE]
    client = OpenAI(api_key="k", base_url=f"{open_url}/v1", max_retries=0)
    with client.chat.completions.stream(
        model="groq/llama-3.3-70b",
        messages=[{"role": "user", "content": script(groq={"frames": frames})}],
    ) as stream:
        made = stream.get_final_completion().choices[0].message.tool_calls or []
    assert [(c.id, c.function.arguments) for c in made] == [("a", '{"n":1}'), ("b", '{"n":2}')]


def test_an_event_of_several_lines_goes_on(proxy: httpx.Client, script: Any) -> None:
    folded = HELLO.replace(', "choices"', ',\ndata: "choices"')
    told = list(events(ask(proxy, script(groq={"frames": [folded, STOP, DONE]}))))
    assert (text(told), told[-1][1]) == ("Hello", "[DONE]")


def test_a_refused_field_of_the_proxys_own_is_left_out(
    proxy: httpx.Client, script: Any, received: Any
) -> None:
    refusal = {"status": 400, "message": "Unrecognized request argument: encoding_format"}
    for prompt in (script("Red.", huggingface={**refusal, "times": 1}), script("Green.")):
        asked = {"model": "huggingface/org/embed", "input": prompt, "encoding_format": "base64"}
        answer = proxy.post("/v1/embeddings", json=asked)
        assert answer.status_code == 200, answer.text
        assert isinstance(answer.json()["data"][0]["embedding"], str)
    assert ["encoding_format" in r["body"] for r in received()] == [True, False, False]


def test_a_whole_answer_that_takes_too_long_is_closed(
    proxy: httpx.Client, script: Any, received: Any
) -> None:
    prompt = script("Slow.", groq={"body_delay_ms": 20_000})
    answer = ask(proxy, prompt, stream=False, timeout=700)
    assert answer.status_code == 504
    assert _ending(received) == "client_gone"


def test_a_hit_has_the_fields_of_the_miss(proxy: httpx.Client, script: Any) -> None:
    beside: dict[str, Any] = {
        "system_fingerprint": "fp",
        "service_tier": "flex",
        "x_new": {"a": [1]},
    }
    frames = [
        frame({"role": "assistant", "reasoning": "Hm."}, **beside),
        frame({"content": "Hello"}, "stop", **beside),
        COUNTED,
        DONE,
    ]
    prompt = script("Fields.", groq={"frames": frames})
    for cache in ("MISS", "HIT"):
        answer = ask(proxy, prompt)
        assert answer.headers["cf-aig-cache-status"] == cache
        chunks = [data for _, data in events(answer) if data != "[DONE]"]
        deltas = [c["choices"][0]["delta"] for c in chunks]
        assert "".join(delta.get("reasoning") or "" for delta in deltas) == "Hm."
        assert not any("reasoning_content" in delta for delta in deltas)
        assert all(c["system_fingerprint"] == "fp" for c in chunks)
        assert chunks[-1]["x_new"] == {"a": [1]}
        assert {c["created"] for c in chunks} == {7}
    whole = ask(proxy, prompt, stream=False).json()
    assert (whole["service_tier"], whole["x_new"], whole["usage"]) == ("flex", {"a": [1]}, USAGE)


def _ending(received: Any) -> str:
    """How the upstream saw its first answer end."""
    for _ in range(100):
        if (ended := received()[0]["ended"]) != "open":
            return str(ended)
        time.sleep(0.05)
    return "open"
