"""Builds messages and tools in OpenAI's form, where the caller's dialect was another."""

from typing import Any

from msgspec import Struct, structs

from proxy.core.chat import ChatRequest
from proxy.core.errors import invalid
from proxy.core.json_guard import Decoder
from proxy.core.messages import Part, Tool, ToolCall
from proxy.providers.garbage import UNREADABLE
from proxy.providers.target import Target


class _File(Struct):
    file_url: str | None = None


_FILE = Decoder(_File)


def build_message(target: Target, chat: ChatRequest, place: int) -> dict[str, Any]:
    """A message of a request, by its place. Raises InvalidRequest for a file by its address."""
    message = chat.messages[place]
    content: Any = message.content
    if not isinstance(content, str | None):
        content = [_build_part(target, part, f"messages[{place}]") for part in content]
    extra = message.extra_content
    if extra and chat.dialect != "chat":  # of another provider's turn it would be noise
        extra = {name: state for name, state in extra.items() if name == target.spec.name}
    fields = {
        "role": message.role,
        "content": content,
        "name": message.name,
        "tool_calls": [_build_call(target, call) for call in message.tool_calls or ()] or None,
        "tool_call_id": message.tool_call_id,
        "reasoning_content": message.reasoning_content,
        "refusal": message.refusal,
        "extra_content": extra or None,
    }
    return {k: v for k, v in fields.items() if v is not None or k == "content"}


def build_tool(tool: Tool) -> dict[str, Any]:
    """A tool. Chat completions have a grammar one level deeper than Responses."""
    custom = tool.custom
    if tool.type != "custom" or custom is None:
        return {"type": tool.type, "function": tool.function}
    form = dict(custom.format or {})
    if form.get("type") == "grammar" and "grammar" not in form:
        form = {"type": form.pop("type"), "grammar": form}
    return {"type": "custom", "custom": structs.replace(custom, format=form or None)}


def _build_part(target: Target, part: Part, place: str) -> Part:
    if part.type == "file" and _has_address(part):
        raise invalid(place, f"{target.spec.name} takes no file by its URL.")
    if part.cache_control is None or target.spec.cache_marks:
        return part
    return structs.replace(part, cache_control=None)


def _has_address(part: Part) -> bool:
    try:
        return _FILE.decode(part.file).file_url is not None
    except UNREADABLE:
        return False


def _build_call(target: Target, call: ToolCall) -> dict[str, Any]:
    if not target.spec.custom_tools:
        call = call.as_function_call()
    called: Any = call.function
    if call.type == "custom":
        called = {"name": called.name, "input": called.arguments}
    fields = {"id": call.id, "type": call.type, call.type: called}
    return fields | ({"extra_content": call.extra_content} if call.extra_content else {})
