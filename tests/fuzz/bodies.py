"""Valid bodies of every path, from which hostile ones are made."""

from typing import Any

from tests.upstream.anthropic_checks import signature

PROMPT = "And now?"
"""Where the Worker's cases tell the scripted upstream what to answer."""
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CACHED = {"type": "ephemeral"}
PNG = "iVBORw0KGgo="
MESSAGES: dict[str, Any] = {
    "model": "",
    "max_tokens": 4000,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": CACHED}],
    "messages": [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": signature("Hm.")},
                {"type": "text", "text": "Well."},
                {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Bonn"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "content": [{"type": "text", "text": "sunny"}],
                    "is_error": False,
                },
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": "image/png", "data": PNG},
                },
                {"type": "text", "text": PROMPT, "cache_control": CACHED},
            ],
        },
    ],
    "tools": [{"name": "weather", "description": "Tells it.", "input_schema": SCHEMA}],
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "metadata": {"user_id": "u-1"},
    "stop_sequences": ["END"],
    "temperature": 1,
    "stream": False,
    "fallback": False,
    "timeout": 20_000,
}
RESPONSES: dict[str, Any] = {
    "model": "",
    "instructions": "Be brief.",
    "input": [
        {"role": "user", "content": "Hi"},
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "Hm."}],
            "encrypted_content": "gAAAAupstream1",
        },
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Well.", "annotations": []}],
        },
        {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "call_1",
            "name": "weather",
            "arguments": '{"city": "Bonn"}',
        },
        {"type": "function_call_output", "call_id": "call_1", "output": "sunny"},
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": PROMPT},
                {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"},
            ],
        },
    ],
    "tools": [
        {"type": "function", "name": "weather", "parameters": SCHEMA, "strict": False},
        {"type": "custom", "name": "patch", "description": "Edits."},
    ],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "max_output_tokens": 4000,
    "reasoning": {"effort": "low", "summary": "auto"},
    "text": {"format": {"type": "text"}, "verbosity": "low"},
    "include": ["reasoning.encrypted_content"],
    "metadata": {"k": "v"},
    "prompt_cache_key": "k",
    "previous_response_id": None,
    "store": False,
    "stream": False,
    "fallback": False,
    "timeout": 20_000,
}
CALL = {
    "id": "c1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "Bonn"}'},
}
CHAT: dict[str, Any] = {
    "model": "",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Well.", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": PROMPT},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
            ],
        },
    ],
    "tools": [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}],
    "tool_choice": "auto",
    "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}},
    "reasoning_effort": "low",
    "max_tokens": 100,
    "temperature": 0.5,
    "stop": ["END"],
    "seed": 7,
    "logit_bias": {"1": 1},
    "user": "u-1",
    "metadata": {"k": "v"},
    "stream": False,
    "stream_options": {"include_usage": True},
    "models": ["groq/auto"],
    "fallback": False,
    "cache": {"mode": "on", "ttl": 60},
    "provider": {"sort": "price", "order": ["openai"]},
    "timeout": 20_000,
}
NATIVE: dict[str, Any] = {
    "model": "",
    "messages": CHAT["messages"],
    "tools": CHAT["tools"],
    "toolChoice": "auto",
    "maxTokens": 100,
    "temperature": 0.5,
    "topP": 0.9,
    "stop": ["END"],
    "responseFormat": {"type": "text"},
    "metadata": {"k": "v"},
    "stream": False,
    "models": ["groq/auto"],
    "fallback": False,
    "cache": {"mode": "on", "ttl": 60},
    "timeout": 20_000,
}
SHORT = [{"role": "user", "content": PROMPT}]
ALIAS: dict[str, Any] = {
    "name": "fuzz",
    "targets": [{"model": "openai/gpt-4o", "weight": 3}, {"model": "groq/auto"}],
    "strategy": "weighted",
    "defaults": {"temperature": 0.5, "system": "Be brief."},
    "fixed": {"maxTokens": 10},
}
KEY: dict[str, Any] = {
    "user": "eve",
    "name": "n",
    "note": "o",
    "providers": ["openai"],
    "models": ["gpt-*"],
    "limits": {"perHour": 100, "burst": 5, "requestsPerMinute": 5, "tokensPerMinute": 1000},
    "budget": {"day": 1.5, "month": 20},
    "cacheScope": "tenant",
    "passthrough": False,
    "expiresAt": "2099-01-01T00:00:00Z",
}
EMBEDDINGS: dict[str, Any] = {
    "model": "",
    "input": [PROMPT, "b"],
    "dimensions": 256,
    "encoding_format": "float",
    "user": "u-1",
}
COMPLETION = {"model": "openai/gpt-3.5-turbo-instruct", "prompt": PROMPT, "max_tokens": 5}
MEDIA = {"model": "openai/gpt-image-1", "prompt": PROMPT, "input": PROMPT, "n": 1}
BODIES: dict[str, list[dict[str, Any]]] = {
    "/v1/generate": [NATIVE, {"model": "", "prompt": PROMPT}],
    "/v1/chat/completions": [CHAT, {"model": "", "messages": SHORT}],
    "/v1/messages": [MESSAGES, {"model": "", "messages": SHORT, "max_tokens": 50}],
    "/v1/messages/count_tokens": [MESSAGES, {"model": "", "messages": SHORT}],
    "/v1/responses": [RESPONSES, {"model": "", "input": PROMPT, "store": True}],
    "/v1/responses/input_tokens": [RESPONSES, {"model": "", "input": PROMPT}],
    "/v1/embeddings": [EMBEDDINGS],
    "/v1/batch": [{"requests": [NATIVE, {"model": "", "prompt": PROMPT}], "stream": False}],
    "/v1/completions": [COMPLETION],
    "/admin/aliases": [ALIAS],
    "/admin/aliases/NAME": [ALIAS],
    "/admin/keys": [KEY, {"user": "eve"}],
    "/admin/keys/ID": [KEY],
    "/admin/keys/ID/rotate": [{"overlapSeconds": 60}],
    "/admin/budgets/NAME": [{"day": 1.5, "month": 20}],
}
OTHER = [MEDIA, CHAT, NATIVE, MESSAGES, RESPONSES]
"""For the paths that are not named."""
