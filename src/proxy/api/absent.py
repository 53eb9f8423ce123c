"""The message for a path at which there is nothing. Endpoints that providers' SDKs know and the
proxy lacks are named, with what to use in their place."""

import re

_CHAT = "use POST /v1/chat/completions"
_ABSENT = {
    "assistants": ("OpenAI's Assistants API", _CHAT),
    "audio": ("OpenAI's Audio API", None),
    "batches": ("OpenAI's Batch API", "use POST /v1/batch"),
    "chatkit": ("OpenAI's ChatKit API", None),
    "chat": ("OpenAI's store of chat completions", None),
    "complete": ("Anthropic's Text Completions API", _CHAT),
    "completions": ("OpenAI's Completions API", _CHAT),
    "containers": ("OpenAI's Containers API", None),
    "conversations": (
        "OpenAI's Conversations API",
        "use POST /v1/responses with previous_response_id",
    ),
    "engines": ("OpenAI's Engines API", _CHAT),
    "evals": ("OpenAI's Evals API", None),
    "files": ("OpenAI's Files API", None),
    "fine_tuning": ("OpenAI's Fine-tuning API", None),
    "images": ("OpenAI's Images API", None),
    "messages": ("This part of Anthropic's Messages API", "use POST /v1/messages"),
    "moderations": ("OpenAI's Moderations API", None),
    "realtime": ("OpenAI's Realtime API", f"{_CHAT} with stream"),
    "rerank": ("Reranking", None),
    "responses": ("This part of OpenAI's Responses API", "use POST /v1/responses"),
    "skills": ("OpenAI's Skills API", None),
    "threads": ("OpenAI's Assistants API", _CHAT),
    "uploads": ("OpenAI's Uploads API", None),
    "vector_stores": ("OpenAI's Vector Stores API", None),
    "videos": ("OpenAI's Videos API", None),
}
"""By the first segment of a path, below /v1 or without it: what that is, what to do instead."""
_GEMINI = re.compile(
    r"/v1(alpha|beta)\d*(/.*)?"
    r"|/[^:]*?(:|%3[Aa])(predict|[a-z]+([A-Z][a-z]+)+)"
)


def is_gemini(path: str) -> bool:
    """Whether a path is one of Gemini's own API."""
    return _GEMINI.fullmatch(path) is not None


def explain(path: str) -> str:
    """The message for a path, percent-encoded as it came, at which there is nothing."""
    name, instead = _ABSENT.get(path.removeprefix("/v1/").strip("/").partition("/")[0], ("", None))
    if is_gemini(path):
        name, instead = "Gemini's own API", f"{_CHAT} with a model such as gemini/fast"
    if not name:
        return f"There is nothing at {path[:200]}."
    return f"{name} is not offered here ({path[:200]}){f'; {instead}' if instead else ''}."
