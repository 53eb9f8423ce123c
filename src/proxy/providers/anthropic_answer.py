"""Reads what a provider of Messages answers, and what its blocks mean in OpenAI's terms.

The whole message goes on as it came for callers of the same dialect (`native`): blocks that are not
read here survive there.
"""

from typing import Any

from msgspec import Raw, Struct, structs

from proxy.core.chat import Answer, Native, Usage, Wire
from proxy.core.json_guard import Decoder
from proxy.core.loose_json import as_object, as_objects, as_text
from proxy.core.messages import FunctionCall, JSONObject, ToolCall
from proxy.core.splice import NULL
from proxy.providers.anthropic_turns import THINKING
from proxy.providers.finish import check_finish, infer_finish, read_finish
from proxy.providers.garbage import decode, garbage
from proxy.providers.native_fault import read_inner_fault
from proxy.providers.surrogates import mend
from proxy.providers.target import Target
from proxy.providers.tool_calls import make_call_id, read_arguments
from proxy.providers.usage import Counts, believe, is_absent, read_cost, read_object

WIRE: Wire = "messages"
_NUMBERS = (int, float)
_CITATIONS = b'"citations"'


class _Block(Struct):
    type: str = ""
    text: str | None = None
    thinking: str | None = None
    id: Any = None
    name: str | None = None
    input: Raw = NULL


class _Message(Struct):
    content: Raw = NULL
    id: Any = None
    model: Any = None
    stop_reason: Any = None
    stop_details: Any = None
    usage: Raw = NULL
    type: Any = None
    error: Any = None


_MESSAGE = Decoder(_Message, float_hook=float)  # 1e999 is infinite, and no error
_BLOCKS = Decoder(list[_Block])
_ANY_BLOCKS = Decoder(object, float_hook=float)


def read_answer(target: Target, body: bytes) -> Answer:
    """Reads a whole answer. Raises Fault."""
    body = mend(body)
    message = decode(target, _MESSAGE, body)
    if message.error or message.type == "error":
        raise read_inner_fault(target, body)
    if is_absent(message.content):
        raise garbage(target, "It has no content", body)
    check_finish(target, message.stop_reason)
    content = bytes(message.content)
    blocks = decode(target, _BLOCKS, content)
    calls = [block for block in blocks if block.type == "tool_use"]
    made = tuple(_read_call(target, call, n, message.id) for n, call in enumerate(calls))
    texts = [block.text for block in blocks if block.type == "text" and block.text is not None]
    thought = "".join(block.thinking or "" for block in blocks if block.type == "thinking")
    extra: JSONObject = {}
    if any(block.type in THINKING for block in blocks) or _CITATIONS in content:
        whole = as_objects(decode(target, _ANY_BLOCKS, content))
        extra = wrap_thinking(target, [block for block in whole if block.get("type") in THINKING])
        extra |= list_sources(whole)
    called = bool(calls)
    return Answer(
        text="".join(texts) if texts or not called else None,
        reasoning=thought or None,
        refusal=read_refusal(message.stop_reason, message.stop_details),
        tool_calls=made,
        finish_reason=read_finish(message.stop_reason, called) or infer_finish(called),
        usage=read_usage(target, read_object(message.usage)),
        model=as_text(message.model),
        id=as_text(message.id),
        extra=extra,
        native=Native(WIRE, body),
    )


def wrap_thinking(target: Target, blocks: list[JSONObject]) -> JSONObject:
    """The field of an answer's message that holds what the provider wants back of its thinking."""
    return {"extra_content": {target.spec.name: {"thinking_blocks": blocks}}} if blocks else {}


def list_sources(blocks: list[JSONObject]) -> JSONObject:
    """The field of an answer's message that holds what its texts cite by an address, in the form
    of chat completions. A citation is about the whole of its block."""
    annotations: list[JSONObject] = []
    end = 0
    for block in blocks:
        if block.get("type") != "text":
            continue
        begin, end = end, end + len(as_text(block.get("text")) or "")
        for citation in as_objects(block.get("citations")):
            if url := as_text(citation.get("url")):
                source = {"url": url, "title": as_text(citation.get("title")) or ""}
                place = {"start_index": begin, "end_index": end}
                annotations.append({"type": "url_citation", "url_citation": {**source, **place}})
    return {"annotations": annotations} if annotations else {}


def read_refusal(reason: object, details: object) -> str | None:
    """The provider's words for why it refused; None where it did not, or says nothing."""
    return as_text(as_object(details).get("explanation")) if reason == "refusal" else None


def read_usage(target: Target, fields: JSONObject) -> Usage | None:
    """The tokens of a report. What was read from the cache and written to it is counted beside the
    rest of the prompt."""
    cached = fields.get("cache_read_input_tokens")
    written = fields.get("cache_creation_input_tokens")
    prompt = [count for count in (fields.get("input_tokens"), cached, written) if count is not None]
    if not all(type(count) in _NUMBERS and count >= 0 for count in prompt):
        return None
    counts = Counts(
        input=sum(prompt) if prompt else None,
        output=fields.get("output_tokens"),
        cached=cached,
        cache_write=written,
        cache_write_1h=as_object(fields.get("cache_creation")).get("ephemeral_1h_input_tokens"),
        reasoning=as_object(fields.get("output_tokens_details")).get("thinking_tokens"),
    )
    usage = believe(target, counts)
    return usage and structs.replace(usage, cost=read_cost(target, fields))


def _read_call(target: Target, block: _Block, index: int, answer_id: object) -> ToolCall:
    arguments = read_arguments(target, bytes(block.input))
    name = block.name or ""
    id_ = as_text(block.id) or make_call_id(answer_id, index, name, arguments)
    return ToolCall(id=id_, function=FunctionCall(name, arguments))
