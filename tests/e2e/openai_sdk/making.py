"""What requests of the SDK are made of."""

from typing import Any

PROVIDERS = [
    "gemini",
    "deepseek",
    "groq",
    "openai",
    "openrouter",
    "huggingface",
    "local",
    "workers-ai",
]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def user(text: str) -> Any:
    return [{"role": "user", "content": text}]


def without_fallback(**more: Any) -> dict[str, Any]:
    return {"fallback": False, **more}
