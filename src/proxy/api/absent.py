"""The message for a path at which there is nothing. Endpoints that providers' SDKs know and the
proxy lacks are named, with what to use in their place."""

import re

_CHAT = "POST /v1/chat/completions"
_ABSENT = {
    "assistants": "OpenAI's Assistants API",
    "audio": "This part of OpenAI's Audio API",
    "batches": "OpenAI's Batch API",
    "chatkit": "OpenAI's ChatKit API",
    "chat": "OpenAI's store of chat completions",
    "complete": "Anthropic's Text Completions API",
    "containers": "OpenAI's Containers API",
    "conversations": "OpenAI's Conversations API",
    "engines": "OpenAI's Engines API",
    "evals": "OpenAI's Evals API",
    "files": "OpenAI's Files API",
    "fine_tuning": "OpenAI's Fine-tuning API",
    "images": "This part of OpenAI's Images API",
    "messages": "This part of Anthropic's Messages API",
    "realtime": "OpenAI's Realtime API",
    "responses": "This part of OpenAI's Responses API",
    "skills": "OpenAI's Skills API",
    "threads": "OpenAI's Assistants API",
    "uploads": "OpenAI's Uploads API",
    "vector_stores": "OpenAI's Vector Stores API",
    "videos": "OpenAI's Videos API",
}
"""By the first segment of a path, below /v1 or without it: what that is."""
_INSTEAD = {
    "batches": "POST /v1/batch",
    "chat": _CHAT,
    "complete": _CHAT,
    "conversations": "POST /v1/responses with previous_response_id",
    "engines": _CHAT,
    "messages": "POST /v1/messages",
    "realtime": f"{_CHAT} with stream",
    "responses": "POST /v1/responses",
}
"""What the proxy has in its place."""
_ANTHROPICS = ("complete", "messages")
_UNPASSED = ("realtime",)
"""What is no plain HTTP."""
_GEMINI = re.compile(
    r"/v1(alpha|beta)\d*(/.*)?"
    r"|/[^:]*?(:|%3[Aa])(predict|[a-z]+([A-Z][a-z]+)+)"
)


def is_gemini(path: str) -> bool:
    """Whether a path is one of Gemini's own API."""
    return _GEMINI.fullmatch(path) is not None


def explain(path: str) -> str:
    """The message for a path, percent-encoded as it came, at which there is nothing."""
    first = path.removeprefix("/v1/").strip("/").partition("/")[0]
    name, instead = _ABSENT.get(first, ""), _INSTEAD.get(first, "")
    root = "/anthropic" if first in _ANTHROPICS else "/openai"
    if is_gemini(path):
        name, instead = "Gemini's own API", f"{_CHAT} with a model such as gemini/fast"
        root = "/genai"
    if not name:
        return f"There is nothing at {path[:200]}."
    passed = "" if first in _UNPASSED else f"the provider's own at {root}{path[:200]}"
    ways = " or ".join(filter(None, (instead, passed)))
    return f"{name} is not offered here ({path[:200]}); use {ways}."
