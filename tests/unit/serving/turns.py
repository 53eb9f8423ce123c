"""What callers of every dialect say: a question, a tool that they offer, and its result."""

from typing import Any

PATHS = {
    "native": "/v1/generate",
    "chat": "/v1/chat/completions",
    "messages": "/v1/messages",
    "responses": "/v1/responses",
}
WITH_TOOLS = {"perplexity": "perplexity/perplexity/sonar", "local": "local/qwen3"}
"""Models for tools, where that of `auto` has none."""
CALLED = {"city": "Paris"}
RESULT = "18 degrees"
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"name": "get_weather", "description": "The weather.", "parameters": PARAMETERS}


def ask(dialect: str, text: str) -> dict[str, Any]:
    if dialect == "responses":
        return {"input": [{"role": "user", "content": text}]}
    said = {"messages": [{"role": "user", "content": text}]}
    return said | ({"max_tokens": 500} if dialect == "messages" else {})


def offer(dialect: str) -> dict[str, Any]:
    """The tool, as a caller of the dialect offers it."""
    if dialect == "messages":
        named = {name: FUNCTION[name] for name in ("name", "description")}
        return {"tools": [{**named, "input_schema": PARAMETERS}]}
    if dialect == "responses":
        return {"tools": [{"type": "function", **FUNCTION, "strict": False}]}
    return {"tools": [{"type": "function", "function": FUNCTION}]}


def give_result(dialect: str, body: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """The next turn: what was said so far, the answer as it came, and the tool's result."""
    if dialect == "responses":
        called = [item for item in answer["output"] if item["type"] == "function_call"]
        result = {"call_id": called[0]["call_id"], "output": RESULT}
        items = [*answer["output"], {"type": "function_call_output", **result}]
        return body | {"input": [*body["input"], *items]}
    if dialect == "messages":
        [id_] = [block["id"] for block in answer["content"] if block["type"] == "tool_use"]
        result = {"type": "tool_result", "tool_use_id": id_, "content": RESULT}
        turn = [{"role": "assistant", "content": answer["content"]}]
        return body | {
            "messages": [*body["messages"], *turn, {"role": "user", "content": [result]}]
        }
    if dialect == "chat":
        message = answer["choices"][0]["message"] | {"role": "assistant"}
    else:
        message = {"role": "assistant", "content": None, "tool_calls": answer["toolCalls"]}
    id_ = message["tool_calls"][0]["id"]
    for call in message["tool_calls"]:
        call["type"] = "function"
    result = {"role": "tool", "tool_call_id": id_, "content": RESULT}
    return body | {"messages": [*body["messages"], message, result]}
