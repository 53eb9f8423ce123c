"""The list of models in the form that Codex reads: `GET /v1/models?client_version=…`.

Codex takes a field that is missing for a broken list, and then knows no model but its own.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from proxy.core.model_entry import ModelEntry

CONTEXT = 128_000
"""Tokens of a context that the catalogue does not know."""
EFFORTS = ("low", "medium", "high")
INSTRUCTIONS = (
    "You are a coding agent in Codex, a command line program on the user's machine. Read the files"
    " that matter before you change any. Do what was asked, to its end, with the tools that you"
    " have, and keep to the style of the code that is there. Check your work by the project's own"
    " tests where there are some. Say in a few sentences what you did and what is left to do."
)
"""What a model is told of its work: Codex has no text of its own for a model of this list."""
OUTPUT_KEPT = 10_000
"""Tokens of a tool's output that Codex keeps in the conversation."""


def models(entries: Iterable[ModelEntry]) -> bytes:
    """The list, in the order in which the proxy offers the models."""
    chats = [entry for entry in entries if entry.chats]
    listed = [_model(entry, place) for place, entry in enumerate(chats)]
    return msgspec.json.encode({"models": listed})


def _model(entry: ModelEntry, place: int) -> dict[str, Any]:
    can = entry.can
    thinks = can is None or "reasoning" in can
    return {
        "slug": entry.id,
        "display_name": entry.id,
        "description": f"{entry.id} of {entry.owned_by}",
        "default_reasoning_level": "medium" if thinks else None,
        "supported_reasoning_levels": [
            {"effort": effort, "description": f"{effort} effort"} for effort in EFFORTS if thinks
        ],
        "shell_type": "shell_command",
        "visibility": "list",
        "supported_in_api": True,
        "priority": place,
        "base_instructions": INSTRUCTIONS,
        "supports_reasoning_summaries": thinks,
        "support_verbosity": False,
        "default_verbosity": None,
        "apply_patch_tool_type": "freeform",
        "truncation_policy": {"mode": "tokens", "limit": OUTPUT_KEPT},
        "supports_parallel_tool_calls": True,
        "context_window": entry.context or CONTEXT,
        "experimental_supported_tools": [],
        "input_modalities": ["text", "image"] if can is None or "vision" in can else ["text"],
        "upgrade": None,
    }
