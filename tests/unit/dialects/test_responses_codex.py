"""What Codex sends, and what it insists on in the stream that it gets."""

import json
from typing import Any

from proxy.core.chat import Chunk, Usage
from proxy.core.errors import InvalidRequest, ProviderError, ProxyError, RateLimitExceeded
from proxy.core.messages import BridgedTool, ToolCall, ToolCallDelta
from proxy.dialects import responses
from tests.unit.dialects.making_responses import SERVED, collect, events, parse

PATCH = {
    "type": "custom",
    "name": "apply_patch",
    "description": "Edits files.",
    "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"},
}
EXEC = {
    "type": "function",
    "name": "exec_command",
    "description": "Runs a command.",
    "strict": False,
    "parameters": {"type": "object", "properties": {"cmd": {"type": "string"}}},
}
SERVER = {"type": "namespace", "name": "mcp__files", "tools": [{**EXEC, "name": "read"}]}
BODY: dict[str, Any] = {
    "model": "m",
    "instructions": "You are a coding agent.",
    "input": [
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "p"}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Fix it."}]},
    ],
    "tools": [EXEC, PATCH, SERVER, {"type": "web_search"}, {"type": "tool_search"}],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "reasoning": {"effort": "medium", "summary": "auto"},
    "store": False,
    "stream": True,
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": "thread_1",
    "text": {"verbosity": "low"},
    "client_metadata": {"x-codex-installation-id": "i"},
}
BLOCK = {"type": "thinking", "thinking": "Let me see.", "signature": "sig"}
STATE = {"extra_content": {"anthropic": {"thinking_blocks": [BLOCK]}}}
CHUNKS = (
    Chunk(reasoning="Let me "),
    Chunk(reasoning="see."),
    Chunk(extra=STATE),
    Chunk(text="I patch it."),
    Chunk(tool_calls=(ToolCallDelta(id="c0", name="mcp__files__read", arguments='{"cmd":'),)),
    Chunk(tool_calls=(ToolCallDelta(arguments='"x"}'),)),
    Chunk(tool_calls=(ToolCallDelta(index=1, id="c1", name="apply_patch"),)),
    Chunk(tool_calls=(ToolCallDelta(index=1, arguments='{"input": "*** Begin\\n+1"}'),)),
    Chunk(finish_reason="tool_calls", usage=Usage(input=50, output=9, reasoning=4)),
)


class Reader:
    """Reads a stream as Codex does: the items as they are done, all else for show only."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self.shown = ""
        self.usage: dict[str, int] = {}
        self.failed: dict[str, str] = {}
        self.is_complete = False

    def read(self, data: bytes) -> None:
        for event in events(data):
            match event["type"]:
                case "response.output_item.done":
                    self.items.append(event["item"])
                case "response.output_text.delta":
                    self.shown += event["delta"]
                case "response.reasoning_summary_text.delta":
                    assert isinstance(event["summary_index"], int)
                case "response.reasoning_text.delta":
                    assert isinstance(event["content_index"], int)
                case "response.completed":
                    assert event["response"]["id"]
                    usage = event["response"]["usage"]
                    names = ("input_tokens", "output_tokens", "total_tokens")
                    self.usage = {name: usage[name] for name in names}
                    self.is_complete = True
                case "response.failed":
                    self.failed = event["response"]["error"]


def read(data: bytes) -> Reader:
    reader = Reader()
    reader.read(data)
    return reader


def answer() -> bytes:
    writer = responses.writer(parse(**BODY), SERVED)
    written = b"".join(map(writer.chunk, CHUNKS))
    return written + writer.done(collect(CHUNKS), SERVED)


def test_its_request() -> None:
    call = parse(**BODY)
    assert [message.role for message in call.chat.messages] == ["system", "developer", "user"]
    names = [tool.named.name for tool in call.chat.tools if tool.named]
    assert names == ["exec_command", "apply_patch", "mcp__files__read"]
    assert call.bridged == {
        "apply_patch": BridgedTool("apply_patch", custom=True),
        "mcp__files__read": BridgedTool("read", "mcp__files"),
    }
    assert call.dropped == ("tools.web_search", "tools.tool_search")
    assert call.session == "thread_1"
    assert (call.chat.reasoning_effort, call.chat.reasoning_summary) == ("medium", "auto")
    assert call.chat.native_only == ""
    assert json.loads(call.chat.body or b"") == BODY


def test_its_stream() -> None:
    reader = read(answer())
    assert reader.is_complete
    assert reader.shown == "I patch it."
    assert reader.usage == {"input_tokens": 50, "output_tokens": 9, "total_tokens": 59}
    reasoning, message, function, custom = reader.items
    assert reasoning["summary"] == [{"type": "summary_text", "text": "Let me see."}]
    assert reasoning["encrypted_content"]
    assert message["content"][0]["text"] == "I patch it."
    assert (function["namespace"], function["name"]) == ("mcp__files", "read")
    assert (function["call_id"], function["arguments"]) == ("c0", '{"cmd":"x"}')
    assert (custom["name"], custom["input"]) == ("apply_patch", "*** Begin\n+1")


def test_its_next_request() -> None:
    outputs = [
        {"type": "function_call_output", "call_id": "c0", "output": "text"},
        {"type": "custom_tool_call_output", "call_id": "c1", "output": "Done."},
    ]
    # Codex leaves the ids of items out, and repeats all else.
    items = [{n: v for n, v in item.items() if n != "id"} for item in read(answer()).items]
    call = parse(**{**BODY, "input": [*BODY["input"], *items, *outputs]})
    said, *results = call.chat.messages[3:]
    assert (said.content, said.reasoning_content) == ("I patch it.", "Let me see.")
    assert said.extra_content == STATE["extra_content"]
    assert said.tool_calls
    assert [(c.id, c.function.name, c.type) for c in said.tool_calls] == [
        ("c0", "mcp__files__read", "function"),
        ("c1", "apply_patch", "custom"),
    ]
    as_function: ToolCall = said.tool_calls[1].as_function_call()
    assert json.loads(as_function.function.arguments or "") == {"input": "*** Begin\n+1"}
    assert [m.tool_call_id for m in results] == ["c0", "c1"]
    # The reasoning is another provider's than OpenAI: its part of the body is taken out.
    given = json.loads(call.chat.body or b"")["input"]
    assert [item["type"] for item in given] == [
        "message",
        "message",
        "message",
        "function_call",
        "custom_tool_call",
        "function_call_output",
        "custom_tool_call_output",
    ]


def test_a_broken_stream_leaves_nothing_half_said_in_its_conversation() -> None:
    writer = responses.writer(parse(**BODY), SERVED)
    reader = read(b"".join(map(writer.chunk, CHUNKS[:4])))
    reader.read(writer.error(ProviderError("It broke."), "req_1", 0))
    assert reader.shown == "I patch it."
    assert [item["type"] for item in reader.items] == ["reasoning"]


def failure(error: ProxyError) -> dict[str, str]:
    writer = responses.writer(parse(**BODY), SERVED)
    reader = read(writer.chunk(CHUNKS[0]) + writer.error(error, "req_1", 0))
    assert not reader.is_complete
    return reader.failed


def test_its_failures() -> None:
    too_long = InvalidRequest("Too long.", code="context_length_exceeded")
    assert failure(too_long)["code"] == "context_length_exceeded"
    limited = RateLimitExceeded("Slow down.", retry_after=4)
    assert failure(limited) == {
        "code": "rate_limit_exceeded",
        "message": "Slow down. Please try again in 4s.",
    }
    assert failure(ProviderError("It broke."))["code"] == "server_error"
