"""The callers' dialects as their callers see them: requests, answers, streams and errors."""

from typing import Any

import httpx

from tests.e2e.sse import events

PATHS = {
    "native": "/v1/generate",
    "openai": "/v1/chat/completions",
    "messages": "/v1/messages",
    "responses": "/v1/responses",
}
Told = list[tuple[str, Any]]
"""A stream: the names of its events with their data."""


def body_of(dialect: str, prompt: str) -> dict[str, Any]:
    """A request's fields that hold a prompt."""
    message = {"role": "user", "content": prompt}
    match dialect:
        case "messages":
            return {"messages": [message], "max_tokens": 4000}
        case "responses":
            return {"input": [message], "store": False}
        case _:
            return {"messages": [message]}


def told_by(answer: httpx.Response) -> Told:
    """What an answer tells, as the events of a stream; a whole answer is one without a name. A
    provider's own stream may break off within an event, which is then as far as it goes; callers of
    Messages are spared it."""
    if answer.headers["content-type"].startswith("text/event-stream"):
        return list(events(answer, cut=b'"message_start"' not in answer.content))
    return [("", answer.json())]


def text(told: Told) -> str:
    """The text of an answer of any dialect."""
    return "".join(_text(data) for _, data in told if isinstance(data, dict))


def _text(data: dict[str, Any]) -> str:
    if "choices" in data:
        said = [choice.get("delta") or choice.get("message") for choice in data["choices"]]
        return "".join(part.get("content") or "" for part in said if part)
    kind = data.get("type")
    if kind == "content_block_delta":
        return str(data["delta"].get("text", ""))
    if kind == "response.output_text.delta":
        return str(data["delta"])
    items = data.get("output", [data] if kind == "message" else None)
    if items is None:
        return str((data.get("text") or data.get("data") or "") if kind is None else "")
    return "".join(part.get("text", "") for item in items for part in item.get("content", ()))


def is_whole(dialect: str, told: Told) -> bool:
    """Whether an answer is complete, as its dialect says it."""
    name, last = told[-1]
    if dialect == "openai":
        return bool(last == "[DONE]" or last["choices"][0]["finish_reason"] == "stop")
    if dialect == "messages":
        return name == "message_stop" or last.get("stop_reason") == "end_turn"
    if dialect == "responses":
        return bool((last.get("response") or last)["status"] == "completed")
    return name == "done" or last.get("success") is True


def error_of(dialect: str, told: Told) -> dict[str, Any]:
    """The error in which a stream ended; it is in the form on which the SDKs raise."""
    name, last = told[-1]
    if dialect == "openai":
        assert last["choices"][0]["finish_reason"] == "error"
        return dict(last["error"])
    if dialect == "responses":
        return _failure_of(told)
    assert name == "error", told[-1]
    assert dialect == "native" or last["type"] == "error"
    assert not any(name in ("message_stop", "done") for name, _ in told)
    return dict(last["error"])


UNREAD = 15
"""Events that a provider's stream may be further at its caller than the proxy has read of it: it
reads every half a second what has gone by."""


def _failure_of(told: Told) -> dict[str, Any]:
    """`error` and then `response.failed`, which say the same, numbered on: a provider's own stream
    may be a little further at its caller than the proxy has read of it."""
    (first, error), (last, failed) = told[-2:]
    assert (first, last) == ("error", "response.failed"), told[-2:]
    numbers = [data.get("sequence_number", -1) for _, data in told]
    assert numbers[-1] == numbers[-2] + 1
    assert numbers[-2] >= len(numbers) - UNREAD - 2
    response = failed["response"]
    assert response["status"] == "failed"
    assert response["error"] == {name: error[name] for name in ("code", "message")}
    assert not any(name == "response.completed" for name, _ in told)
    return dict(error)
