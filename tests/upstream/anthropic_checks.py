"""What Anthropic refuses, as far as a proxy's mistakes could cause it."""

import hashlib
import re
from collections.abc import Iterator
from typing import Any

from .reply import RejectedError, names
from .request import Json

FIELDS = names(
    "model max_tokens messages system tools tool_choice thinking output_config stop_sequences"
    " stream temperature top_p top_k cache_control metadata service_tier thread"
)
BETA_FIELDS = {"context_management": "context-management-2025-06-27"}
"""Fields that are taken where the header `anthropic-beta` names what brings them."""
BLOCKS = {
    "user": names("text image document search_result tool_result"),
    "assistant": names("text thinking redacted_thinking tool_use"),
    "system": names("text"),
}
_ID = re.compile(r"[a-zA-Z0-9_-]+")
NEW_VERSION = "2026-10-21"


def unknown_fields(body: Json, headers: Json) -> list[str]:
    """Fields that Anthropic does not take of a request with these headers."""
    betas = headers.get("anthropic-beta", "").split(",")
    return sorted(body.keys() - FIELDS - {f for f, beta in BETA_FIELDS.items() if beta in betas})


def check_messages(body: Json, headers: Json) -> None:
    """Raises RejectedError for the first thing that Anthropic would not take."""
    version = headers.get("anthropic-version", "")
    for field in unknown_fields(body, headers):
        _refuse(f"{field}: Extra inputs are not permitted")
    for field, kind in (("model", str), ("max_tokens", int), ("messages", list)):
        if field not in body:
            _refuse(f"{field}: Field required")
        if not isinstance(body[field], kind):
            _refuse(f"{field}: Input should be a valid {kind.__name__}")
    if (body.get("thread") or {}).get("type") == "continue":
        raise RejectedError(404, "This thread was not found", "thread_not_found")
    if "none" in body["model"]:
        raise RejectedError(404, f"model: {body['model']}", "not_found_error")
    for field in ("temperature", "top_p", "top_k"):
        if version == NEW_VERSION and field in body:
            _refuse(f"{field}: Extra inputs are not permitted")
    if not 0 <= body.get("temperature", 0) <= 1:
        _refuse("temperature: range: 0..1")
    _check_conversation(body["messages"])
    _check_tools(body)
    _check_thinking(body)


def signature(thinking: str) -> str:
    """What Anthropic signs a thinking block with."""
    return "Sig" + hashlib.sha256(thinking.encode()).hexdigest()


def blocks(content: Any) -> list[Json]:
    """A content's blocks, whichever form it came in."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def texts(content: Any) -> Iterator[str]:
    """The texts of a content, those in a tool's results too."""
    for block in blocks(content or []):
        if block["type"] == "text":
            yield block["text"]
        elif block["type"] == "tool_result":
            yield from texts(block.get("content"))


def _refuse(message: str) -> None:
    raise RejectedError(400, message, "invalid_request_error")


def _check_conversation(messages: list[Json]) -> None:
    if not messages:
        _refuse("messages: at least one message is required")
    open_calls: set[str] = set()
    for index, message in enumerate(messages):
        where = f"messages.{index}"
        role = message.get("role", "")
        if role not in BLOCKS:
            _refuse(f"{where}.role: Input should be 'user', 'assistant' or 'system'")
        given = blocks(message.get("content"))
        for number, block in enumerate(given):
            _check_block(block, role, f"{where}.content.{number}")
        results = [b["tool_use_id"] for b in given if b["type"] == "tool_result"]
        if set(results) != open_calls or len(results) != len(open_calls):
            _refuse(f"{where}: `tool_use` ids were found without `tool_result` blocks immediately")
        if any(b["type"] != "tool_result" for b in given[: len(results)]):
            _refuse(f"{where}: `tool_result` blocks must come first")
        open_calls = {b["id"] for b in given if b["type"] == "tool_use"}
    if messages[0]["role"] != "user" or open_calls:
        _refuse('messages: first message must use the "user" role, calls must be answered')


def _check_block(block: Json, role: str, where: str) -> None:
    kind = block.get("type")
    if kind not in BLOCKS[role]:
        _refuse(
            f"{where}: Input tag '{kind}' found using 'type' does not match any of the expected"
            " tags"
        )
    if kind == "text" and not block.get("text"):
        _refuse(f"{where}.text: text content blocks must be non-empty")
    if kind == "tool_use" and not (_ID.fullmatch(block["id"]) and isinstance(block["input"], dict)):
        _refuse(f"{where}: tool_use.id should match pattern '^[a-zA-Z0-9_-]+$', input is an object")
    if kind == "thinking" and block["signature"] != signature(block["thinking"]):
        _refuse(f"{where}: Invalid `signature` in `thinking` block")
    if kind == "redacted_thinking" and not block["data"].startswith("Red"):
        _refuse(f"{where}: Invalid `data` in `redacted_thinking` block")
    if kind == "image" and block["source"]["type"] not in ("base64", "url"):
        _refuse(f"{where}.source: Input tag does not match any of the expected tags")


def _check_tools(body: Json) -> None:
    for index, tool in enumerate(body.get("tools") or []):
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", tool.get("name", "")):
            _refuse(f"tools.{index}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
        if tool.get("type", "custom") != "custom" or not isinstance(tool.get("input_schema"), dict):
            _refuse(f"tools.{index}.input_schema: Field required")
    if body.get("tool_choice") and not body.get("tools"):
        _refuse("tool_choice: may only be specified while providing tools")


def _check_thinking(body: Json) -> None:
    thinking = body.get("thinking") or {}
    if thinking.get("type") == "enabled":
        budget = thinking.get("budget_tokens", 0)
        if not 1024 <= budget < body["max_tokens"]:
            _refuse("max_tokens: must be greater than thinking.budget_tokens, which is >= 1024")
    is_on = thinking.get("type") in ("enabled", "adaptive")
    if is_on and (body.get("tool_choice") or {}).get("type") in ("any", "tool"):
        _refuse("Thinking may not be enabled when tool_choice forces tool use.")
