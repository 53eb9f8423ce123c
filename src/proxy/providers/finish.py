"""Why an answer ended, in the words of every provider."""

import re

import msgspec

from proxy.core.chat import FinishReason
from proxy.providers.faults import read_inner_fault
from proxy.providers.target import Target

_WORDS: dict[FinishReason, tuple[str, ...]] = {
    "stop": ("stop",),
    "length": (
        "length", "max_tokens", "max_output_tokens", "max_length", "incomplete", "model_length",
        "max_completion_tokens", "token_limit", "context_length_exceeded",
        "model_context_window_exceeded",
    ),
    "tool_calls": (
        "tool_calls", "tool_call", "tool_use", "function_call",
    ),
    "content_filter": (
        "content_filter", "content_filtered", "safety", "image_safety", "image_prohibited_content",
        "image_recitation", "blocked", "moderation", "recitation", "blocklist",
        "prohibited_content", "spii", "model_armor", "guardrail_intervened", "sensitive", "refusal",
    ),
}  # fmt: skip
_FINISH = {word: finish for finish, words in _WORDS.items() for word in words}
"""Finish reasons in the form of `_word`."""
_ENDS = frozenset(
    {"eos", "eos_token", "stop_token", "stop_sequence", "end_turn", "end", "complete", "completed"}
)
"""Ends of the model's own choice: `tool_calls` where it has called a tool, else `stop`."""
_BROKEN_OFF = frozenset({
    "error", "insufficient_system_resource", "malformed_function_call", "cancelled", "canceled",
    "cancel", "user_cancel", "abort", "aborted", "interrupted", "failed", "timeout",
})  # fmt: skip
"""Finish reasons which say that the answer is not whole, beside all that end with `_error`."""
_WORD_BORDER = re.compile(r"(?<=[a-z])(?=[A-Z])|[- ]")


def check_finish(target: Target, reason: object, error: object = None) -> None:
    """Raises the fault of an answer that holds an error, or whose end says that it broke off."""
    if not error and (reason is None or (isinstance(reason, str) and reason in _FINISH)):
        return
    word = _normalize(reason)
    if error or word in _BROKEN_OFF or word.endswith("_error"):
        error = error or {"message": f"The answer broke off: {reason}."}
        raise read_inner_fault(target, msgspec.json.encode({"error": error}))


def read_finish(reason: object, called: bool) -> str | None:
    """A finish reason: the provider's own word where that means none of OpenAI's. called: whether
    the model has called a tool."""
    if not reason:
        return None
    if isinstance(reason, str) and reason in _FINISH:
        return _FINISH[reason]
    word = _normalize(reason)
    return infer_finish(called) if word in _ENDS else _FINISH.get(word, str(reason))


def infer_finish(called: bool) -> FinishReason:
    """Why an answer ended whose provider does not say so in OpenAI's words."""
    return "tool_calls" if called else "stop"


def _normalize(reason: object) -> str:
    """The finish reason in lower case, with `_` between its words."""
    word = reason.strip() if isinstance(reason, str) else ""
    if word in _FINISH:
        return word
    return _WORD_BORDER.sub("_", word).lower().removeprefix("finish_reason_")
